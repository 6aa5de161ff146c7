package event

import (
	"encoding/json"
	"unicode/utf16"
	"unicode/utf8"
)

// This file walks JSON text that is known to be valid: what encoding/json would do in
// several passes, and without its replacing of what is not UTF-8.

// checkJSON checks that b is one JSON value in UTF-8.
func checkJSON(b []byte) *Error {
	if !utf8.Valid(b) {
		return notUTF8("json", b)
	}
	if json.Valid(b) {
		return nil
	}
	var any json.RawMessage
	return Errorf(CodeInvalid, "json: %v", json.Unmarshal(b, &any))
}

// members yields the members of a valid JSON object: the name and the value, both as
// they stand in the text. It yields nothing for any other value.
func members(b []byte) func(yield func(name, value []byte) bool) {
	return func(yield func(name, value []byte) bool) {
		i := skipSpace(b, 0)
		if b[i] != '{' {
			return
		}
		for i = skipSpace(b, i+1); b[i] != '}'; {
			end := endOfValue(b, i)
			name := b[i:end]
			i = skipSpace(b, skipSpace(b, end)+1) // the colon
			end = endOfValue(b, i)
			if !yield(name, b[i:end]) {
				return
			}
			if i = skipSpace(b, end); b[i] == ',' {
				i = skipSpace(b, i+1)
			}
		}
	}
}

// elements yields the elements of a valid JSON array, and nothing for any other value.
func elements(b []byte) func(yield func(value []byte) bool) {
	return func(yield func(value []byte) bool) {
		i := skipSpace(b, 0)
		if b[i] != '[' {
			return
		}
		for i = skipSpace(b, i+1); b[i] != ']'; {
			end := endOfValue(b, i)
			if !yield(b[i:end]) {
				return
			}
			if i = skipSpace(b, end); b[i] == ',' {
				i = skipSpace(b, i+1)
			}
		}
	}
}

// startOf returns the first byte of a valid JSON value, which tells its type.
func startOf(b []byte) byte { return b[skipSpace(b, 0)] }

func skipSpace(b []byte, i int) int {
	for i < len(b) && isSpace(b[i]) {
		i++
	}
	return i
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

// endOfValue returns the index after the valid JSON value that begins at b[i].
func endOfValue(b []byte, i int) int {
	depth := 0
	for ; i < len(b); i++ {
		switch b[i] {
		case '"':
			i = endOfString(b, i)
			if depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i // of a number or literal
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ' ', '\n', '\t', '\r':
			if depth == 0 {
				return i
			}
		}
	}
	return i
}

// endOfString returns the index of the quote that ends the JSON string beginning at
// b[i], or the last index where none does.
func endOfString(b []byte, i int) int {
	for i++; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return len(b) - 1
}

// unquote returns the text of a valid JSON string, quotes included in b. It refuses
// half of a surrogate pair, which is no character.
func unquote(b []byte) (string, bool) {
	b = b[1 : len(b)-1]
	plain := 0
	for plain < len(b) && b[plain] != '\\' {
		plain++
	}
	if plain == len(b) {
		return string(b), true
	}
	out := append(make([]byte, 0, len(b)), b[:plain]...)
	for i := plain; i < len(b); i++ {
		if b[i] != '\\' {
			out = append(out, b[i])
			continue
		}
		i++
		if b[i] != 'u' {
			out = append(out, unescape(b[i]))
			continue
		}
		r := hex4(b[i+1:])
		i += 4
		if utf16.IsSurrogate(r) {
			if i+6 >= len(b) || b[i+1] != '\\' || b[i+2] != 'u' {
				return "", false
			}
			if r = utf16.DecodeRune(r, hex4(b[i+3:])); r == utf8.RuneError {
				return "", false
			}
			i += 6
		}
		out = utf8.AppendRune(out, r)
	}
	return string(out), true
}

func unescape(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	default:
		return c
	}
}

func hex4(b []byte) rune {
	var r rune
	for _, c := range b[:4] {
		r <<= 4
		if c <= '9' {
			r |= rune(c - '0')
		} else {
			r |= rune(c|0x20-'a') + 10
		}
	}
	return r
}

// AppendQuoted appends s as a JSON string, to the byte what it always was: histories are
// written by it. What is not UTF-8 becomes U+FFFD.
func AppendQuoted[T text](dst []byte, s T) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		size := 1
		if c >= utf8.RuneSelf {
			var r rune
			r, size = utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
			if r != utf8.RuneError || size != 1 {
				i += size
				continue
			}
		}
		dst = append(dst, s[start:i]...)
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		default:
			dst = append(dst, `\ufffd`...)
		}
		i += size
		start = i
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

// compactRuns yields JSON text without the white space between its tokens, in pieces.
// Text that is not JSON is cut up just as deterministically.
func compactRuns(b []byte) func(yield func(run []byte) bool) {
	return func(yield func(run []byte) bool) {
		start := 0
		for i := 0; i < len(b); i++ {
			switch b[i] {
			case '"':
				i = endOfString(b, i)
			case ' ', '\n', '\t', '\r':
				if start < i && !yield(b[start:i]) {
					return
				}
				start = i + 1
			}
		}
		if start < len(b) {
			yield(b[start:])
		}
	}
}

func appendCompact(dst, b []byte) []byte {
	for run := range compactRuns(b) {
		dst = append(dst, run...)
	}
	return dst
}

// nesting returns how deep arrays and objects stand in each other.
func nesting(b []byte) int {
	depth, deepest := 0, 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			i = endOfString(b, i)
		case '{', '[':
			depth++
			deepest = max(deepest, depth)
		case '}', ']':
			depth--
		}
	}
	return deepest
}
