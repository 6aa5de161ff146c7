package engine

import (
	"strings"
	"testing"

	"github.com/edri-io/edri/event"
)

var testDeclared = map[string][]attributeType{
	"customer": {typeString, typeNumber}, "total": {typeNumber}, "rush": {typeBool}, "due": {typeTime}, "code": {typeString, typeTime},
}

func TestParseFilter(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ filter, want string }{
		{"", ""}, {" \n\t ", ""},
		{`status = "running"`, ""}, {`status!='failed'and not paused=true`, ""},
		{`(((type in ("a", 'b\'c"\\'))))`, ""}, {`total >= -1.5e3 or total < .5`, ""},
		{`started >= "2026-01-01" and ended < "2026-01-01T10:00:00.5+02:00"`, ""},
		{`customer in ("a", 7) and code = "2026-01-01" and version = 2`, ""},
		{`rush = true and rush in (true, false) and due = "2026-01-01"`, ""},
		{`code >= "2026-01-01"`, ""}, {`status prefix "run"`, ""}, {`id prefix "é"`, ""},

		{`status`, "column 7: ends where =, !=, <, <=, >, >=, in or prefix is expected"},
		{`status = `, "column 10: ends where a value is expected"},
		{`status = "runing"`, `column 10: there is no status "runing"`},
		{`nothing = 1`, "column 1: nothing is neither a field nor an attribute that a workflow declares"},
		{`status = "running" type = "a"`, `column 20: "type" stands where and, or, or the end is expected`},
		{`status = "running" and`, "column 23: ends where a field, not or ( is expected"},
		{`id = "é" and total = "x"`, "column 22: x is no value that total, a number, can be compared with so"},
		{`total = 1x`, "column 9: 1x is no value"},
		{`total = 1e999`, "column 9: 1e999 is no value"},
		{`total = 0x1`, "column 9: 0x1 is no value"},
		{`total prefix 1`, "column 14: 1 is no value"},
		{`rush < true`, "column 8: true is no value"},
		{`paused = "true"`, "column 10: true is no value"},
		{`started = 7`, "column 11: 7 is no value"},
		{`started = "yesterday"`, "column 11: yesterday is no value"},
		{`started = "9999-01-01"`, "column 11: 9999-01-01 is no value"},
		{`type = "a`, "column 8: the text that begins here does not end"},
		{`type = "a\n"`, `column 10: behind \ stands neither \ nor a quotation mark`},
		{`type = "a\`, "column 8: the text that begins here does not end"},
		{`type in "a"`, `column 9: "a" stands where ( is expected`},
		{`type in ("a"`, "column 13: ends where ) is expected"},
		{`type in ()`, `column 10: ")" stands where a value is expected`},
		{`(type = "a"`, "column 12: ends where ) is expected"},
		{`type ! "a"`, `column 6: "!" stands where =`},
		{`type == "a"`, `column 7: "=" stands where a value is expected`},
		{`type = "a" & 1`, `column 12: '&' means nothing`},
		{`"a" = type`, `column 1: "a" stands where a field, not or ( is expected`},
		{strings.Repeat("(", 100), "column 66: more than 64 levels deep"},
		{strings.Repeat("not ", 100), "column 261: more than 64 levels deep"},
		{"type = \"\xff\"", "column 1: is no UTF-8"},
	} {
		_, err := parseFilter(c.filter, testDeclared)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.filter, err)
		case c.want != "" && (event.CodeOf(err) != event.CodeInvalid || !strings.Contains(err.Error(), "filter, "+c.want)):
			t.Errorf("%s\n\tgot  %v\n\twant %s", c.filter, err, c.want)
		}
	}
	if _, err := parseFilter(strings.Repeat(" ", maxFilterBytes+1), nil); event.CodeOf(err) != event.CodeTooLarge {
		t.Errorf("long filter: %v", err)
	}
}

func FuzzParseFilter(f *testing.F) {
	for _, s := range []string{`status = "running" and not (total >= 1.5 or customer in ('a', 7))`, `due < "2026-01-01"`, `code prefix "a\\"`, `((`, `a != "`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseFilter(text, testDeclared)
		if err != nil {
			if code := event.CodeOf(err); code != event.CodeInvalid && code != event.CodeTooLarge {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		// What was read can be held against a run, and bounds a range.
		if c != nil {
			if _, err := c.holds(&subject{run: &run{status: statusRunning}, kept: &details{}}); err != nil {
				t.Fatal(err)
			}
			spanOf(c, testDeclared)
		}
	})
}
