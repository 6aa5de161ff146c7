package client

import (
	"strings"
	"time"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

// Overlap says what a schedule does when it fires while a request of it is open.
type Overlap int

// The overlap policies. OverlapDefault is OverlapSkip for requests; what is appended has
// no end.
const (
	OverlapDefault     Overlap = iota
	OverlapSkip                // the fire is left out
	OverlapBufferOne           // one waits until the end
	OverlapBufferAll           // up to 1,000 wait
	OverlapCancelOther         // responses to the one that is open are no longer taken
	OverlapAllow               // it fires
)

var overlaps = []string{"default", "skip", "buffer-one", "buffer-all", "cancel-other", "allow"}

// String returns the policy's name.
func (o Overlap) String() string { return nameOf(overlaps, int(o)) }

// ParseOverlap reads a policy's name.
func ParseOverlap(s string) (Overlap, error) {
	i, err := indexOf("overlap", overlaps, s)
	return Overlap(i), err
}

// CatchUp says which fires are made up for that were late by more than 10 s.
type CatchUp int

// The catch-up policies. CatchUpDefault is CatchUpLast.
const (
	CatchUpDefault CatchUp = iota
	CatchUpNone
	CatchUpLast
	CatchUpAll // the newest, up to CatchUpCap
)

var catchUps = []string{"default", "none", "last", "all"}

// String returns the policy's name.
func (c CatchUp) String() string { return nameOf(catchUps, int(c)) }

// ParseCatchUp reads a policy's name.
func ParseCatchUp(s string) (CatchUp, error) {
	i, err := indexOf("catch-up", catchUps, s)
	return CatchUp(i), err
}

func nameOf(names []string, i int) string {
	if i < 0 || i >= len(names) {
		return "unknown"
	}
	return names[i]
}

func indexOf(what string, names []string, s string) (int, error) {
	for i, name := range names {
		if name == s {
			return i, nil
		}
	}
	return 0, event.Errorf(event.CodeInvalid, "%s %q: is none of %s", what, s, strings.Join(names[1:], ", "))
}

// ScheduleSpec says when a schedule fires and what it does then. Of Cron, Every and At
// exactly one is given.
type ScheduleSpec struct {
	// Cron has five fields, six with the second before them, or is a descriptor such as
	// @daily.
	Cron string
	// Every is at least 1 s; it counts from Start, or from when the schedule was made.
	Every time.Duration
	At    time.Time
	// Zone is the IANA zone of Cron and of what is excluded; default UTC.
	Zone string
	// ExcludeDates are days ("2026-12-24"), or ranges of them with the last included
	// ("2026-12-24/2026-12-31").
	ExcludeDates []string
	// ExcludeCron are expressions at whose times the schedule does not fire.
	ExcludeCron []string
	// Jitter is by how much a fire is delayed at most, up to 24 h.
	Jitter time.Duration
	// Start and End, both included, bound the times; zero: they do not.
	Start, End time.Time
	// Limit is how often it fires; 0: without a bound.
	Limit   uint64
	Overlap Overlap
	CatchUp CatchUp
	// CatchUpCap is for CatchUpAll: default 100, at most 1,000.
	CatchUpCap int
	// CatchUpWindow is how late a fire may be that is made up for; 0: any time.
	CatchUpWindow time.Duration
	Description   string
	Action        ScheduleAction
}

// ScheduleAction is what a fire does: it appends an event, sends a request, changes keys or
// starts a run of a workflow.
type ScheduleAction struct {
	// Start, where not nil, is a run; then nothing else is given. Without an ID it has the
	// schedule's name and the fire's id.
	Start *workflows.Start
	// Keys, where not nil, is a transaction that changes keys; then nothing else is given.
	Keys *KeyTxn
	// Stream is as for Append.
	Stream string
	// Event has neither ID nor Time: these are the fire's, the latter its time. Default
	// source: /edri/schedules.
	Event event.Event
	// Request: the event is a request, to which a response is awaited for Timeout.
	Request bool
	Timeout time.Duration // default 30 s
}

// Schedule is a schedule and how it is.
type Schedule struct {
	Name string
	Spec ScheduleSpec
	// Incarnation is of no other schedule; Revision counts changes of the spec, and
	// pauses.
	Incarnation, Revision uint64
	Created               time.Time
	Paused                bool
	Note                  string // why it is paused
	// Ended: it never fires again by its times.
	Ended bool
	// Next is its next time, and Due when it fires for that, with the jitter; zero: not
	// worked out yet, or there is none.
	Next, Due time.Time
	// Left is how many fires are left, where there is a limit.
	Left uint64
	// What became of its times. Late are of those fired.
	Fired, Skipped, Missed, Late, Failed uint64
	// Running are requests that are open, Buffered fires that wait for their end.
	Running, Buffered int
}

// ReasonConditions is the reason of a fire whose transaction did what it says for conditions
// that do not hold. It fired.
const ReasonConditions = "conditions do not hold"

// Fired is what came of a fire.
type Fired struct {
	// ID is that of the fire's event.
	ID string
	// Position is that of the event, or of the last change of keys; 0: there is none.
	Position event.Position
	// Reason, unless empty or ReasonConditions, says why it did not fire: "overlap", "buffer
	// is full", "buffered", or why it failed.
	Reason string
}

// Failed reports whether the fire was due to be made and could not be, unlike one that an
// overlap left out or made wait. Reason says why.
func (f Fired) Failed() bool {
	switch f.Reason {
	case "", ReasonConditions, "overlap", "buffer is full", "buffered":
		return false
	}
	return true
}
