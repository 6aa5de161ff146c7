package cron

import (
	"fmt"
	"strings"
	"time"

	robfig "github.com/robfig/cron/v3"

	"github.com/edri-io/edri/event"
)

const (
	// maxExpressionBytes bounds what the parser has to look at.
	maxExpressionBytes = 255
	// robfig looks five years ahead. 29 February is up to eight years away (over 2100),
	// nothing that exists is further.
	searchYears = 5
	searches    = 3
)

// expression is a cron expression. It knows of no zone: a wall is a time as clocks on
// the wall show it, kept in a time.Time as if it were UTC.
type expression struct {
	spec *robfig.SpecSchedule
	// everyHour: the hours are not restricted, so that it fires in each real hour.
	everyHour bool
}

var parser = robfig.NewParser(robfig.SecondOptional | robfig.Minute | robfig.Hour | robfig.Dom | robfig.Month | robfig.Dow | robfig.Descriptor)

// parseExpression reads an expression of 5 or 6 fields or a descriptor such as @daily.
// field is what its errors, which are *event.Error, call it.
func parseExpression(field, text string) (*expression, error) {
	if err := checkExpression(field, text); err != nil {
		return nil, err
	}
	schedule, err := parseGuarded(text)
	if err != nil {
		return nil, event.Errorf(event.CodeInvalid, "%s %q: %v", field, text, err)
	}
	spec, ok := schedule.(*robfig.SpecSchedule)
	if !ok {
		return nil, event.Errorf(event.CodeInvalid, "%s %q: is no cron expression", field, text)
	}
	spec.Location = time.UTC
	x := &expression{spec: spec, everyHour: all(spec.Hour, 0, 23)}
	if name := x.emptyField(); name != "" {
		return nil, event.Errorf(event.CodeInvalid, "%s %q: its %s is empty", field, text, name)
	}
	if x.next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return nil, event.Errorf(event.CodeInvalid, "%s %q: its dates do not exist", field, text)
	}
	return x, nil
}

// checkExpression refuses what robfig's parser must not see or would take for more
// than fields and descriptors.
func checkExpression(field, text string) error {
	switch {
	case text == "":
		return event.Errorf(event.CodeInvalid, "%s: is missing", field)
	case len(text) > maxExpressionBytes:
		return event.TooLarge(field+" in bytes", int64(len(text)), maxExpressionBytes)
	case strings.Contains(text, "TZ="):
		return event.Errorf(event.CodeInvalid, "%s %q: a zone does not belong into the expression: use the field zone", field, text)
	case strings.HasPrefix(text, "@every"):
		return event.Errorf(event.CodeInvalid, "%s %q: use the field every", field, text)
	}
	return event.CheckName(field, text)
}

// parseGuarded turns a panic of the parser, of which there were, into an error.
func parseGuarded(text string) (schedule robfig.Schedule, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("is not understood: %v", r)
		}
	}()
	return parser.Parse(text)
}

// emptyField names a field that has no value: robfig would try every second of five
// years to find one.
func (x *expression) emptyField() string {
	const values = 1<<63 - 1 // without the bit that says that it was a star
	for _, f := range []struct {
		name string
		bits uint64
	}{
		{"second", x.spec.Second}, {"minute", x.spec.Minute}, {"hour", x.spec.Hour},
		{"day of month", x.spec.Dom}, {"month", x.spec.Month}, {"day of week", x.spec.Dow},
	} {
		if f.bits&values == 0 {
			return f.name
		}
	}
	return ""
}

// next returns the first wall after another that matches, zero if there is none.
func (x *expression) next(wall time.Time) time.Time {
	for range searches {
		if found := x.spec.Next(wall); !found.IsZero() {
			return found
		}
		// It gave up at the end of this year.
		wall = time.Date(wall.Year()+searchYears, 12, 31, 23, 59, 58, 0, time.UTC)
	}
	return time.Time{}
}

// matches reports whether a wall, in whole seconds, is one of the expression.
func (x *expression) matches(wall time.Time) bool {
	s := x.spec
	day := s.Dom>>wall.Day()&1 == 1
	week := s.Dow>>int(wall.Weekday())&1 == 1
	const star = 1 << 63
	matches := day || week
	if s.Dom&star != 0 || s.Dow&star != 0 {
		matches = day && week
	}
	return matches && s.Month>>int(wall.Month())&1 == 1 && s.Hour>>wall.Hour()&1 == 1 &&
		s.Minute>>wall.Minute()&1 == 1 && s.Second>>wall.Second()&1 == 1
}

// unit is the largest of second, minute, hour and day of which each part matches when
// one does: what is left of it need not be looked at one by one.
func (x *expression) unit() time.Duration {
	switch s := x.spec; {
	case !all(s.Second, 0, 59):
		return time.Second
	case !all(s.Minute, 0, 59):
		return time.Minute
	case !x.everyHour:
		return time.Hour
	}
	return 24 * time.Hour
}

// all reports whether the bits from lo to hi are set.
func all(bits uint64, lo, hi int) bool {
	want := uint64(1)<<(hi+1) - uint64(1)<<lo
	return bits&want == want
}
