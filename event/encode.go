package event

import (
	"slices"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// Field numbers of the protobuf messages CloudEvent, its map entries, and Timestamp.
// Those of CloudEventAttributeValue are the ValueKinds.
const (
	fieldID          = 1
	fieldSource      = 2
	fieldSpecVersion = 3
	fieldType        = 4
	fieldAttributes  = 5
	fieldBinaryData  = 6
	fieldTextData    = 7
	fieldProtoData   = 8

	entryKey   = 1
	entryValue = 2

	timestampSeconds = 1
	timestampNanos   = 2
)

// AppendEvent appends the event's protobuf bytes to dst, always the same for the same
// event. It writes whatever it is given: Validate, or CheckEncoded on the result, says
// whether that is an event. Extensions named like one of CloudEvents' own attributes
// are not written.
func AppendEvent(dst []byte, e *Event) []byte {
	dst = appendAttributes(dst, e)
	if e.Data == nil {
		return dst
	}
	num := protowire.Number(fieldBinaryData)
	if isTextType(e.DataContentType) && utf8.Valid(e.Data) {
		num = fieldTextData
	}
	dst = protowire.AppendTag(dst, num, protowire.BytesType)
	return protowire.AppendBytes(dst, e.Data)
}

// AppendValid is Validate and AppendEvent in one, for the cost of little more than
// the latter. With an error dst is as it was.
func AppendValid(dst []byte, e *Event) ([]byte, error) {
	if err := e.checkUnencoded(); err != nil {
		return dst, err
	}
	encoded := AppendEvent(dst, e)
	if _, err := CheckEncoded(encoded[len(dst):], MaxDataBytes); err != nil {
		return dst, err
	}
	return encoded, nil
}

// appendAttributes appends everything but the data.
func appendAttributes(dst []byte, e *Event) []byte {
	dst = appendString(dst, fieldID, e.ID)
	dst = appendString(dst, fieldSource, e.Source)
	dst = appendString(dst, fieldSpecVersion, specVersion)
	dst = appendString(dst, fieldType, e.Type)

	var space [16]string
	for _, name := range attributeNames(space[:0], e) {
		dst = appendAttribute(dst, name, e.attribute(name))
	}
	return dst
}

// attributeNames appends the sorted names of the attributes that travel in the map.
func attributeNames(dst []string, e *Event) []string {
	if e.DataContentType != "" {
		dst = append(dst, attrDataContentType)
	}
	if e.DataSchema != "" {
		dst = append(dst, attrDataSchema)
	}
	if e.Subject != "" {
		dst = append(dst, attrSubject)
	}
	if !e.Time.IsZero() {
		dst = append(dst, attrTime)
	}
	if len(e.Extensions) == 0 {
		return dst
	}
	for name := range e.Extensions {
		if !isCoreName(name) {
			dst = append(dst, name)
		}
	}
	slices.Sort(dst)
	return dst
}

// attribute returns the value of an attribute that travels in the map.
func (e *Event) attribute(name string) Value {
	switch name {
	case attrDataContentType:
		return String(e.DataContentType)
	case attrDataSchema:
		return URI(e.DataSchema)
	case attrSubject:
		return String(e.Subject)
	case attrTime:
		return Timestamp(e.Time)
	default:
		return e.Extensions[name]
	}
}

func appendAttribute(dst []byte, name string, v Value) []byte {
	value := v.wireSize()
	entry := protowire.SizeTag(entryKey) + protowire.SizeBytes(len(name)) +
		protowire.SizeTag(entryValue) + protowire.SizeBytes(value)
	dst = protowire.AppendTag(dst, fieldAttributes, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(entry))
	dst = protowire.AppendTag(dst, entryKey, protowire.BytesType)
	dst = protowire.AppendString(dst, name)
	dst = protowire.AppendTag(dst, entryValue, protowire.BytesType)
	dst = protowire.AppendVarint(dst, uint64(value))
	return v.appendWire(dst)
}

// wireSize returns the length of what appendWire writes.
func (v Value) wireSize() int {
	switch v.kind {
	case 0:
		return 0
	case ValueBoolean, ValueInteger:
		return protowire.SizeTag(1) + protowire.SizeVarint(uint64(v.num))
	case ValueTimestamp:
		return protowire.SizeTag(1) + protowire.SizeBytes(v.timestampSize())
	default:
		return protowire.SizeTag(1) + protowire.SizeBytes(len(v.str))
	}
}

// timestampSize returns the length of the value's Timestamp message.
func (v Value) timestampSize() int {
	size := 0
	if v.num != 0 {
		size += protowire.SizeTag(timestampSeconds) + protowire.SizeVarint(uint64(v.num))
	}
	if v.nanos != 0 {
		size += protowire.SizeTag(timestampNanos) + protowire.SizeVarint(uint64(v.nanos))
	}
	return size
}

// appendWire appends the message CloudEventAttributeValue.
func (v Value) appendWire(dst []byte) []byte {
	num := protowire.Number(v.kind)
	switch v.kind {
	case 0:
		return dst
	case ValueBoolean, ValueInteger:
		dst = protowire.AppendTag(dst, num, protowire.VarintType)
		return protowire.AppendVarint(dst, uint64(v.num))
	case ValueTimestamp:
		dst = protowire.AppendTag(dst, num, protowire.BytesType)
		dst = protowire.AppendVarint(dst, uint64(v.timestampSize()))
		dst = appendUint(dst, timestampSeconds, uint64(v.num))
		return appendUint(dst, timestampNanos, uint64(v.nanos))
	default:
		dst = protowire.AppendTag(dst, num, protowire.BytesType)
		return protowire.AppendString(dst, v.str)
	}
}

// DecodeEvent reads an event's protobuf bytes into an Event that shares nothing with
// them. It accepts exactly what ScanHeader accepts.
func DecodeEvent(b []byte) (Event, error) {
	h, err := ScanHeader(b)
	if err != nil {
		return Event{}, err
	}
	e := Event{
		ID:              string(h.ID),
		Source:          string(h.Source),
		Type:            string(h.Type),
		Subject:         string(h.Subject),
		DataContentType: string(h.DataContentType),
		DataSchema:      string(h.DataSchema),
	}
	if h.Data != nil {
		e.Data = append(make([]byte, 0, len(h.Data)), h.Data...)
	}
	for a := range h.attributes {
		switch name := string(a.name); name {
		case attrSubject, attrDataContentType, attrDataSchema:
		case attrTime:
			e.Time = time.Unix(a.num, int64(a.nanos)).UTC()
		default:
			if e.Extensions == nil {
				e.Extensions = make(map[string]Value)
			}
			e.Extensions[name] = Value{kind: a.kind, num: a.num, nanos: a.nanos, str: string(a.raw)}
		}
	}
	return e, nil
}
