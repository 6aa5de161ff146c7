package cron

import (
	"strconv"
	"unicode/utf8"
)

// The data of events of edri's own is JSON that is written here, so that each node writes
// the same, whatever its version of the standard library.

// object is a JSON object that is being written.
type object struct{ b []byte }

func (o *object) key(name string) {
	if len(o.b) == 0 {
		o.b = append(o.b, '{')
	} else {
		o.b = append(o.b, ',')
	}
	o.b = append(appendString(o.b, name), ':')
}

func (o *object) text(name, v string) *object {
	o.key(name)
	o.b = appendString(o.b, v)
	return o
}

// given is text, unless it is empty.
func (o *object) given(name, v string) *object {
	if v == "" {
		return o
	}
	return o.text(name, v)
}

func (o *object) number(name string, v uint64) *object {
	o.key(name)
	o.b = strconv.AppendUint(o.b, v, 10)
	return o
}

func (o *object) done() []byte { return append(o.b, '}') }

const hex = "0123456789abcdef"

// appendString appends a JSON string. It escapes what older versions of edri did, which used
// encoding/json: nodes of both write the same.
func appendString(dst []byte, text string) []byte {
	dst = append(dst, '"')
	for len(text) > 0 {
		c, size := utf8.DecodeRuneInString(text)
		text = text[size:]
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', byte(c))
		case c == '\b':
			dst = append(dst, '\\', 'b')
		case c == '\f':
			dst = append(dst, '\\', 'f')
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c < 0x20, c == '<', c == '>', c == '&', c == '\u2028', c == '\u2029', c == utf8.RuneError && size == 1:
			dst = append(dst, '\\', 'u', hex[c>>12&15], hex[c>>8&15], hex[c>>4&15], hex[c&15])
		default:
			dst = utf8.AppendRune(dst, c)
		}
	}
	return append(dst, '"')
}
