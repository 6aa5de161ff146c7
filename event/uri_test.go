package event

import (
	"net/url"
	"strings"
	"testing"
)

func TestURIReference(t *testing.T) {
	t.Parallel()
	valid := []string{
		"https://github.com/a/b", "urn:uuid:1", "mailto:a@b.c", "/sensors/tn-1234567/alerts", "1-555-123-4567",
		"a", "..", "", "?a=b", "#f", "//host", "http://[::1]", "http://[2001:db8::1]:80/x", "http://h:", "file:///x",
		"a/b:c", "größe", "http://größe.example/ä", "%20", "http://u:p%20@h:1", "s:a@b:c", "a@b",
	}
	// The last: a bracket outside a host, which net/url would accept.
	invalid := []string{
		"a b", "\x00", "a\"b", "<a>", "{a}", "a|b", "a\\b", "a^b", "`", "%", "%1", "%zz", ":a", "1:2", "a%20:b",
		"http://h:x", "http://[::1", "http://[::1]x", "http://[1.2.3.4]", "http://a[b]", "#a#b", "http://a:b:c",
		"http://%20/", "ä:b", "http://ä@h", "\u0085", "a?[",
	}
	for _, s := range valid {
		if err := checkURIReference("source", []byte(s)); err != nil {
			t.Errorf("%q: %v", s, err)
		}
		if _, err := url.Parse(s); err != nil {
			t.Errorf("net/url refuses %q: %v", s, err)
		}
	}
	for _, s := range invalid {
		if err := checkURIReference("source", []byte(s)); err == nil {
			t.Errorf("%q is accepted", s)
		}
	}
	for s, want := range map[string]bool{"a:b": true, "a": false, "//h": false, "http://h": true, "": false} {
		if got := checkURI("dataschema", []byte(s)) == nil; got != want {
			t.Errorf("%q is an absolute URI: %v, want %v", s, got, want)
		}
	}
}

func FuzzURIReference(f *testing.F) {
	for _, s := range []string{"http://u@h:1/p?q#f", "//[::1]:1", "a:b", "%41", "//%C3%BC/", "//a%25", "größe"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if checkURIReference("x", []byte(s)) != nil {
			return
		}
		if _, err := url.Parse(s); err != nil {
			t.Errorf("net/url refuses %q: %v", s, err)
		}
	})
}

func TestName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a", " ", "größe", "日本", strings.Repeat("x", 255), "..", "/", "\ufffd", "\U0001f600"} {
		if err := CheckName("stream", name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{
		"", strings.Repeat("x", 256), "\x00", "a\x7f", "\u009f", "\xff", "\xed\xa0\x80", "\ufdd0", "\U0001ffff", "\ufffd\xff",
	} {
		err := CheckName("stream", []byte(name))
		if CodeOf(err) != CodeInvalid || !strings.HasPrefix(err.Error(), "invalid: stream") {
			t.Errorf("%q: got %v", name, err)
		}
	}
}
