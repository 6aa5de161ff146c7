package event

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"
)

// maxNesting is how deep JSON data may nest to be shown as JSON. Many readers stop at
// a thousand levels, encoding/json at ten thousand.
const maxNesting = 512

// MarshalJSON returns the event in the JSON format of CloudEvents, or Validate's error.
// json.Marshal then escapes <, > and & in the data too; AppendJSON keeps them.
func (e Event) MarshalJSON() ([]byte, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	return e.AppendJSON(nil), nil
}

// MarshalJSON returns the event in the JSON format of CloudEvents, its place in the
// history as extensions.
func (r Recorded) MarshalJSON() ([]byte, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	return r.AppendJSON(nil), nil
}

// AppendJSON appends a valid event in the JSON format of CloudEvents, on one line. The
// attributes come first and the data last. What is not UTF-8 in an event that is not
// valid becomes U+FFFD.
func (e *Event) AppendJSON(dst []byte) []byte {
	dst = e.appendMembers(dst)
	return append(e.appendJSONData(dst), '}')
}

// AppendJSON is Event.AppendJSON with the attributes that the server sets.
func (r *Recorded) AppendJSON(dst []byte) []byte {
	dst = r.Event.appendMembers(dst)
	dst = appendMember(dst, AttrStream, r.Stream)
	dst = appendMember(dst, AttrPosition, r.Position.String())
	dst = appendMember(dst, AttrRevision, r.Revision.String())
	dst = appendMember(dst, AttrStamp, r.Stamp.UTC().Format(time.RFC3339Nano))
	return append(r.Event.appendJSONData(dst), '}')
}

// AppendJSONBatch appends valid events as a batch in the JSON format of CloudEvents.
func AppendJSONBatch(dst []byte, events []Event) []byte {
	dst = append(dst, '[')
	for i := range events {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = events[i].AppendJSON(dst)
	}
	return append(dst, ']')
}

// appendMembers appends the opening brace and every attribute of the producer.
func (e *Event) appendMembers(dst []byte) []byte {
	dst = append(dst, `{"specversion":"1.0"`...)
	dst = appendMember(dst, attrID, e.ID)
	dst = appendMember(dst, attrSource, e.Source)
	dst = appendMember(dst, attrType, e.Type)
	var space [16]string
	for _, name := range attributeNames(space[:0], e) {
		v := e.attribute(name)
		switch {
		case isServerName(name):
		case v.kind == ValueBoolean:
			dst = strconv.AppendBool(appendMemberName(dst, name), v.num != 0)
		case v.kind == ValueInteger:
			dst = strconv.AppendInt(appendMemberName(dst, name), v.num, 10)
		default:
			dst = appendMember(dst, name, v.String())
		}
	}
	return dst
}

func appendMember(dst []byte, name, value string) []byte {
	return AppendQuoted(appendMemberName(dst, name), value)
}

func appendMemberName(dst []byte, name string) []byte {
	dst = AppendQuoted(append(dst, ','), name)
	return append(dst, ':')
}

func (e *Event) appendJSONData(dst []byte) []byte {
	switch {
	case e.Data == nil:
		return dst
	case isJSONType(e.DataContentType):
		if json.Valid(e.Data) && utf8.Valid(e.Data) && nesting(e.Data) <= maxNesting {
			return appendCompact(appendMemberName(dst, "data"), e.Data)
		}
	case isTextType(e.DataContentType) && utf8.Valid(e.Data):
		return AppendQuoted(appendMemberName(dst, "data"), e.Data)
	}
	dst = appendMemberName(dst, "data_base64")
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, e.Data)
	return append(dst, '"')
}
