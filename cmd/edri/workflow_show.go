package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

func (a *app) workflowShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show RUN",
		Short: "Show a run: what it is, what it did over time, and what it waits for",
		Long: `Show a run: what it is, a timeline of its steps, timers, requests, children, events,
signals and updates with their attempts, begin and duration, why it is paused and what can be
done then, and what it waits for. JSON has the run and its pause; its history is
"edri workflow history".`,
		Example: `  edri workflow show order-7`,
		Args:    cobra.ExactArgs(1),
		RunE: a.does(func(ctx context.Context, args []string) error {
			return a.withClient(ctx, func(ctx context.Context, c *client.Client) error {
				run, err := runAt(ctx, c, args[0])
				if err != nil {
					return err
				}
				r, err := c.Run(ctx, run, client.Linearizable)
				if err != nil {
					return err
				}
				return a.writeRun(ctx, c, r)
			})
		}),
	}
}

// writeRun writes a run. Its history is read for people, and for programs where it says why
// the run is paused.
func (a *app) writeRun(ctx context.Context, c *client.Client, r client.Run) error {
	t := newTimeline(r, time.Now())
	if a.output == outputText || r.Paused {
		for e, err := range c.History(ctx, r.ID, r.History) {
			if err != nil {
				return err
			}
			t.add(&e)
		}
	}
	if a.output != outputText {
		return a.writeJSON(pausedRunJSON{newRunJSON(r), t.pause})
	}
	_, err := a.stdout.Write(renderRun(r, t))
	return wrapWrite(err)
}

// longHistory is from how many events on a run should continue as new.
const longHistory = 10_000

// renderRun draws a run: its head, its timeline, and what it waits for.
func renderRun(r client.Run, t *timeline) []byte {
	var out bytes.Buffer
	writeRunHead(&out, r, t.end)
	if len(t.items) > 0 {
		out.WriteByte('\n')
		t.write(&out)
	}
	if t.pause != nil && r.Paused {
		writePause(&out, r, t.pause)
	}
	if len(r.Open) > 0 {
		out.WriteString("\nwaits for\n")
		writeOpen(&out, r, t)
	}
	return out.Bytes()
}

func writeRunHead(out *bytes.Buffer, r client.Run, end time.Time) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(table, "%s\t%s\n", name, printable(value))
		}
	}
	row("run", fmt.Sprintf("%s/%d", r.ID, r.Number))
	row("workflow", fmt.Sprintf("%s, version %d", r.Type, r.Version))
	status := statusText(r)
	if r.Status == workflows.Running && !r.Paused {
		switch {
		case r.Busy && r.Worker == "":
			status += ", waits for a worker"
		case r.Busy:
			status += ", at work"
		}
	}
	row("status", status)
	row("note", r.Note)
	row("started", formatTime(r.Started))
	if !r.Ended.IsZero() {
		row("ended", formatTime(r.Ended))
	}
	row("took", shortDuration(end.Sub(r.Started)))
	for _, name := range sortedKeys(r.Attributes) {
		row(name, fmt.Sprint(r.Attributes[name]))
	}
	row("memo", string(r.Memo))
	if r.Correlation != r.ID {
		row("correlation", r.Correlation)
	}
	row("parent", r.Parent)
	if r.First != 0 {
		row("first of its chain", fmt.Sprint(r.First))
	}
	if r.Next != 0 {
		row("goes on as", fmt.Sprint(r.Next))
	}
	row("worker", r.Worker)
	row("events", fmt.Sprintf("%d in %d commits", r.Events, r.Advance))
	if r.Events >= longHistory {
		row("", "its history is long, at most 50,000 events: let it continue as new")
	}
	if r.Unread > 0 {
		row("has not taken", fmt.Sprintf("%d entries", r.Unread))
	}
	if len(r.Result) > 0 {
		row("result", preview(r.Result))
	}
	if r.Err != nil {
		row("error", r.Err.Error())
	}
	_ = table.Flush() // into memory
}

