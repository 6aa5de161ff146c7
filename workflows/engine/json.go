package engine

import "strconv"

// The data of what the machine records is JSON that it writes by itself, so that each
// node writes the same, whatever its version of the standard library.

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

// text adds a member, unless it is empty.
func (o *object) text(name string, v []byte) *object {
	if len(v) > 0 {
		o.key(name)
		o.b = appendString(o.b, v)
	}
	return o
}

// json adds a member whose value is JSON, unless it is empty.
func (o *object) json(name string, v []byte) *object {
	if len(v) > 0 {
		o.key(name)
		o.b = append(o.b, v...)
	}
	return o
}

func (o *object) number(name string, v uint64) *object {
	o.key(name)
	o.b = strconv.AppendUint(o.b, v, 10)
	return o
}

func (o *object) done() []byte {
	if len(o.b) == 0 {
		return []byte("{}")
	}
	return append(o.b, '}')
}

const hex = "0123456789abcdef"

// appendString appends text, which is UTF-8, as a JSON string.
func appendString[T ~string | ~[]byte](dst []byte, text T) []byte {
	dst = append(dst, '"')
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}

// failure is a workflows.Error.
func failure(typ, message string) []byte {
	var o object
	return o.text("type", []byte(typ)).text("message", []byte(message)).done()
}

// seqData is a workflows.Seq.
func seqData(seq uint64) []byte {
	var o object
	return o.number("seq", seq).done()
}

// noteData is a workflows.Note.
func noteData(reason, details []byte) []byte {
	var o object
	return o.text("reason", reason).json("details", details).done()
}
