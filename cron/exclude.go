package cron

import (
	"strings"
	"time"

	"github.com/edri-io/edri/event"
)

// exclusion is when a schedule does not fire.
type exclusion interface {
	// until returns the time itself where that is not excluded, else one up to which
	// everything after it is.
	until(t time.Time) time.Time
}

// dates are days from the beginning of one up to that of another, in a zone.
type dates struct{ from, to time.Time }

func (d dates) until(t time.Time) time.Time {
	if t.Before(d.from) || !t.Before(d.to) {
		return t
	}
	return d.to
}

// parseDates reads "2026-12-24" or "2026-12-24/2026-12-31".
func parseDates(text string, zone *time.Location) (dates, error) {
	first, last, ranged := strings.Cut(text, "/")
	if !ranged {
		last = first
	}
	from, err := time.Parse(time.DateOnly, first)
	if err != nil {
		return dates{}, badDates(text)
	}
	to, err := time.Parse(time.DateOnly, last)
	if err != nil || to.Before(from) {
		return dates{}, badDates(text)
	}
	return dates{instantOf(from, zone), instantOf(to.AddDate(0, 0, 1), zone)}, nil
}

func badDates(text string) error {
	return event.Errorf(event.CodeInvalid, `exclude_dates %q: is not a day such as 2026-12-24, or two with a / between them, the earlier first`, text)
}

// matching are the times that match an expression in a zone.
type matching struct {
	x    *expression
	zone *time.Location
}

func (m matching) until(t time.Time) time.Time {
	wall := wallOf(t, m.zone).Truncate(time.Second)
	if !m.x.matches(wall) {
		return t
	}
	unit := m.x.unit()
	// In the hour that comes twice the end may lie behind.
	return later(t.Add(time.Nanosecond), instantOf(wall.Truncate(unit).Add(unit), m.zone))
}