func writeOpen(out *bytes.Buffer, r client.Run, t *timeline) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, o := range r.Open {
		what := o.What
		if i, ok := t.bySeq[o.Seq]; ok && t.items[i].name != "" {
			what = strings.TrimSpace(t.items[i].name + " " + what)
		}
		due := ""
		if !o.Due.IsZero() {
			due = fmt.Sprintf("due %s, in %s", formatTime(o.Due), shortDuration(max(o.Due.Sub(t.now), 0)))
		}
		seq := ""
		if o.Seq != 0 {
			seq = fmt.Sprint(o.Seq)
		}
		fmt.Fprintf(table, "  %s\t%s\t%s\t%s\n", o.Kind, seq, printable(what), due)
	}
	_ = table.Flush() // into memory
}

// timeline is what a run did over time.
type timeline struct {
	now, begin, end time.Time
	items           []timelineItem
	bySeq           map[uint64]int // what the code asked for
	updates         map[string]int
	pause           *pause // that lasts
	paused          int    // 1 + its index
}

// timelineItem is one line: a span, or a moment where begin and end are one.
type timelineItem struct {
	kind, name string
	seq        uint64
	attempts   int
	begin, end time.Time // end zero: it lasts
	state      string
}

func newTimeline(r client.Run, now time.Time) *timeline {
	t := &timeline{now: now, begin: r.Started, end: now, bySeq: map[uint64]int{}, updates: map[string]int{}}
	if !r.Ended.IsZero() {
		t.end = r.Ended
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

	Heartbeat json.RawMessage `json:"heartbeat"`
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
	switch kind {
	case workflows.KindStepStarted, workflows.KindStepHeartbeat, workflows.KindStepCompleted, workflows.KindStepFailed:
		t.step(kind, &d, e.Time)
	case workflows.KindTimerSet:
		t.ask("timer", d.For, &d, e.Time)
	case workflows.KindRequestSent:
		t.ask("request", d.Name, &d, e.Time).attempts = d.Attempt
	case workflows.KindEventAwaited:
		t.ask("event", d.Type, &d, e.Time)
	case workflows.KindChildStarted:
		t.ask("child", d.ID, &d, e.Time)
	case workflows.KindUpdate:
		t.updates[d.ID] = len(t.items)
		t.items = append(t.items, timelineItem{kind: "update", name: d.Name, begin: e.Time})
	case workflows.KindUpdateCompleted:
		if i, ok := t.updates[d.ID]; ok {
			t.finish(i, e.Time, failedState(d.Error, "answered"))
		}
	case workflows.KindPaused:
		t.items = append(t.items, timelineItem{kind: "pause", name: d.Reason, begin: e.Time})
		t.paused = len(t.items)
		t.pause = &pause{At: e.Time, Revision: e.Revision, Reason: d.Reason, Details: d.Details}
	case workflows.KindResumed:
		if t.paused > 0 {
			t.finish(t.paused-1, e.Time, "")
			t.paused, t.pause = 0, nil
		}
	default:
		if state, ok := endStates[kind]; ok {
			t.answered(d.Seq, e.Time, failedState(d.Error, state))
		} else if what, ok := moments[kind]; ok {
			t.items = append(t.items, timelineItem{kind: what, name: momentName(&d), begin: e.Time, end: e.Time})
		}
	}
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
	workflows.KindRetryRequested: "retry", workflows.KindReset: "reset", workflows.KindUnhandled: "unhandled",
}

func momentName(d *told) string {
	for _, name := range []string{d.Name, d.Reason, d.Kind} {
		if name != "" {
			return name
		}
	}
	return ""
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
	item.end, item.state = time.Time{}, ""
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
		return
	case kind == workflows.KindStepHeartbeat:
		item.state = "at " + preview(d.Heartbeat)
		return
	case kind == workflows.KindStepCompleted:
		item.state = "completed"
	case d.RetryIn != "":
		item.state = failedState(d.Error, "failed") + ", again in " + d.RetryIn
		return
	case d.Blocks:
		item.state = failedState(d.Error, "failed") + ", blocks the run"
	default:
		item.state = failedState(d.Error, "failed")
	}
	item.end = at
}

// answered ends what has a number. Of a step it is the wait before its next attempt that has
// ended, and of a child that it was asked to end is not its end.
func (t *timeline) answered(seq uint64, at time.Time, state string) {
	i, ok := t.bySeq[seq]
	if !ok || t.items[i].kind == "step" {
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
		if end.IsZero() {
			end = t.end
			if state == "" {
				state = "open"
			}
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
