package event

import (
	"bytes"
	"net/netip"
)

// Classes of characters, by the grammars that name them.
const (
	classURI      = 1 << iota // anywhere in a URI reference, '%' apart (RFC 3986), beyond ASCII too (RFC 3987)
	classScheme               // in a scheme, after its first letter
	classUserinfo             // in the userinfo of an authority
	classToken                // in a token (RFC 9110)
)

var charClass = makeCharClass()

func makeCharClass() (class [256]uint8) {
	const alnum = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	mark := func(bit uint8, sets ...string) {
		for _, set := range sets {
			for i := range len(set) {
				class[set[i]] |= bit
			}
		}
	}
	const unreserved, subDelims = "-._~", "!$&'()*+,;="
	mark(classURI, alnum, unreserved, subDelims, ":/?#[]@")
	mark(classScheme, alnum, "+-.")
	mark(classUserinfo, alnum, unreserved, subDelims, ":%")
	mark(classToken, alnum, "!#$%&'*+-.^_`|~")
	for c := 0x80; c <= 0xff; c++ {
		class[c] |= classURI
	}
	return class
}

// checkURI checks an absolute URI: a URI reference with a scheme.
func checkURI[W text](what W, s []byte) *Error {
	if err := checkURIReference(what, s); err != nil {
		return err
	}
	if schemeLength(s) <= 0 {
		return Errorf(CodeInvalid, "%s %s: is not an absolute URI", what, quote(s))
	}
	return nil
}

// checkURIReference checks an absolute or relative URI (RFC 3986), in which characters
// beyond ASCII are also allowed. Whatever passes, net/url accepts.
func checkURIReference[W text](what W, s []byte) *Error {
	ascii := true
	marks := 0
	for i, c := range s {
		if charClass[c]&classURI == 0 {
			if c != '%' {
				return Errorf(CodeInvalid, "%s %s: the character %q is not allowed in a URI", what, quote(s), rune(c))
			}
			if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
				return Errorf(CodeInvalid, "%s %s: a %% must be followed by two hexadecimal digits", what, quote(s))
			}
		}
		if c == '#' {
			marks++
		}
		ascii = ascii && c < 0x80
	}
	if !ascii {
		if err := checkText(what, s); err != nil {
			return err
		}
	}
	scheme := schemeLength(s)
	if scheme < 0 || marks > 1 {
		return Errorf(CodeInvalid, "%s %s: is not a URI reference", what, quote(s))
	}
	rest := s[scheme:]
	if len(rest) >= 2 && rest[0] == '/' && rest[1] == '/' {
		rest = rest[2:]
		end := bytes.IndexAny(rest, "/?#")
		if end < 0 {
			end = len(rest)
		}
		if !isAuthority(rest[:end]) {
			return Errorf(CodeInvalid, "%s %s: its host is malformed", what, quote(s))
		}
		rest = rest[end:]
	}
	if bytes.IndexByte(rest, '[') >= 0 || bytes.IndexByte(rest, ']') >= 0 {
		return Errorf(CodeInvalid, "%s %s: brackets are allowed only around a host's IPv6 address", what, quote(s))
	}
	return nil
}

// schemeLength returns the length of the scheme with its colon, 0 for a relative
// reference, and -1 where a colon stands in the first segment without being the end of
// a scheme.
func schemeLength(s []byte) int {
	for i, c := range s {
		switch {
		case c == ':':
			if i == 0 {
				return -1
			}
			return i + 1
		case c == '/' || c == '?' || c == '#':
			return 0
		case charClass[c]&classScheme == 0, i == 0 && (c|0x20 < 'a' || c|0x20 > 'z'):
			return colonInSegment(s[i:])
		}
	}
	return 0
}

// colonInSegment returns -1 if a colon stands in the rest of the first segment, else 0.
func colonInSegment(s []byte) int {
	if i := bytes.IndexAny(s, ":/?#"); i >= 0 && s[i] == ':' {
		return -1
	}
	return 0
}

// isAuthority checks [ userinfo "@" ] host [ ":" port ].
func isAuthority(s []byte) bool {
	if at := bytes.LastIndexByte(s, '@'); at >= 0 {
		for _, c := range s[:at] {
			if charClass[c]&classUserinfo == 0 {
				return false
			}
		}
		s = s[at+1:]
	}
	var port []byte
	if len(s) > 0 && s[0] == '[' {
		end := bytes.IndexByte(s, ']')
		if end < 0 {
			return false
		}
		addr, err := netip.ParseAddr(string(s[1:end]))
		if err != nil || !addr.Is6() || addr.Zone() != "" {
			return false
		}
		if port = s[end+1:]; len(port) == 0 {
			return true
		}
		if port[0] != ':' {
			return false
		}
		port = port[1:]
	} else {
		colon := bytes.IndexByte(s, ':')
		host := s
		if colon >= 0 {
			host, port = s[:colon], s[colon+1:]
		}
		if !isHostName(host) {
			return false
		}
	}
	for _, c := range port {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// isHostName checks a registered name. An escape in it may stand only for a byte beyond
// ASCII, since every other has one spelling.
func isHostName(s []byte) bool {
	for i, c := range s {
		switch {
		case c == '[' || c == ']' || c == '@':
			return false
		case c == '%' && s[i+1] < '8':
			return false
		}
	}
	return true
}

func isHex(c byte) bool {
	return c-'0' <= 9 || c|0x20 >= 'a' && c|0x20 <= 'f'
}
