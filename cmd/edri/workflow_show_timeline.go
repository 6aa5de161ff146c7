package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

// timeline is what a run did over time.
type timeline struct {
	now, begin, end time.Time
	items           []timelineItem
	last            time.Time      // when the last event was committed
	over            bool           // the run has ended
	bySeq           map[uint64]int // what the code asked for
	updates         map[string]int
	pause           *pause                    // that lasts
	paused          int                       // 1 + its index
	signals         map[string]event.Revision // the last of each name
}

// timelineItem is one line: a span, or a moment where begin and end are one.
type timelineItem struct {
	kind, name string
	typ        string            // of a child
	values     map[string]string // that an event is to have
	filter     json.RawMessage   // that is to select it
	seq        uint64
	attempts   int
	begin, end time.Time // end zero: it lasts
	state      string
	next       string // what is to come, behind the state as long as it lasts
	blocks     bool   // a step that waits for a person
	once       bool   // a step that runs at most once, and has begun
	abandoned  bool   // a child that goes on without the run
}

// wanted is what an item waits for, of which the state knows something.
func (i *timelineItem) wanted(known string) string {
	switch i.kind {
	case "event":
		known = i.name
		for _, name := range sortedKeys(i.values) {
			known += fmt.Sprintf(", %s = %q", name, i.values[name])
		}
		if i.filter != nil {
			known += ", filter " + preview(i.filter)
		}
		return known
	case "child":
		return strings.TrimSpace(i.typ + " " + known)
	}
	return strings.TrimSpace(i.name + " " + known)
}

func newTimeline(r client.Run, now time.Time) *timeline {
	t := &timeline{now: now, begin: r.Started, end: now, last: r.Started, bySeq: map[uint64]int{}, updates: map[string]int{}, signals: map[string]event.Revision{}}
	if !r.Ended.IsZero() {
		t.end, t.over = r.Ended, true
	}
	return t
}

// told are the fields of what events say, of all kinds.
type told struct {
	Seq     uint64           `json:"seq"`
	ID      string           `json:"id"`
	Name    string           `json:"name"`
	Type    string           `json:"type"`
	Attempt int              `json:"attempt"`
	Started time.Time        `json:"started"`
	For     string           `json:"for"`
	RetryIn string           `json:"retry_in"`
	Blocks  bool             `json:"blocks"`
	Reason  string           `json:"reason"`
	Details json.RawMessage  `json:"details"`
	From    string           `json:"from"`
	Kind    string           `json:"kind"`
	Error   *workflows.Error `json:"error"`

	Heartbeat json.RawMessage       `json:"heartbeat"`
	Match     map[string]string     `json:"match"`
	Filter    json.RawMessage       `json:"filter"`
	OnClose   workflows.ClosePolicy `json:"on_close"`
	Revision  event.Revision        `json:"revision"`
	Data      struct{ Name string } `json:"data"`
}

// add takes the next event of the history.
func (t *timeline) add(e *event.Recorded) {
	kind := strings.TrimPrefix(e.Type, workflows.HistoryPrefix)
	var d told
	if len(e.Data) > 0 && json.Unmarshal(e.Data, &d) != nil {
		return
	}
	if e.Time.Before(t.begin) {
		t.begin = e.Time // the beginning of a run that was reset
	}
	at := e.Time
	if e.Stamp.After(t.last) {
		t.last = e.Stamp
	}
	if asked[kind] && e.Stamp.After(at) {
		at = e.Stamp
	}
	switch kind {
	case workflows.KindStepStarted, workflows.KindStepHeartbeat, workflows.KindStepCompleted, workflows.KindStepFailed:
		t.step(kind, &d, at)
	case workflows.KindTimerSet:
		t.ask("timer", d.For, &d, at)
	case workflows.KindRequestSent:
		t.ask("request", d.Name, &d, at).attempts = d.Attempt
	case workflows.KindEventAwaited:
		item := t.ask("event", d.Type, &d, at)
		item.values, item.filter = d.Match, d.Filter
	case workflows.KindChildStarted:
		item := t.ask("child", strings.TrimSpace(d.Type+" "+d.ID), &d, at)
		item.typ, item.abandoned = d.Type, d.OnClose == workflows.CloseAbandon
	case workflows.KindUpdate:
		t.updates[d.ID] = len(t.items)
		t.items = append(t.items, timelineItem{kind: "update", name: d.Name, begin: at})
	case workflows.KindUpdateCompleted:
		if i, ok := t.updates[d.ID]; ok {
			t.finish(i, at, failedState(d.Error, "answered"))
		}
	case workflows.KindPaused:
		t.items = append(t.items, timelineItem{kind: "pause", name: d.Reason, begin: at})
		t.paused = len(t.items)
		t.pause = &pause{At: at, Revision: e.Revision, Reason: d.Reason, Details: d.Details, signals: maps.Clone(t.signals)}
	case workflows.KindResumed:
		t.resume(at, strings.TrimSuffix("resumed: "+d.Reason, ": "))
	case workflows.KindRetryRequested:
		t.unblock()
	case workflows.KindReset:
		t.reset(&d, at)
	default:
		if state, ok := endStates[kind]; ok {
			t.answered(d.Seq, at, failedState(d.Error, state))
		} else if what, ok := moments[kind]; ok {
			switch kind {
			case workflows.KindWorkerLost:
				t.lose(at)
			case workflows.KindSignal:
				t.signals[d.Name] = e.Revision
			}
			t.moment(what, momentName(&d), momentStates[kind], at)
		}
	}
}

