package cron

import "testing"

// Every node must write these bytes: they do not follow the standard library.
func TestToldIsWrittenAsAlways(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what told
		want string
	}{
		{told{}, `{"schedule":"a","incarnation":"7"}`},
		{
			told{Kind: "backfill", Batch: 3, Nominal: "2026-01-01T00:00:00Z", Reason: "\"\\<&>\b\f\n\r\t\x00\x1f\x7f\u00fc\u2028\u2029\xff\ufffd\U0001f600"},
			`{"schedule":"a","incarnation":"7","kind":"backfill","batch":"3","nominal":"2026-01-01T00:00:00Z","reason":"\"\\<&>\u0008\u000c\n\u000d\t\u0000\u001f` + "\x7f\u00fc\u2028\u2029" + `\ufffd` + "\ufffd\U0001f600" + `"}`,
		},
		{
			told{From: "2026-01-01T00:00:00Z", To: "2026-01-02T00:00:00Z", Count: 1000, AtLeast: true},
			`{"schedule":"a","incarnation":"7","from":"2026-01-01T00:00:00Z","to":"2026-01-02T00:00:00Z","count":1000,"at_least":true}`,
		},
	} {
		c.what.Schedule, c.what.Incarnation = "a", 7
		if got := string(c.what.data()); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}
