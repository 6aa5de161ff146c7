package jsonwrite

import (
	"strconv"
	"unicode/utf8"
)

// Object is a JSON object that is being written, its members in the order in which they come.
// The zero Object is empty.
type Object struct{ b []byte }

func (o *Object) key(name string) {
	if len(o.b) == 0 {
		o.b = append(o.b, '{')
	} else {
		o.b = append(o.b, ',')
	}
	o.b = append(AppendString(o.b, name), ':')
}

// Text adds a member, unless it is empty.
func (o *Object) Text(name string, v []byte) *Object {
	if len(v) > 0 {
		o.key(name)
		o.b = AppendString(o.b, v)
	}
	return o
}

// String is Text of a string.
func (o *Object) String(name, v string) *Object {
	if v != "" {
		o.key(name)
		o.b = AppendString(o.b, v)
	}
	return o
}

// JSON adds a member whose value is JSON, unless it is empty.
func (o *Object) JSON(name string, v []byte) *Object {
	if len(v) > 0 {
		o.key(name)
		o.b = append(o.b, v...)
	}
	return o
}

// Number adds a member.
func (o *Object) Number(name string, v uint64) *Object {
	o.key(name)
	o.b = strconv.AppendUint(o.b, v, 10)
	return o
}

// Done returns the object.
func (o *Object) Done() []byte {
	if len(o.b) == 0 {
		return []byte("{}")
	}
	return append(o.b, '}')
}

const hex = "0123456789abcdef"

// AppendString appends text as a JSON string. What of it is no UTF-8 becomes the character
// that stands for such.
func AppendString[T ~string | ~[]byte](dst []byte, text T) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		case c < utf8.RuneSelf:
			dst = append(dst, c)
		default:
			r, size := utf8.DecodeRuneInString(string(text[i:min(len(text), i+utf8.UTFMax)]))
			dst = utf8.AppendRune(dst, r)
			i += size
			continue
		}
		i++
	}
	return append(dst, '"')
}
