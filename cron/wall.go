package cron

import "time"

// A wall is what clocks on the wall show, in a time.Time as if it were UTC.

// dayShift is more than any wall is away from UTC.
const dayShift = 27 * time.Hour

// wallOf returns what clocks show at an instant.
func wallOf(t time.Time, zone *time.Location) time.Time {
	_, offset := t.In(zone).Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// bounds returns from when, and until when if that is not zero, the zone's offset at an
// instant holds. At the end may be the same offset again: package time says of the last
// day of leap years beyond its tables that it ended before it began (Go 1.26), which
// would be an endless walk.
func bounds(t time.Time) (start, end time.Time) {
	start, end = t.ZoneBounds()
	if !end.IsZero() && !end.After(t) {
		end = t.Add(24 * time.Hour)
	}
	return start, end
}

// instantOf returns when clocks show a wall: the first time if they do so twice, and
// the end of the gap if they pass over it. It never goes back where walls go forward.
func instantOf(wall time.Time, zone *time.Location) time.Time {
	at := wall.Add(-dayShift).In(zone)
	for {
		start, end := bounds(at)
		_, offset := at.Zone()
		t := wall.Add(-time.Duration(offset) * time.Second)
		switch {
		case !end.IsZero() && !t.Before(end):
			at = end
		case t.Before(start):
			return start.UTC()
		default:
			return t
		}
	}
}

// nextIn returns the first instant after another at which the expression fires in a
// zone, zero if there is none.
//
// Where the hours are restricted each wall fires once, see instantOf: several that are
// passed over fire together. Else it fires whenever clocks show one, so that the hour
// that comes twice has its fires twice.
func (x *expression) nextIn(after time.Time, zone *time.Location) time.Time {
	if x.everyHour {
		return x.nextShown(after, zone)
	}
	wall := wallOf(after, zone)
	for {
		if wall = x.next(wall); wall.IsZero() {
			return wall
		}
		t := instantOf(wall, zone)
		if t.After(after) {
			return t
		}
		// The wall is shown for the second time, or was passed over. Those up to the
		// end of that are no better.
		wall = lastLike(t, wall, zone)
	}
}

// lastLike returns the last of the walls that are like one whose instant t has passed:
// shown twice or passed over with it.
func lastLike(t, wall time.Time, zone *time.Location) time.Time {
	start, end := bounds(t.In(zone))
	last, shown := wall, wallOf(t, zone)
	if t.Equal(start) && shown.After(wall) { // passed over
		last = shown.Add(-time.Second)
	} else if !end.IsZero() {
		last = end.UTC().Add(shown.Sub(t) - time.Second)
	}
	if last.After(wall) {
		return last
	}
	return wall
}

// nextShown returns the first instant after another at which clocks show a wall of the
// expression.
func (x *expression) nextShown(after time.Time, zone *time.Location) time.Time {
	from := wallOf(after, zone)
	wall := x.next(from)
	for at := after.In(zone); !wall.IsZero(); {
		_, end := bounds(at)
		_, offset := at.Zone()
		t := wall.Add(-time.Duration(offset) * time.Second)
		if end.IsZero() || t.Before(end) {
			return t
		}
		// From the end on, and with what clocks show then.
		shown := wallOf(end, zone)
		back := shown.Before(end.UTC().Add(time.Duration(offset) * time.Second))
		if at = end; back || wall.Before(shown) {
			wall = x.next(shown.Add(-time.Nanosecond))
		}
	}
	return wall
}
