package cron

import (
	"time"

	"github.com/edri-io/edri/event"
)

// overlap says what happens when a schedule fires while what an earlier fire began has not
// ended.
type overlap int

// With the numbers of edri.v1.ScheduleSpec.Overlap.
const (
	overlapUnset overlap = iota
	overlapSkip
	overlapBufferOne
	overlapBufferAll
	overlapCancelOther
	overlapAllow
)

// catchUp says which fires are made up for that are late by more than grace.
type catchUp int

// With the numbers of edri.v1.ScheduleSpec.CatchUp.
const (
	catchUpUnset catchUp = iota
	catchUpNone
	catchUpLast
	catchUpAll
)

// Spec is an edri.v1.ScheduleSpec: when a schedule fires, and what it does then.
// Byte slices alias the message. Times are in nanoseconds since 1970.
type Spec struct {
	cron          string
	every, at     int64
	zone          string
	excludeDates  []string
	excludeCron   []string
	jitter        int64
	start, end    int64
	limit         uint64
	overlap       overlap
	catchUp       catchUp
	catchUpCap    int
	catchUpWindow int64
	description   string
	action        action // nil: none is given
}

const (
	// maxListed bounds each list of exclusions.
	maxListed = 100
	// Defaults, which are part of what entries mean.
	defaultCatchUpCap = 100
	defaultTimeout    = 30 * time.Second
)

// decodeSpec reads a spec and puts in the defaults.
func decodeSpec(b []byte) (Spec, error) {
	var s Spec
	var texts struct{ cron, zone, description, action []byte }
	var over, catch int
	f := fields{rest: b}
	for f.next() {
		switch f.number {
		case 1:
			f.setBytes(&texts.cron)
		case 2:
			f.setInt64(&s.every)
		case 3:
			f.setInt64(&s.at)
		case 4:
			f.setBytes(&texts.zone)
		case 5:
			f.addText("exclude_dates", &s.excludeDates)
		case 6:
			f.addText("exclude_cron", &s.excludeCron)
		case 7:
			f.setInt64(&s.jitter)
		case 8:
			f.setInt64(&s.start)
		case 9:
			f.setInt64(&s.end)
		case 10:
			f.setUint64(&s.limit)
		case 11:
			f.setInt(&over)
		case 12:
			f.setInt(&catch)
		case 13:
			f.setInt(&s.catchUpCap)
		case 14:
			f.setInt64(&s.catchUpWindow)
		case 15:
			f.setBytes(&texts.description)
		case 16:
			f.setBytes(&texts.action)
		default:
			f.unknown()
		}
	}
	if f.err != nil {
		return s, f.err
	}
	s.cron, s.zone, s.description = string(texts.cron), string(texts.zone), string(texts.description)
	s.overlap, s.catchUp = overlap(over), catchUp(catch)
	var err error
	s.action, err = decodeAction(texts.action)
	s.setDefaults()
	return s, err
}

func (s *Spec) setDefaults() {
	if s.zone == "" {
		s.zone = "UTC"
	}
	if _, lasts := s.action.(lasting); lasts && s.overlap == overlapUnset {
		s.overlap = overlapSkip
	}
	if s.catchUp == catchUpUnset {
		s.catchUp = catchUpLast
	}
	if s.catchUpCap == 0 {
		s.catchUpCap = defaultCatchUpCap
	}
}

// addText takes a repeated text.
func (f *fields) addText(field string, dst *[]string) {
	if !f.is(false) {
		return
	}
	if len(*dst) == maxListed {
		f.err = event.TooLarge(field+" of a schedule", maxListed+1, maxListed)
		return
	}
	*dst = append(*dst, string(f.bytes))
}
