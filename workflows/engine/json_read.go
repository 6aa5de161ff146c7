package engine

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// JSON is read here without encoding/json, whose versions differ: in names that come
// twice, text that is not UTF-8, halves of surrogate pairs, depth, and the words of an
// error. Apply must make the same of it on each node, whatever Go that was built with.
//
// The reader takes what encoding/json of Go 1.26 took, and makes the same of it, since
// logs and rows have such JSON. What other readers would take differently check.go refuses
// from now on, where it enters.

// maxDepth is how deep the JSON that is read may nest; that of events is anybody's.
const maxDepth = 10_000

// jsonReader reads JSON (RFC 8259), one value after the other. After the first that is
// none, all others are none.
type jsonReader struct {
	rest    []byte
	depth   int
	deepest int
	bad     bool
}

// jsonValue is a value that was read.
type jsonValue struct {
	// kind is its first byte, but '0' for a number and 'n' for null; 0: there is none.
	kind byte
	raw  []byte // as it stands in the text, which it aliases
}

func (r *jsonReader) fail() { r.rest, r.bad = nil, true }

// ended reports whether all was JSON, and nothing is left.
func (r *jsonReader) ended() bool {
	r.peek()
	return !r.bad && len(r.rest) == 0
}

// peek returns the byte with which the next token begins, 0 at the end.
func (r *jsonReader) peek() byte {
	for len(r.rest) > 0 {
		switch c := r.rest[0]; c {
		case ' ', '\t', '\r', '\n':
			r.rest = r.rest[1:]
		default:
			return c
		}
	}
	return 0
}

// accept takes a token of one byte, if that is the next.
func (r *jsonReader) accept(c byte) bool {
	if r.peek() != c {
		return false
	}
	r.rest = r.rest[1:]
	return true
}

// value reads a value.
func (r *jsonReader) value() jsonValue {
	kind := r.peek()
	begin := r.rest
	switch kind {
	case '{':
		r.object(func(jsonValue) { r.value() })
	case '[':
		r.array(func(int) { r.value() })
	case '"':
		r.quoted()
	case 't':
		r.literal("true")
	case 'f':
		r.literal("false")
	case 'n':
		r.literal("null")
	default:
		kind = '0'
		r.number()
	}
	if r.bad {
		return jsonValue{}
	}
	return jsonValue{kind, begin[:len(begin)-len(r.rest)]}
}

// object reads an object. member is called with each name, a text, to read what it names.
func (r *jsonReader) object(member func(name jsonValue)) {
	r.list('{', '}', func(int) {
		if r.peek() != '"' {
			r.fail()
			return
		}
		name := r.value()
		if !r.accept(':') {
			r.fail()
			return
		}
		member(name)
	})
}

// array reads an array. element is called with each index, to read what is there.
func (r *jsonReader) array(element func(i int)) { r.list('[', ']', element) }

func (r *jsonReader) list(begin, end byte, item func(i int)) {
	if !r.accept(begin) || r.depth == maxDepth {
		r.fail()
		return
	}
	r.depth++
	r.deepest = max(r.deepest, r.depth)
	for i := 0; !r.bad && !r.accept(end); i++ {
		if i > 0 && !r.accept(',') {
			r.fail()
			return
		}
		item(i)
	}
	r.depth--
}

func (r *jsonReader) literal(word string) {
	if len(r.rest) < len(word) || string(r.rest[:len(word)]) != word {
		r.fail()
		return
	}
	r.rest = r.rest[len(word):]
}

// quoted reads a string.
func (r *jsonReader) quoted() {
	for i := 1; i < len(r.rest); i++ {
		switch c := r.rest[i]; {
		case c == '"':
			r.rest = r.rest[i+1:]
			return
		case c < ' ':
			r.fail()
			return
		case c == '\\':
			size := escapeSize(r.rest[i:])
			if size == 0 {
				r.fail()
				return
			}
			i += size - 1
		}
	}
	r.fail()
}

