package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
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
	writeRunHead(&out, r, t)
	if len(t.items) > 0 {
		out.WriteByte('\n')
		t.write(&out)
	}
	if r.Status == workflows.Running && r.Busy && !r.Paused && r.Worker != "" && !t.stepUnderway() {
		fmt.Fprintf(&out, "\nat work  worker %s, since %s: a step shows once something of it is recorded\n",
			printable(r.Worker), shortDuration(t.now.Sub(t.last)))
	}
	if t.pause != nil && r.Paused {
		writePause(&out, r, t.pause)
	}
	if len(r.Open) > 0 || waitsForInput(r) {
		out.WriteString("\nwaits for\n")
		writeOpen(&out, r, t)
	}
	return untrailed(out.Bytes())
}

// waitsForInput reports whether a run is at rest until someone sends it something: that its code
// waits for a signal is no record, but all else that would wake it is open.
func waitsForInput(r client.Run) bool {
	if r.Status != workflows.Running || r.Paused || r.Busy || r.Unread > 0 {
		return false
	}
	return !slices.ContainsFunc(r.Open, func(o client.OpenItem) bool { return o.Kind != "timeout" })
}

// untrailed removes the blanks with which tables fill their last columns.
func untrailed(b []byte) []byte {
	lines := bytes.Split(b, []byte{'\n'})
	for i := range lines {
		lines[i] = bytes.TrimRight(lines[i], " ")
	}
	return bytes.Join(lines, []byte{'\n'})
}

func writeRunHead(out *bytes.Buffer, r client.Run, t *timeline) {
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
	took := shortDuration(t.end.Sub(r.Started))
	if t.begin.Before(r.Started) {
		took += fmt.Sprintf(", and %s before it was reset, from which the timeline counts", shortDuration(r.Started.Sub(t.begin)))
	}
	row("took", took)
	for _, name := range sortedKeys(r.Attributes) {
		row(name, fmt.Sprint(r.Attributes[name]))
	}
	if len(r.Memo) > 0 {
		row("memo", preview(r.Memo))
	}
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
	row("events", fmt.Sprintf("%d in %s", r.Events, counted(r.Advance, "commit")))
	if r.Events >= longHistory {
		row("", "its history is long, at most 50,000 events: let it continue as new")
	}
	if r.Unread > 0 {
		row("has not taken", counted(r.Unread, "entry", "entries")+" (signals, updates, answers) that have come")
	}
	if len(r.Result) > 0 {
		row("result", preview(r.Result))
	}
	if r.Err != nil {
		row("error", r.Err.Error())
		row("details", errorDetails(r.Err))
	}
	_ = table.Flush() // into memory
}

// errorDetails is what the code added to an error, on one line. Those of a timeout are its message
// once more, those of a panic are a stack.
func errorDetails(e *workflows.Error) string {
	if len(e.Details) == 0 || e.Type == workflows.ErrorTimeout || e.Type == workflows.ErrorPanic {
		return ""
	}
	return preview(e.Details)
}

func writeOpen(out *bytes.Buffer, r client.Run, t *timeline) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, o := range r.Open {
		what := o.What
		if i, ok := t.bySeq[o.Seq]; ok && o.Seq != 0 {
			what = t.items[i].wanted(what)
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
	if waitsForInput(r) {
		fmt.Fprintln(table, "  a signal or an update")
	}
	_ = table.Flush() // into memory
}
