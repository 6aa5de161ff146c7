package event

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"
)

// jsonDecoder builds an event from the members of a JSON object.
type jsonDecoder struct {
	event   Event
	version string
	seen    map[string]bool
	// data and base64 are the members of these names, as they stand in the text.
	data, base64 []byte
	// server collects the attributes that the server sets, unless it is nil.
	server map[string]string
}

func (d *jsonDecoder) decode(b []byte) *Error {
	if startOf(b) != '{' {
		return Errorf(CodeInvalid, "event: is not a JSON object")
	}
	d.seen = make(map[string]bool, 12)
	for rawName, value := range members(b) {
		name, ok := unquote(rawName)
		if !ok {
			return Errorf(CodeInvalid, "attribute %s: is not Unicode text", quote(rawName))
		}
		if d.seen[name] {
			return Errorf(CodeInvalid, "attribute %s: appears twice", quote(name))
		}
		d.seen[name] = true
		if err := d.member(name, value); err != nil {
			return err
		}
	}
	switch {
	case !d.seen[attrSpecVersion]:
		return Errorf(CodeInvalid, "specversion: is missing")
	case d.version != specVersion:
		return Errorf(CodeInvalid, "specversion %s: only 1.0 is supported", quote(d.version))
	}
	if err := d.decodeData(); err != nil {
		return err
	}
	return d.event.validate()
}

// member takes one member of the object.
func (d *jsonDecoder) member(name string, value []byte) *Error {
	e := &d.event
	var into *string
	switch name {
	case "data":
		d.data = value
		return nil
	case "data_base64":
		if !isNull(value) {
			d.base64 = value
		}
		return nil
	case attrSpecVersion:
		into = &d.version
	case attrID:
		into = &e.ID
	case attrSource:
		into = &e.Source
	case attrType:
		into = &e.Type
	case attrSubject:
		into = &e.Subject
	case attrDataContentType:
		into = &e.DataContentType
	case attrDataSchema:
		into = &e.DataSchema
	case attrTime:
		return d.time(value)
	case AttrStream, AttrPosition, AttrRevision, AttrStamp:
		if d.server == nil {
			return nil
		}
		text, err := jsonString(name, value)
		d.server[name] = text
		return err
	default:
		return d.extension(name, value)
	}
	if isNull(value) && name != attrSpecVersion {
		return nil
	}
	text, err := jsonString(name, value)
	if err == nil && text == "" {
		return Errorf(CodeInvalid, "%s: is empty", name)
	}
	*into = text
	return err
}

func (d *jsonDecoder) time(value []byte) *Error {
	if isNull(value) {
		return nil
	}
	text, err := jsonString(attrTime, value)
	if err != nil {
		return err
	}
	d.event.Time, err = parseTime(attrTime, text)
	if err == nil && d.event.Time.IsZero() {
		return Errorf(CodeInvalid, "time %s: stands for no time", quote(text))
	}
	return err
}

func (d *jsonDecoder) extension(name string, value []byte) *Error {
	if !isAttributeName(name) {
		return badAttributeName(name)
	}
	var v Value
	switch value[0] {
	case 'n':
		return nil
	case 't', 'f':
		v = Bool(value[0] == 't')
	case '"':
		text, err := jsonString(name, value)
		if err != nil {
			return err
		}
		v = String(text)
	case '{', '[':
		return Errorf(CodeInvalid, "%s %s: an attribute is a string, a number or a boolean", name, quote(value))
	default:
		n, err := strconv.ParseInt(string(value), 10, 32)
		if err != nil {
			return Errorf(CodeInvalid, "%s %s: is not an integer of 32 bits", name, quote(value))
		}
		v = Integer(int32(n))
	}
	if d.event.Extensions == nil {
		d.event.Extensions = make(map[string]Value)
	}
	d.event.Extensions[name] = v
	return nil
}

// decodeData follows CloudEvents: data_base64 holds any bytes; data holds the JSON
// value itself for a JSON content type, null included, and otherwise a string that holds
// the text (or, where it is neither string nor null, text that is JSON).
func (d *jsonDecoder) decodeData() *Error {
	switch {
	case d.data != nil && d.base64 != nil:
		return Errorf(CodeInvalid, "data: stands beside data_base64")
	case d.base64 != nil:
		text, err := jsonString("data_base64", d.base64)
		if err != nil {
			return err
		}
		data, bad := base64.StdEncoding.DecodeString(text)
		if bad != nil {
			return Errorf(CodeInvalid, "data_base64 %s: %v", quote(text), bad)
		}
		d.event.Data = data
	case d.data == nil:
	case isNull(d.data) && !isJSONType(d.event.DataContentType):
	case d.data[0] == '"' && !isJSONType(d.event.DataContentType):
		text, err := jsonString("data", d.data)
		if err != nil {
			return err
		}
		d.event.Data = []byte(text)
	default:
		d.event.Data = appendCompact(make([]byte, 0, len(d.data)), d.data)
	}
	return nil
}

// recorded decodes b with the attributes of the server.
func (d *jsonDecoder) recorded(b []byte) (Recorded, *Error) {
	if err := d.decode(b); err != nil {
		return Recorded{}, err
	}
	position, err := d.serverNumber(AttrPosition)
	if err != nil {
		return Recorded{}, err
	}
	revision, err := d.serverNumber(AttrRevision)
	if err != nil {
		return Recorded{}, err
	}
	stamp, err := parseTime(AttrStamp, d.server[AttrStamp])
	if err != nil {
		return Recorded{}, err
	}
	if err := checkName(AttrStream, d.server[AttrStream]); err != nil {
		return Recorded{}, err
	}
	return Recorded{
		Event:    d.event,
		Position: Position(position),
		Revision: Revision(revision),
		Stream:   d.server[AttrStream],
		Stamp:    stamp,
	}, nil
}

func (d *jsonDecoder) serverNumber(name string) (uint64, *Error) {
	text := d.server[name]
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n == 0 {
		return 0, Errorf(CodeInvalid, "%s %s: is not a number from 1", name, quote(text))
	}
	return n, nil
}

// jsonString returns the text of a value that must be a JSON string.
func jsonString(name string, value []byte) (string, *Error) {
	if value[0] != '"' {
		return "", Errorf(CodeInvalid, "%s %s: is not a JSON string", name, quote(value))
	}
	text, ok := unquote(value)
	if !ok {
		return "", Errorf(CodeInvalid, "%s %s: is not Unicode text", name, quote(value))
	}
	return text, nil
}

func isNull(value []byte) bool { return value[0] == 'n' }

// parseTime reads a time as RFC 3339 has it into UTC.
func parseTime(name, text string) (time.Time, *Error) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil || !isStrictTime(text) {
		return time.Time{}, Errorf(CodeInvalid, "%s %s: is not an RFC 3339 time", name, quote(text))
	}
	t = t.UTC()
	if s := t.Unix(); s < minSeconds || s > maxSeconds {
		return time.Time{}, Errorf(CodeInvalid, "%s %s: is not in the years 1 to 9999", name, quote(text))
	}
	return t, nil
}

// isStrictTime refuses what time.Parse lets through: an hour of one digit, a comma
// before the fraction, an offset of more than 23:59.
func isStrictTime(text string) bool {
	if text[len("2006-01-02T15")] != ':' || strings.ContainsRune(text, ',') {
		return false
	}
	offset := text[len(text)-len("07:00"):]
	return text[len(text)-1] == 'Z' || offset[:2] <= "23" && offset[3:] <= "59"
}