// escapeSize returns how long the escape is that b begins with, 0 where it is none.
func escapeSize(b []byte) int {
	switch {
	case len(b) == 0 || b[0] != '\\':
	case len(b) >= 6 && b[1] == 'u' && hex4(b[2:6]) >= 0:
		return 6
	case len(b) >= 2 && strings.IndexByte(`"\/bfnrt`, b[1]) >= 0:
		return 2
	}
	return 0
}

// hex4 returns what four hexadecimal digits stand for, -1 where they are others.
func hex4(b []byte) (r rune) {
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// number reads a number.
func (r *jsonReader) number() {
	one := func(of string) bool {
		ok := len(r.rest) > 0 && strings.IndexByte(of, r.rest[0]) >= 0
		if ok {
			r.rest = r.rest[1:]
		}
		return ok
	}
	digits := func() {
		if !one("0123456789") {
			r.fail()
		}
		for one("0123456789") {
		}
	}
	one("-")
	if !one("0") {
		digits()
	}
	if one(".") {
		digits()
	}
	if one("eE") {
		one("+-")
		digits()
	}
}

// text returns what a string says. Half of a surrogate pair, and each byte that is not
// UTF-8, is U+FFFD.
func (v jsonValue) text() string {
	b := v.raw[1 : len(v.raw)-1]
	if bytes.IndexByte(b, '\\') < 0 && utf8.Valid(b) {
		return string(b)
	}
	out := make([]byte, 0, len(b))
	for len(b) > 0 {
		var c rune
		c, b = nextRune(b)
		out = utf8.AppendRune(out, c)
	}
	return string(out)
}

// hasHalfPair reports whether a string has half of a surrogate pair, which is no text.
func (v jsonValue) hasHalfPair() bool {
	for b := v.raw[1 : len(v.raw)-1]; len(b) > 0; {
		escaped := b[0] == '\\' && b[1] == 'u' && utf16.IsSurrogate(hex4(b[2:6]))
		var c rune
		if c, b = nextRune(b); escaped && c == utf8.RuneError {
			return true
		}
	}
	return false
}

// nextRune takes the next character of a string that was read.
func nextRune(b []byte) (c rune, rest []byte) {
	if b[0] != '\\' {
		c, size := utf8.DecodeRune(b)
		return c, b[size:]
	}
	size := escapeSize(b)
	if size == 2 {
		if i := strings.IndexByte("bfnrt", b[1]); i >= 0 {
			return rune("\b\f\n\r\t"[i]), b[2:]
		}
		return rune(b[1]), b[2:]
	}
	c = hex4(b[2:6])
	if !utf16.IsSurrogate(c) {
		return c, b[6:]
	}
	if low := b[6:]; escapeSize(low) == 6 {
		if both := utf16.DecodeRune(c, hex4(low[2:6])); both != utf8.RuneError {
			return both, low[6:]
		}
	}
	return utf8.RuneError, b[6:]
}

// at reads a value, and returns what in it a path of names and indexes leads to. Of a name
// that comes twice the last counts.
func (r *jsonReader) at(path []string) (found jsonValue) {
	if len(path) == 0 {
		return r.value()
	}
	switch r.peek() {
	case '{':
		r.object(func(name jsonValue) {
			if name.text() == path[0] {
				found = r.at(path[1:])
			} else {
				r.value()
			}
		})
	case '[':
		index, err := strconv.Atoi(path[0])
		r.array(func(i int) {
			if err == nil && i == index {
				found = r.at(path[1:])
			} else {
				r.value()
			}
		})
	default:
		r.value()
	}
	if r.bad {
		return jsonValue{}
	}
	return found
}

// members calls f with what an object has, and reports whether the text is an object and
// nothing else.
func members(text []byte, f func(name, v jsonValue)) bool {
	r := jsonReader{rest: text}
	r.object(func(name jsonValue) {
		if v := r.value(); v.kind != 0 {
			f(name, v)
		}
	})
	return r.ended()
}

// member returns what an object has by a name. The object is one that the machine wrote.
func member(object []byte, name string) jsonValue {
	r := jsonReader{rest: object}
	return r.at([]string{name})
}
