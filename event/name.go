package event

import (
	"fmt"
	"unicode/utf8"
)

// text is what names and values come as: bytes where they alias an encoded event.
type text interface{ ~string | ~[]byte }

// CheckName returns an *Error unless name is a name: 1 to 255 bytes of UTF-8 without
// control characters (and without the code points that Unicode keeps out of text).
// What says in the message whose name it is, as in "stream".
func CheckName[T ~string | ~[]byte](what string, name T) error {
	if err := checkName(what, name); err != nil {
		return err
	}
	return nil
}

// CheckText is CheckName for what may be empty and as long as most bytes.
func CheckText[T ~string | ~[]byte](what string, text T, most int) error {
	if len(text) > most {
		return TooLarge(what+" in bytes", int64(len(text)), int64(most))
	}
	if err := checkText(what, text); err != nil {
		return err
	}
	return nil
}

func checkName[W, T text](what W, name T) *Error {
	switch {
	case len(name) == 0:
		return Errorf(CodeInvalid, "%s: is missing", what)
	case len(name) > MaxNameBytes:
		e := Errorf(CodeInvalid, "%s %s: is longer than %d bytes", what, quote(name), MaxNameBytes)
		e.Size, e.Max = int64(len(name)), MaxNameBytes
		return e
	}
	return checkText(what, name)
}

// checkText holds s to the rules for a CloudEvents string: UTF-8, no C0 or C1 control
// characters, no noncharacters.
func checkText[W, T text](what W, s T) *Error {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c-0x20 >= 0x7f-0x20 {
			return checkRunes(what, s)
		}
	}
	return nil
}

func checkRunes[W, T text](what W, s T) *Error {
	for i, r := range string(s) {
		switch {
		case r == utf8.RuneError && !utf8.ValidString(string(s)):
			return Errorf(CodeInvalid, "%s %s: is not UTF-8", what, quote(s))
		case isBanned(r):
			return Errorf(CodeInvalid, "%s %s: has the character %s at byte %d, which is not allowed",
				what, quote(s), fmt.Sprintf("%U", r), i)
		}
	}
	return nil
}

// notUTF8 is the error for a long text, which shows where it is wrong.
func notUTF8(what string, text []byte) *Error {
	at := 0
	for at < len(text) {
		r, size := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		at += size
	}
	return Errorf(CodeInvalid, "%s: is not UTF-8 at byte %d, %s", what, at, quote(text[at:min(at+16, len(text))]))
}

// isBanned reports whether CloudEvents keeps r out of strings.
func isBanned(r rune) bool {
	return r < 0x20 || r >= 0x7f && r <= 0x9f || // C0, DEL, C1
		r >= 0xfdd0 && r <= 0xfdef || r&0xfffe == 0xfffe // noncharacters
}

// isAttributeName reports whether name is made of lower-case letters and digits.
func isAttributeName[T text](name T) bool {
	if len(name) == 0 || len(name) > MaxNameBytes {
		return false
	}
	for i := 0; i < len(name); i++ {
		if c := name[i]; c-'a' > 'z'-'a' && c-'0' > '9'-'0' {
			return false
		}
	}
	return true
}