// asked are the kinds of what the code asks for and says. Their time is that of what it went
// on by, which may have lain there for long: they are drawn where they were committed.
var asked = map[string]bool{
	workflows.KindTimerSet: true, workflows.KindTimerCanceled: true, workflows.KindRequestSent: true,
	workflows.KindRequestDropped: true, workflows.KindEventAwaited: true, workflows.KindEventDropped: true,
	workflows.KindChildStarted: true, workflows.KindChildCanceled: true, workflows.KindUpdateCompleted: true,
}

// endStates are the kinds that end what was asked for, and how it stands then.
var endStates = map[string]string{
	workflows.KindTimerFired: "fired", workflows.KindTimerCanceled: "canceled",
	workflows.KindResponse: "answered", workflows.KindRequestExpired: "expired", workflows.KindRequestDropped: "dropped",
	workflows.KindEvent: "received", workflows.KindEventDropped: "dropped",
	workflows.KindChildCompleted: "completed", workflows.KindChildFailed: "failed", workflows.KindChildCanceled: "asked to end",
}

// moments are the kinds that have no duration.
var moments = map[string]string{
	workflows.KindSignal: "signal", workflows.KindCancelRequested: "cancel", workflows.KindWorkerLost: "worker lost",
	workflows.KindUnhandled: "unhandled",
}

// momentStates is how they stand.
var momentStates = map[string]string{workflows.KindSignal: "taken"}

func momentName(d *told) string {
	return cmp.Or(d.Name, d.Reason, strings.TrimSpace(d.Kind+" "+d.Data.Name))
}

func (t *timeline) moment(kind, name, state string, at time.Time) {
	t.items = append(t.items, timelineItem{kind: kind, name: name, begin: at, end: at, state: state})
}

// lose ends the steps that run at most once and were under way: nobody knows what came of them.
func (t *timeline) lose(at time.Time) {
	for i := range t.items {
		if item := &t.items[i]; item.once && item.end.IsZero() {
			t.finish(i, at, "failed: "+workflows.ErrorUnknown)
		}
	}
}

func (t *timeline) resume(at time.Time, state string) {
	if t.paused > 0 {
		t.finish(t.paused-1, at, state)
	}
	t.paused, t.pause = 0, nil
}

// unblock lets the steps that blocked the run be under way again.
func (t *timeline) unblock() {
	for i := range t.items {
		if item := &t.items[i]; item.blocks {
			item.end, item.next, item.blocks = time.Time{}, ", tried again", false
		}
	}
}

// reset ends what was open in the run before: the code asks for it again.
func (t *timeline) reset(d *told, at time.Time) {
	t.resume(at, "")
	for i := range t.items {
		item := &t.items[i]
		if item.kind == "update" || !item.end.IsZero() && !item.blocks {
			continue
		}
		t.finish(i, at, strings.TrimPrefix(item.state+", asked again", ", "))
		item.blocks = false
		delete(t.bySeq, item.seq)
	}
	t.moment("reset", d.Reason, fmt.Sprintf("from run %s at event %d", d.From, d.Revision), at)
}

