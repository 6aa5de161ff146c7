package cron

import (
	"strings"
	"testing"
	"time"

	"github.com/edri-io/edri/event"
)

func mustZone(t testing.TB, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func TestExpressionsFireByTheWallClock(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		expression, zone, after, want string
	}{
		"five fields":                           {"30 4 * * *", "UTC", "2026-01-01T00:00:00Z", "2026-01-01T04:30:00Z 2026-01-02T04:30:00Z"},
		"six fields":                            {"15 30 4 * * *", "UTC", "2026-01-01T00:00:00Z", "2026-01-01T04:30:15Z"},
		"descriptor":                            {"@daily", "Europe/Berlin", "2026-01-01T00:00:00Z", "2026-01-01T23:00:00Z"},
		"spring: missing time at the gap's end": {"30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", "2026-03-28T01:30:00Z 2026-03-29T01:00:00Z 2026-03-30T00:30:00Z"},
		"spring: missing times collapse":        {"*/20 2 * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z 2026-03-30T00:00:00Z"},
		"autumn: repeated time once":            {"30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z 2026-10-26T01:30:00Z"},
		"autumn: asked within the second":       {"*/20 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", "2026-10-26T01:00:00Z"},
		"spring: every real hour":               {"30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-29T00:30:00Z 2026-03-29T01:30:00Z"},
		"autumn: every real hour":               {"30 * * * *", "Europe/Berlin", "2026-10-24T23:45:00Z", "2026-10-25T00:30:00Z 2026-10-25T01:30:00Z 2026-10-25T02:30:00Z"},
		"a day that did not exist":              {"0 12 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", "2011-12-30T10:00:00Z 2012-12-29T22:00:00Z"},
		"midnight that does not exist":          {"0 0 * * *", "America/Sao_Paulo", "2018-11-03T12:00:00Z", "2018-11-04T03:00:00Z 2018-11-05T02:00:00Z"},
		"half an hour is repeated":              {"45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00:00Z", "2026-04-04T14:45:00Z 2026-04-05T15:15:00Z"},
		"leap day over 2100":                    {"0 0 29 2 *", "UTC", "2097-01-01T00:00:00Z", "2104-02-29T00:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x, err := parseExpression("cron", c.expression)
			if err != nil {
				t.Fatal(err)
			}
			at, err := time.Parse(time.RFC3339, c.after)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for range strings.Fields(c.want) {
				at = x.nextIn(at, mustZone(t, c.zone))
				got = append(got, at.Format(time.RFC3339))
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestBadExpressionsAreRefused(t *testing.T) {
	t.Parallel()
	for text, why := range map[string]string{
		"":                              "is missing",
		"TZ=UTC":                        "use the field zone",
		"CRON_TZ=Asia/Tokyo 0 0 * * *":  "use the field zone",
		"@every -5s":                    "use the field every",
		"@every 1h":                     "use the field every",
		"@reboot":                       "unrecognized descriptor",
		"0 0 31 2 *":                    "its dates do not exist",
		"0 0 30 2 *":                    "its dates do not exist",
		", * * * *":                     "its minute is empty",
		"* * , * *":                     "its day of month is empty",
		"* * * *":                       "expected 5 to 6 fields",
		"61 * * * *":                    "above maximum",
		"*/0 * * * *":                   "step of range should be a positive number",
		"5-1 * * * *":                   "beyond end of range",
		"0 0 * * mond":                  "failed to parse",
		"0 0 * * *\n":                   "which is not allowed",
		strings.Repeat("1,", 200) + "1": "is more than 255",
	} {
		_, err := parseExpression("cron", text)
		if code := event.CodeOf(err); code != event.CodeInvalid && code != event.CodeTooLarge || !strings.HasPrefix(err.Error(), string(code)+": cron") || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: got %v, want %q", text, err, why)
		}
	}
}

// Whatever the text, neither parsing nor looking for fires panics or hangs.
func FuzzExpression(f *testing.F) {
	for _, text := range []string{"0 0 30 12 *", "TZ=UTC", "@every 5s", "*/7 1-5 * jan-mar mon,fri", ", , , , ,", "* * * * * *"} {
		f.Add(text, int64(1325152800), uint8(0))
	}
	f.Fuzz(func(t *testing.T, text string, second int64, zone uint8) {
		x, err := parseExpression("cron", text)
		if err != nil {
			return
		}
		after := time.Unix(second%7_000_000_000, 0).UTC()
		next := x.nextIn(after, mustZone(t, oracleZones[int(zone)%len(oracleZones)]))
		if !next.IsZero() && !next.After(after) {
			t.Errorf("%q: %v after %v", text, next, after)
		}
	})
}
