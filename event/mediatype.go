package event

import (
	"bytes"
	"encoding/json"
)

// checkMediaType checks a datacontenttype: type "/" subtype, then perhaps parameters
// after a semicolon, which are not looked into (RFC 2046).
func checkMediaType(s []byte) *Error {
	if err := checkName(attrDataContentType, s); err != nil {
		return err
	}
	major, minor, ok := bytes.Cut(essence(s), []byte("/"))
	if !ok || !isToken(major) || !isToken(minor) {
		return Errorf(CodeInvalid, "datacontenttype %s: is not a media type", quote(s))
	}
	return nil
}

// essence returns the media type without its parameters.
func essence[T text](s T) T {
	end := 0
	for i := 0; i < len(s) && s[i] != ';'; i++ {
		if s[i] != ' ' {
			end = i + 1
		}
	}
	return s[:end]
}

// isToken reports whether s is a token of RFC 9110.
func isToken(s []byte) bool {
	for _, c := range s {
		if charClass[c]&classToken == 0 {
			return false
		}
	}
	return len(s) > 0
}

// isJSONType reports whether data of this content type is JSON. No content type means
// JSON, as in the CloudEvents JSON format.
func isJSONType[T text](contentType T) bool {
	s := essence(contentType)
	return len(s) == 0 || hasSuffixFold(s, "/json") || hasSuffixFold(s, "+json")
}

// CheckData refuses data that is declared to be JSON and is none. It is for who makes an event
// by hand: nodes take data as it comes, since to read it would cost more than all else that
// they check of an event.
func CheckData(contentType string, data []byte) error {
	if contentType != "" && data != nil && isJSONType(contentType) && !json.Valid(data) {
		return Errorf(CodeInvalid, "data: is no JSON, which its content type %s says", quote(contentType))
	}
	return nil
}

// isTextType reports whether data of this content type is text, to be shown as such:
// JSON, XML, and everything under text/.
func isTextType[T text](contentType T) bool {
	s := essence(contentType)
	return isJSONType(s) || hasSuffixFold(s, "/xml") || hasSuffixFold(s, "+xml") ||
		len(s) >= 5 && equalFold(s[:5], "text/")
}

func hasSuffixFold[T text](s T, suffix string) bool {
	return len(s) >= len(suffix) && equalFold(s[len(s)-len(suffix):], suffix)
}

// equalFold compares s with a lower-case ASCII text of its length.
func equalFold[T text](s T, lower string) bool {
	for i := range len(lower) {
		c := s[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
