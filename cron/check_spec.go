package cron

import (
	"time"
	"unicode/utf8"

	"github.com/edri-io/edri/event"
)

// Bounds of a spec.
const (
	minEvery       = time.Second
	maxJitter      = 24 * time.Hour
	maxCatchUpCap  = 1000
	maxActionBytes = 64 << 10
	minTimeout     = time.Millisecond
	maxTimeout     = 30 * 24 * time.Hour
	maxTextBytes   = 8 << 10
)

// maxTime is the last time that a schedule may name, in nanoseconds since 1970.
var maxTime = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()

// checkSpec returns an *event.Error that names the field that is wrong. It needs no clock:
// what is wrong is so for ever.
func (m *Machine) checkSpec(s *Spec) error {
	for _, check := range []func() error{s.checkTimes, s.checkPolicies, func() error { return m.checkAction(s.action) }} {
		if err := check(); err != nil {
			return err
		}
	}
	p, err := newPlan(s, time.Unix(0, 0))
	if err != nil {
		return err
	}
	if _, ok := p.next(time.Unix(0, 0)); !ok {
		return event.Errorf(event.CodeInvalid, "spec: there is no time at which it would fire, with start, end and what is excluded")
	}
	return nil
}

func invalid(format string, args ...any) error {
	return event.Errorf(event.CodeInvalid, format, args...)
}

func (s *Spec) checkTimes() error {
	ways := 0
	for _, given := range []bool{s.cron != "", s.every != 0, s.at != 0} {
		if given {
			ways++
		}
	}
	switch {
	case ways != 1:
		return invalid("spec: one of cron, every and at must be given, and no more; there are %d", ways)
	case s.every != 0 && s.every < int64(minEvery):
		return invalid("every: %v is less than %v", time.Duration(s.every), minEvery)
	case s.every > maxTime:
		return invalid("every: %v is too long", time.Duration(s.every))
	case s.jitter < 0 || s.jitter > int64(maxJitter):
		return invalid("jitter: %v is not within 0 and %v", time.Duration(s.jitter), maxJitter)
	case s.end != 0 && s.end < s.start:
		return invalid("end: is before start")
	}
	for _, f := range []struct {
		name string
		at   int64
	}{{"at", s.at}, {"start", s.start}, {"end", s.end}} {
		if f.at < 0 || f.at > maxTime {
			return invalid("%s: is not within 1970 and 2199", f.name)
		}
	}
	return nil
}

func (s *Spec) checkPolicies() error {
	_, lasts := s.action.(lasting)
	switch {
	case s.overlap < overlapUnset || s.overlap > overlapAllow:
		return invalid("overlap: %d is unknown", s.overlap)
	case s.overlap != overlapUnset && s.overlap != overlapAllow && !lasts:
		return invalid("overlap: the action has no end, so that fires cannot overlap; only a request has one")
	case s.catchUp < catchUpUnset || s.catchUp > catchUpAll:
		return invalid("catch_up: %d is unknown", s.catchUp)
	case s.catchUpCap > maxCatchUpCap:
		return event.TooLarge("catch_up_cap", int64(s.catchUpCap), maxCatchUpCap)
	case s.catchUpWindow < 0:
		return invalid("catch_up_window: %v is negative", time.Duration(s.catchUpWindow))
	}
	return checkText("description", s.description)
}

// checkText holds what people write to a bound.
func checkText(field, text string) error {
	switch {
	case len(text) > maxTextBytes:
		return event.TooLarge(field+" in bytes", int64(len(text)), maxTextBytes)
	case !utf8.ValidString(text):
		return invalid("%s: is not UTF-8", field)
	}
	return nil
}
