package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// ErrMalformed is wrapped by every error of Fields.
var ErrMalformed = errors.New("not a valid protobuf message")

// Wire types of protobuf, and the largest number of a field.
const (
	typeVarint = 0
	typeBytes  = 2
	maxNumber  = 1<<29 - 1
)

// Fields walks over the fields of one protobuf message: varints and what is
// length-delimited, which is all that the formats here have.
type Fields struct {
	// Number is the current field's. Its value is Value if it is a Varint, else Bytes,
	// which alias the message.
	Number uint32
	Varint bool
	Value  uint64
	Bytes  []byte

	rest []byte
	seen uint64 // bit n: field n < 64 was met
	err  error
}

// Walk returns the fields of a message, before its first.
func Walk(message []byte) Fields { return Fields{rest: message} }

// Next moves to the next field; it returns false at the end and at an error.
func (f *Fields) Next() bool {
	if len(f.rest) == 0 || f.err != nil {
		return false
	}
	tag, ok := f.uvarint()
	if !ok || tag>>3 == 0 || tag>>3 > maxNumber {
		f.err = ErrMalformed
		return false
	}
	f.Number, f.Varint = uint32(tag>>3), tag&7 == typeVarint
	if !f.Varint && tag&7 != typeBytes {
		f.err = fmt.Errorf("%w: field %d has wire type %d", ErrMalformed, f.Number, tag&7)
		return false
	}
	n, ok := f.uvarint()
	switch {
	case !ok || !f.Varint && n > uint64(len(f.rest)):
		f.err = fmt.Errorf("%w: field %d is cut off", ErrMalformed, f.Number)
		return false
	case f.Varint:
		f.Value = n
	default:
		f.Bytes, f.rest = f.rest[:n:n], f.rest[n:]
	}
	return true
}

func (f *Fields) uvarint() (uint64, bool) {
	if len(f.rest) > 0 && f.rest[0] < 0x80 {
		v := uint64(f.rest[0])
		f.rest = f.rest[1:]
		return v, true
	}
	v, n := binary.Uvarint(f.rest)
	if n <= 0 {
		return 0, false
	}
	f.rest = f.rest[n:]
	return v, true
}

// Once refuses the current field if it was met before, so that no two readers of the
// bytes can differ about which one holds. Of fields from 64 on it cannot tell.
func (f *Fields) Once() bool {
	bit := uint64(1) << f.Number // 0 from 64 on
	if f.seen&bit != 0 {
		f.Fail(fmt.Errorf("%w: field %d is given twice", ErrMalformed, f.Number))
	}
	f.seen |= bit
	return f.err == nil
}

// WantVarint refuses the current field if it is no varint.
func (f *Fields) WantVarint() bool { return f.is(true) }

// WantBytes refuses the current field if it is not length-delimited.
func (f *Fields) WantBytes() bool { return f.is(false) }

func (f *Fields) is(varint bool) bool {
	if f.Varint != varint {
		f.Fail(fmt.Errorf("%w: field %d has another type", ErrMalformed, f.Number))
	}
	return f.err == nil
}

// Within takes the current field, of which there may be one: a varint of at most so much.
func (f *Fields) Within(most uint64) bool {
	if f.Once() && f.WantVarint() && f.Value > most {
		f.Failf("field %d is %d, out of range", f.Number, f.Value)
	}
	return f.err == nil
}

// Unknown refuses the current field.
func (f *Fields) Unknown() { f.Fail(fmt.Errorf("%w: unknown field %d", ErrMalformed, f.Number)) }

// Fail ends the walk with an error, unless it has one.
func (f *Fields) Fail(err error) {
	if f.err == nil {
		f.err = err
	}
}

// Failf is Fail with an error that wraps ErrMalformed.
func (f *Fields) Failf(format string, args ...any) {
	f.Fail(fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...)))
}

// Last reports whether the current field is the last one.
func (f *Fields) Last() bool { return len(f.rest) == 0 }

// Err returns the first error, nil without one.
func (f *Fields) Err() error { return f.err }

// The setters take the current field, which must be of their type, within its range and
// the first of its number.

// SetBytes sets dst, which then aliases the message.
func (f *Fields) SetBytes(dst *[]byte) {
	if f.Once() && f.WantBytes() {
		*dst = f.Bytes
	}
}

// SetString sets dst.
func (f *Fields) SetString(dst *string) {
	if f.Once() && f.WantBytes() {
		*dst = string(f.Bytes)
	}
}

// SetUint64 sets dst.
func (f *Fields) SetUint64(dst *uint64) {
	if f.Once() && f.WantVarint() {
		*dst = f.Value
	}
}

// SetInt64 sets dst.
func (f *Fields) SetInt64(dst *int64) {
	if f.Once() && f.WantVarint() {
		*dst = int64(f.Value)
	}
}

// SetUint32 sets dst.
func (f *Fields) SetUint32(dst *uint32) {
	if f.Within(math.MaxUint32) {
		*dst = uint32(f.Value)
	}
}

// SetInt sets dst, from 0 to math.MaxInt32 on every machine.
func (f *Fields) SetInt(dst *int) {
	if f.Within(math.MaxInt32) {
		*dst = int(f.Value)
	}
}

// SetBool sets dst.
func (f *Fields) SetBool(dst *bool) {
	if f.Once() && f.WantVarint() {
		*dst = f.Value != 0
	}
}

// EachVarint calls f for each number of a packed field.
func EachVarint(packed []byte, f func(uint64) error) error {
	for len(packed) > 0 {
		v, n := binary.Uvarint(packed)
		if n <= 0 {
			return fmt.Errorf("%w: a packed number is cut off", ErrMalformed)
		}
		packed = packed[n:]
		if err := f(v); err != nil {
			return err
		}
	}
	return nil
}
