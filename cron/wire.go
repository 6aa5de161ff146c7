package cron

import (
	"errors"
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

var errWire = errors.New("not a valid protobuf message")

// fields walks over the fields of one protobuf message: varints and what is
// length-delimited, which is all that operations have. Each field but the repeated ones
// appears once, so that no two readers of the bytes can differ about which one holds.
type fields struct {
	rest   []byte
	number protowire.Number
	varint bool   // else length-delimited
	value  uint64 // of a varint
	bytes  []byte // of a length-delimited field; aliases the message
	seen   uint64 // bit n: field n < 64 was met
	err    error
}

// next moves to the next field; it returns false at the end and at an error.
func (f *fields) next() bool {
	if len(f.rest) == 0 || f.err != nil {
		return false
	}
	number, typ, n := protowire.ConsumeTag(f.rest)
	if n < 0 {
		f.err = errWire
		return false
	}
	f.number, f.rest = number, f.rest[n:]
	switch typ {
	case protowire.VarintType:
		f.varint = true
		f.value, n = protowire.ConsumeVarint(f.rest)
	case protowire.BytesType:
		f.varint = false
		f.bytes, n = protowire.ConsumeBytes(f.rest)
	default:
		f.err = fmt.Errorf("%w: field %d has wire type %d", errWire, number, typ)
		return false
	}
	if n < 0 {
		f.err = fmt.Errorf("%w: field %d is cut off", errWire, number)
		return false
	}
	f.rest = f.rest[n:]
	return true
}

// once refuses the current field if it was met before.
func (f *fields) once() {
	bit := uint64(1) << (uint(f.number) & 63)
	if f.seen&bit != 0 && f.err == nil {
		f.err = fmt.Errorf("%w: field %d is given twice", errWire, f.number)
	}
	f.seen |= bit
}

// unknown refuses the current field.
func (f *fields) unknown() {
	f.err = fmt.Errorf("%w: unknown field %d", errWire, f.number)
}

func (f *fields) is(varint bool) bool {
	if f.varint != varint && f.err == nil {
		f.err = fmt.Errorf("%w: field %d has another type", errWire, f.number)
	}
	return f.err == nil
}

// The setters take the current field, which must be of their type and the first of its
// number.

func (f *fields) setBytes(dst *[]byte) {
	if f.once(); f.is(false) {
		*dst = f.bytes
	}
}

func (f *fields) setUint64(dst *uint64) {
	if f.once(); f.is(true) {
		*dst = f.value
	}
}

func (f *fields) setInt64(dst *int64) {
	if f.once(); f.is(true) {
		*dst = int64(f.value)
	}
}

func (f *fields) setInt(dst *int) {
	if f.once(); !f.is(true) {
		return
	}
	if f.value > math.MaxInt32 {
		f.err = fmt.Errorf("%w: field %d is %d, out of range", errWire, f.number, f.value)
		return
	}
	*dst = int(f.value)
}

func (f *fields) setBool(dst *bool) {
	if f.once(); f.is(true) {
		*dst = f.value != 0
	}
}

// varints calls f for each number of a packed field.
func varints(packed []byte, f func(uint64) error) error {
	for len(packed) > 0 {
		v, n := protowire.ConsumeVarint(packed)
		if n < 0 {
			return fmt.Errorf("%w: a packed number is cut off", errWire)
		}
		packed = packed[n:]
		if err := f(v); err != nil {
			return err
		}
	}
	return nil
}

func appendUint(dst []byte, n protowire.Number, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return protowire.AppendVarint(protowire.AppendTag(dst, n, protowire.VarintType), v)
}

func appendBytes(dst []byte, n protowire.Number, v []byte) []byte {
	if len(v) == 0 {
		return dst
	}
	return protowire.AppendBytes(protowire.AppendTag(dst, n, protowire.BytesType), v)
}

// appendMessage is appendBytes for a message, which may be empty.
func appendMessage(dst []byte, n protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(dst, n, protowire.BytesType), v)
}
