package cron

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"
	_ "time/tzdata" // zones where the system has none

	"github.com/edri-io/edri/event"
)

// maxCandidates is how many times in a row may be excluded. Days are passed over as a
// whole where that can be, so that it is more than ten years.
const maxCandidates = 4000

// plan is a spec made ready to tell times.
type plan struct {
	spec     *Spec
	x        *expression // nil: every or at
	zone     *time.Location
	anchor   time.Time // of every
	excluded []exclusion
}

// newPlan compiles a spec of a schedule that was made at a time. Its errors are
// *event.Error that name the field.
func newPlan(s *Spec, created time.Time) (*plan, error) {
	zone, err := loadZone(s.zone)
	if err != nil {
		return nil, err
	}
	p := &plan{spec: s, zone: zone, anchor: created}
	if s.start != 0 {
		p.anchor = time.Unix(0, s.start)
	}
	if s.cron != "" {
		if p.x, err = parseExpression("cron", s.cron); err != nil {
			return nil, err
		}
	}
	for _, text := range s.excludeDates {
		x, err := parseDates(text, zone)
		if err != nil {
			return nil, err
		}
		p.excluded = append(p.excluded, x)
	}
	for _, text := range s.excludeCron {
		x, err := parseExpression("exclude_cron", text)
		if err != nil {
			return nil, err
		}
		p.excluded = append(p.excluded, matching{x, zone})
	}
	return p, nil
}

// zones keeps those that were loaded: there are some hundred.
var zones sync.Map

func loadZone(name string) (*time.Location, error) {
	if zone, ok := zones.Load(name); ok {
		return zone.(*time.Location), nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" { // the latter is the node's own, and others differ
		return nil, event.Errorf(event.CodeInvalid, "zone %q: is unknown", name)
	}
	zones.Store(name, zone)
	return zone, nil
}

// next returns the first time after another at which the schedule fires, false if there
// is none.
func (p *plan) next(after time.Time) (time.Time, bool) {
	if start := time.Unix(0, p.spec.start); p.spec.start != 0 && after.Before(start) {
		after = start.Add(-time.Nanosecond)
	}
	last := maxTime
	if p.spec.end != 0 {
		last = p.spec.end
	}
	for range maxCandidates {
		t := p.candidate(after)
		if t.IsZero() || t.After(time.Unix(0, last)) {
			return time.Time{}, false
		}
		free := t
		for _, x := range p.excluded {
			free = later(free, x.until(t))
		}
		if free.Equal(t) {
			return t.UTC(), true
		}
		after = later(t, free.Add(-time.Nanosecond))
	}
	return time.Time{}, false
}

// candidate returns the first time after another, exclusions aside; zero for none.
func (p *plan) candidate(after time.Time) time.Time {
	switch s := p.spec; {
	case p.x != nil:
		return p.x.nextIn(after, p.zone)
	case s.every != 0:
		if after.Before(p.anchor) {
			return p.anchor
		}
		n := int64(after.Sub(p.anchor))/s.every + 1
		if n > (maxTime-p.anchor.UnixNano())/s.every {
			return time.Time{}
		}
		return p.anchor.Add(time.Duration(n * s.every))
	case after.UnixNano() < s.at:
		return time.Unix(0, s.at)
	}
	return time.Time{}
}

// due returns when the schedule fires for a time: with the jitter, which follows from
// the schedule and the time alone.
func (p *plan) due(incarnation uint64, nominal int64) int64 {
	if p.spec.jitter == 0 {
		return nominal
	}
	b := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, incarnation), uint64(nominal))
	sum := sha256.Sum256(b)
	return nominal + int64(binary.BigEndian.Uint64(sum[:])%uint64(p.spec.jitter+1))
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
