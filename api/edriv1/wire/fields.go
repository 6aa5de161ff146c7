package wire

import (
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
)

// ErrMalformed is what every decoder of this package returns for bytes that are
// not a protobuf message, or not the one it decodes.
var ErrMalformed = errors.New("malformed protobuf message")

// Fields walks the fields of one message in their order.
//
//	f := Walk(b)
//	for f.Next() {
//	}
type Fields struct {
	rest []byte
	num  protowire.Number
	typ  protowire.Type
	// The field's value: varint of VarintType, bytes of BytesType.
	varint uint64
	bytes  []byte
	err    error
}

// Walk returns the fields of b.
func Walk(b []byte) Fields { return Fields{rest: b} }

// Next goes to the next field; false at the end and at an error.
func (f *Fields) Next() bool {
	if f.err != nil || len(f.rest) == 0 {
		return false
	}
	num, typ, n := protowire.ConsumeTag(f.rest)
	if n < 0 {
		return f.fail()
	}
	f.num, f.typ, f.rest = num, typ, f.rest[n:]
	switch typ {
	case protowire.VarintType:
		f.varint, n = protowire.ConsumeVarint(f.rest)
	case protowire.BytesType:
		f.bytes, n = protowire.ConsumeBytes(f.rest)
	default:
		n = protowire.ConsumeFieldValue(num, typ, f.rest)
	}
	if n < 0 {
		return f.fail()
	}
	f.rest = f.rest[n:]
	return true
}

func (f *Fields) fail() bool {
	f.err = ErrMalformed
	return false
}

// Err is ErrMalformed where Next stopped before the end.
func (f *Fields) Err() error { return f.err }

// Bytes is the value of field num where it is of that number and length-delimited.
func (f *Fields) Bytes(num protowire.Number) ([]byte, bool) {
	return f.bytes, f.num == num && f.typ == protowire.BytesType
}

// Varint is the value of field num where it is of that number and a varint.
func (f *Fields) Varint(num protowire.Number) (uint64, bool) {
	return f.varint, f.num == num && f.typ == protowire.VarintType
}

// AppendMessage appends field num with the message b.
func AppendMessage(dst []byte, num protowire.Number, b []byte) []byte {
	dst = protowire.AppendTag(dst, num, protowire.BytesType)
	return protowire.AppendBytes(dst, b)
}

// appendVarint appends field num unless v is 0, which is the same as absent.
func appendVarint(dst []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return dst
	}
	dst = protowire.AppendTag(dst, num, protowire.VarintType)
	return protowire.AppendVarint(dst, v)
}

func sizeVarint(num protowire.Number, v uint64) int {
	if v == 0 {
		return 0
	}
	return protowire.SizeTag(num) + protowire.SizeVarint(v)
}

func sizeBytes(num protowire.Number, n int) int {
	return protowire.SizeTag(num) + protowire.SizeBytes(n)
}
