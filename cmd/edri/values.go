package main

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/pflag"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
)

// parseWhen reads RFC 3339, or a duration that lies back from now. Commit times are
// nanoseconds since 1970 in 63 bits: what lies outside becomes the first or the last
// of them, which selects the same events.
func parseWhen(flag, s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return within(t, time.Unix(0, 1), time.Unix(0, math.MaxInt64)), nil
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return within(now.Add(-d), time.Unix(0, 1), now), nil
	}
	return time.Time{}, usagef("--%s %q: is neither RFC 3339, such as 2026-01-02T15:04:05Z, nor how long ago, such as 90m", flag, s)
}

func within(t, lo, hi time.Time) time.Time {
	switch {
	case t.Before(lo):
		return lo
	case t.After(hi):
		return hi
	}
	return t
}

func parseConsistency(s string) (client.Consistency, error) {
	switch s {
	case "stale":
		return client.Stale, nil
	case "linearizable":
		return client.Linearizable, nil
	}
	return 0, usagef("--consistency %q: is neither linearizable nor stale", s)
}

func parsePosition(what, s string) (event.Position, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n == 0 {
		return 0, usagef("%s %q: is not a position: 1, 2, 3 and so on", what, s)
	}
	return event.Position(n), nil
}

// filterFlags are the flags that select events.
type filterFlags struct {
	query        client.Query
	since, until string
	consistency  string
}

func (f *filterFlags) register(flags *pflag.FlagSet) {
	q := &f.query
	flags.StringVar(&q.Stream, "stream", "", "only this stream")
	flags.StringVar(&q.Type, "type", "", "only this type")
	flags.StringVar(&q.TypePrefix, "type-prefix", "", "only types that begin so")
	flags.StringVar(&q.Subject, "subject", "", "only this subject")
	flags.StringVar(&q.Source, "source", "", "only this source")
	flags.StringVar(&q.Correlation, "correlation", "", "only this correlation id")
	flags.Uint64Var((*uint64)(&q.From), "from", 0, "first position")
	flags.Uint64Var((*uint64)(&q.To), "to", 0, "last position")
	flags.StringVar(&f.since, "since", "", "committed at or after this time: RFC 3339, or how long ago")
	flags.StringVar(&f.until, "until", "", "committed at or before this time: RFC 3339, or how long ago")
	flags.Uint64Var(&q.Limit, "limit", 0, "at most so many events; 0 for all")
	flags.StringVar(&q.Cursor, "cursor", "", "where an earlier read with the same filter ended")
	flags.StringVar(&f.consistency, "consistency", "stale", "linearizable, to see all that was acknowledged before, or stale")
	flags.Uint64Var((*uint64)(&q.MinPosition), "min-position", 0, "wait until the node has this position, such as that of an own append")
}

func (f *filterFlags) parse() (q client.Query, err error) {
	q = f.query
	now := time.Now()
	if q.Since, err = parseWhen("since", f.since, now); err != nil {
		return q, err
	}
	if q.Until, err = parseWhen("until", f.until, now); err != nil {
		return q, err
	}
	q.Consistency, err = parseConsistency(f.consistency)
	return q, err
}

// printable makes what others wrote harmless for a terminal: characters that are
// not printable become escapes.
func printable(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n == 1 || !unicode.IsPrint(r) {
			quoted := strconv.Quote(s[:n])
			b.WriteString(quoted[1 : len(quoted)-1])
		} else {
			b.WriteRune(r)
		}
		s = s[n:]
	}
	return b.String()
}
