package event

import "google.golang.org/protobuf/encoding/protowire"

// attribute is one entry of the attributes map. Boolean and integer are in num, a
// timestamp in num and nanos, all else in raw.
type attribute struct {
	name  []byte
	raw   []byte
	num   int64
	nanos int32
	kind  ValueKind
}

// parseEntry reads one entry of the attributes map.
func parseEntry(b []byte) (attribute, *Error) {
	var a attribute
	var value []byte
	for len(b) > 0 {
		num, body, n := consumeBytesField(b)
		if n < 0 {
			return a, badField(b)
		}
		b = b[n:]
		switch {
		case num == entryKey && a.name == nil:
			a.name = body
		case num == entryValue && value == nil:
			value = body
		default:
			return a, Errorf(CodeInvalid, "attribute %s: its entry has an unknown or repeated field %d", quote(a.name), num)
		}
	}
	if len(a.name) == 0 {
		return a, Errorf(CodeInvalid, "attribute: has no name")
	}
	err := a.parseValue(value)
	return a, err
}

// parseValue reads the message CloudEventAttributeValue.
func (a *attribute) parseValue(b []byte) *Error {
	if num, body, n := consumeBytesField(b); n == len(b) && num == protowire.Number(ValueString) {
		a.kind, a.raw = ValueString, body
		return nil
	}
	num, typ, n := protowire.ConsumeTag(b)
	if n < 0 {
		return Errorf(CodeInvalid, "attribute %s: has no value", quote(a.name))
	}
	want := protowire.BytesType
	switch ValueKind(num) {
	case ValueBoolean, ValueInteger:
		want = protowire.VarintType
	case ValueString, ValueBinary, ValueURI, ValueURIReference, ValueTimestamp:
	default:
		return Errorf(CodeInvalid, "attribute %s: its value has the unknown type %d", quote(a.name), num)
	}
	if typ != want || num > protowire.Number(ValueTimestamp) {
		return Errorf(CodeInvalid, "attribute %s: its value is malformed", quote(a.name))
	}
	a.kind = ValueKind(num)
	var m int
	if want == protowire.VarintType {
		var v uint64
		v, m = protowire.ConsumeVarint(b[n:])
		a.num = int64(v)
	} else {
		a.raw, m = protowire.ConsumeBytes(b[n:])
	}
	switch {
	case m < 0 || n+m != len(b):
		return Errorf(CodeInvalid, "attribute %s: its value is malformed or there are two", quote(a.name))
	case a.kind == ValueBoolean && uint64(a.num) > 1:
		return Errorf(CodeInvalid, "attribute %s: boolean %d is neither 0 nor 1", quote(a.name), uint64(a.num))
	case a.kind == ValueInteger && !isInt32(a.num):
		return Errorf(CodeInvalid, "attribute %s: integer %d has more than 32 bits", quote(a.name), a.num)
	case a.kind == ValueTimestamp:
		return a.parseTimestamp()
	}
	return nil
}

// parseTimestamp reads the message Timestamp out of raw.
func (a *attribute) parseTimestamp() *Error {
	b := a.raw
	a.raw = nil
	var seen [3]bool
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 || typ != protowire.VarintType || num > timestampNanos || seen[num] {
			return Errorf(CodeInvalid, "attribute %s: its timestamp is malformed", quote(a.name))
		}
		seen[num] = true
		v, m := protowire.ConsumeVarint(b[n:])
		if m < 0 {
			return Errorf(CodeInvalid, "attribute %s: its timestamp is malformed", quote(a.name))
		}
		b = b[n+m:]
		if num == timestampSeconds {
			a.num = int64(v)
			continue
		}
		if v >= 1e9 {
			return Errorf(CodeInvalid, "attribute %s: its timestamp has %d nanoseconds", quote(a.name), v)
		}
		a.nanos = int32(v)
	}
	if a.num < minSeconds || a.num > maxSeconds {
		return Errorf(CodeInvalid, "attribute %s: timestamp %d s is not in the years 1 to 9999", quote(a.name), a.num)
	}
	return nil
}
