package consensus

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

var errWire = errors.New("not a valid protobuf message")

// fields walks over the fields of one protobuf message. Only the two wire types
// that the formats of this package use are accepted.
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

// single refuses a field that was met before. A commit says each thing once, so
// that no two readers of its bytes can differ about which one holds.
func (f *fields) single() bool {
	bit := uint64(1) << (uint(f.number) & 63)
	if f.seen&bit != 0 {
		f.err = fmt.Errorf("%w: field %d is given twice", errWire, f.number)
		return false
	}
	f.seen |= bit
	return true
}

// is checks the wire type of the current field.
func (f *fields) is(varint bool) bool {
	if f.varint != varint {
		f.err = fmt.Errorf("%w: field %d has another type", errWire, f.number)
		return false
	}
	return true
}

// unknown refuses the current field.
func (f *fields) unknown() {
	f.err = fmt.Errorf("%w: unknown field %d", errWire, f.number)
}

func appendVarintField(dst []byte, n protowire.Number, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return protowire.AppendVarint(protowire.AppendTag(dst, n, protowire.VarintType), v)
}

func appendBytesField(dst []byte, n protowire.Number, v []byte) []byte {
	if len(v) == 0 {
		return dst
	}
	return protowire.AppendBytes(protowire.AppendTag(dst, n, protowire.BytesType), v)
}

// sizeVarintField returns what appendVarintField would append for n < 16.
func sizeVarintField(v uint64) int {
	if v == 0 {
		return 0
	}
	return 1 + protowire.SizeVarint(v)
}
