package jsonwrite

import (
	"strconv"

	"github.com/edri-io/edri/event"
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
	o.b = append(event.AppendQuoted(o.b, name), ':')
}

// Text adds a member, unless it is empty.
func (o *Object) Text(name string, v []byte) *Object {
	if len(v) > 0 {
		o.key(name)
		o.b = event.AppendQuoted(o.b, v)
	}
	return o
}

// String is Text of a string.
func (o *Object) String(name, v string) *Object {
	if v != "" {
		o.key(name)
		o.b = event.AppendQuoted(o.b, v)
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
