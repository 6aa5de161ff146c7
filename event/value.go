package event

import (
	"encoding/base64"
	"math"
	"strconv"
	"time"
)

// ValueKind is a type of the CloudEvents type system. Its numbers are the field
// numbers of the protobuf message CloudEventAttributeValue.
type ValueKind uint8

// The kinds of values. The zero kind is that of no value.
const (
	ValueBoolean      ValueKind = 1
	ValueInteger      ValueKind = 2
	ValueString       ValueKind = 3
	ValueBinary       ValueKind = 4
	ValueURI          ValueKind = 5
	ValueURIReference ValueKind = 6
	ValueTimestamp    ValueKind = 7
)

// String returns the name that CloudEvents gives the kind.
func (k ValueKind) String() string {
	switch k {
	case ValueBoolean:
		return "boolean"
	case ValueInteger:
		return "integer"
	case ValueString:
		return "string"
	case ValueBinary:
		return "binary"
	case ValueURI:
		return "URI"
	case ValueURIReference:
		return "URI-reference"
	case ValueTimestamp:
		return "timestamp"
	default:
		return "no type"
	}
}

// Value is the value of an extension attribute. Values are comparable with ==.
type Value struct {
	kind  ValueKind
	nanos int32
	num   int64 // boolean 0 or 1, integer, or a timestamp's seconds since 1970
	str   string
}

// String returns a string value.
func String(s string) Value { return Value{kind: ValueString, str: s} }

// Bool returns a boolean value.
func Bool(b bool) Value {
	v := Value{kind: ValueBoolean}
	if b {
		v.num = 1
	}
	return v
}

// Integer returns an integer value; CloudEvents integers have 32 bits.
func Integer(n int32) Value { return Value{kind: ValueInteger, num: int64(n)} }

// Binary returns a binary value with a copy of b.
func Binary(b []byte) Value { return Value{kind: ValueBinary, str: string(b)} }

// URI returns the value of an absolute URI. Event.Validate checks it.
func URI(s string) Value { return Value{kind: ValueURI, str: s} }

// URIRef returns the value of a URI reference. Event.Validate checks it.
func URIRef(s string) Value { return Value{kind: ValueURIReference, str: s} }

// Timestamp returns the value of an instant, in UTC.
func Timestamp(t time.Time) Value {
	return Value{kind: ValueTimestamp, num: t.Unix(), nanos: int32(t.Nanosecond())}
}

// Kind returns the value's type, 0 for the zero Value.
func (v Value) Kind() ValueKind { return v.kind }

// String returns the canonical string that CloudEvents defines for every type: decimal
// digits, true or false, base64, RFC 3339 in UTC.
func (v Value) String() string {
	switch v.kind {
	case ValueBoolean, ValueInteger, ValueBinary, ValueTimestamp:
		return string(v.appendCanonical(nil))
	default:
		return v.str
	}
}

// AsBool returns a boolean value's content.
func (v Value) AsBool() (b, ok bool) { return v.num != 0, v.kind == ValueBoolean }

// AsInteger returns an integer value's content.
func (v Value) AsInteger() (int32, bool) { return int32(v.num), v.kind == ValueInteger }

// AsBytes returns a copy of a binary value's content.
func (v Value) AsBytes() ([]byte, bool) { return []byte(v.str), v.kind == ValueBinary }

// AsTime returns a timestamp's content, in UTC.
func (v Value) AsTime() (time.Time, bool) {
	return time.Unix(v.num, int64(v.nanos)).UTC(), v.kind == ValueTimestamp
}

func (v Value) appendCanonical(dst []byte) []byte {
	a := attribute{kind: v.kind, num: v.num, nanos: v.nanos, raw: []byte(v.str)}
	return a.appendCanonical(dst)
}

// canonical returns the attribute's value as the canonical string, in scratch where it
// does not stand in the event's bytes.
func (a *attribute) canonical(scratch []byte) []byte {
	switch a.kind {
	case ValueString, ValueURI, ValueURIReference:
		return a.raw
	}
	return a.appendCanonical(scratch)
}

// appendCanonical appends the attribute's value as the canonical string.
func (a *attribute) appendCanonical(dst []byte) []byte {
	switch a.kind {
	case ValueBoolean:
		return strconv.AppendBool(dst, a.num != 0)
	case ValueInteger:
		return strconv.AppendInt(dst, a.num, 10)
	case ValueBinary:
		return base64.StdEncoding.AppendEncode(dst, a.raw)
	case ValueTimestamp:
		return time.Unix(a.num, int64(a.nanos)).UTC().AppendFormat(dst, time.RFC3339Nano)
	default:
		return append(dst, a.raw...)
	}
}

// Seconds since 1970 of the first and the last second that RFC 3339 and protobuf's
// Timestamp can both tell.
const (
	minSeconds = -62135596800 // 0001-01-01T00:00:00Z
	maxSeconds = 253402300799 // 9999-12-31T23:59:59Z
)

func isInt32(n int64) bool { return n >= math.MinInt32 && n <= math.MaxInt32 }