func (t *timeline) stepUnderway() bool {
	return slices.ContainsFunc(t.items, func(i timelineItem) bool { return i.kind == "step" && i.end.IsZero() })
}

// lasting is how an item stands that has no end. With the run it has one.
func (t *timeline) lasting(item *timelineItem) string {
	switch {
	case t.over && item.abandoned:
		return "abandoned"
	case t.over:
		return strings.TrimPrefix(item.state+", unfinished", ", ")
	case item.state == "":
		return "open"
	}
	return item.state + item.next
}

func failedState(e *workflows.Error, otherwise string) string {
	if e == nil {
		return otherwise
	}
	return "failed: " + e.Error()
}

// ask begins what has a number, or another attempt at it.
func (t *timeline) ask(kind, name string, d *told, at time.Time) *timelineItem {
	i, ok := t.bySeq[d.Seq]
	if !ok {
		i = len(t.items)
		t.bySeq[d.Seq] = i
		t.items = append(t.items, timelineItem{kind: kind, name: name, seq: d.Seq, begin: at})
	}
	item := &t.items[i]
	item.end, item.state, item.next, item.blocks = time.Time{}, "", "", false
	return item
}

func (t *timeline) step(kind string, d *told, at time.Time) {
	if d.Started.IsZero() {
		d.Started = at
	}
	item := t.ask("step", d.Name, d, d.Started)
	item.attempts = d.Attempt
	switch {
	case kind == workflows.KindStepStarted:
		item.once = true
		return
	case kind == workflows.KindStepHeartbeat:
		item.state = "at " + preview(d.Heartbeat)
		return
	case kind == workflows.KindStepCompleted:
		item.state = "completed"
	case d.RetryIn != "":
		item.state, item.next = failedState(d.Error, "failed"), ", again in "+d.RetryIn
		return
	case d.Blocks:
		item.state, item.next, item.blocks = failedState(d.Error, "failed"), ", blocks the run", true
	default:
		item.state = failedState(d.Error, "failed")
	}
	item.end = at
}

// answered ends what has a number. Of a step it is the wait before its next attempt that has
// ended, or was canceled and the step with it; of a child that it was asked to end is not its
// end.
func (t *timeline) answered(seq uint64, at time.Time, state string) {
	i, ok := t.bySeq[seq]
	if !ok {
		return
	}
	if item := &t.items[i]; item.kind == "step" {
		if state == endStates[workflows.KindTimerFired] {
			item.next = ", tried again"
		} else if item.end.IsZero() {
			t.finish(i, at, strings.TrimPrefix(item.state+", "+state, ", "))
		}
		return
	}
	if state == endStates[workflows.KindChildCanceled] {
		t.items[i].state = state
		return
	}
	t.finish(i, at, state)
}

func (t *timeline) finish(i int, at time.Time, state string) {
	t.items[i].end, t.items[i].state = at, state
}

const barWidth = 32

// bar draws a span within the whole.
func (t *timeline) bar(begin, end time.Time) string {
	whole := max(t.end.Sub(t.begin), 1)
	cell := func(at time.Time) int {
		return int(float64(at.Sub(t.begin)) / float64(whole) * barWidth)
	}
	lo := min(max(cell(begin), 0), barWidth-1)
	hi := min(max(cell(end), lo+1), barWidth)
	return strings.Repeat("·", lo) + strings.Repeat("█", hi-lo) + strings.Repeat("·", barWidth-hi)
}

func (t *timeline) write(out *bytes.Buffer) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "WHAT\tNAME\tNO\tTRIES\tAT\tTOOK\t\tSTATE")
	for _, item := range t.items {
		end, took, state := item.end, "", item.state
		switch {
		case end.IsZero():
			end, state = t.end, t.lasting(&item)
		case item.blocks && !t.over:
			state += item.next
		}
		if !item.begin.Equal(item.end) {
			took = shortDuration(end.Sub(item.begin))
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t+%s\t%s\t%s\t%s\n", item.kind, printable(item.name), unlessZero(item.seq),
			unlessZero(uint64(item.attempts)), shortDuration(item.begin.Sub(t.begin)), took, t.bar(item.begin, end), printable(state))
	}
	_ = table.Flush() // into memory
}

func unlessZero(n uint64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}
