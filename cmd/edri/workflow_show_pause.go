package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

// pause is the pause that lasts, as the history has it.
type pause struct {
	At       time.Time       `json:"at"`
	Revision event.Revision  `json:"revision"`
	Reason   string          `json:"reason,omitempty"`
	Details  json.RawMessage `json:"details,omitempty"`

	signals map[string]event.Revision // the last of each name that came before
}

// pausedRunJSON is a run as JSON, and why it is paused.
type pausedRunJSON struct {
	runJSON
	Pause *pause `json:"pause,omitempty"`
}

// pauseDetails are the fields of what is said with a pause: workflows.Divergence, a panic or
// code that is stuck, a signal that could not be decoded, a note.
type pauseDetails struct {
	Revision        event.Revision
	Recorded, Asked string
	Text, Stack     string
	Reason, Signal  string
}

type blockedStep struct {
	Seq   uint64
	Name  string
	Error *workflows.Error
}

// whichRevision says where the revisions of a run stand.
const whichRevision = "which N there are: edri workflow history "

// shellWord is an id as a shell takes it.
func shellWord(id string) string {
	plain := func(r rune) bool {
		return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-_./:@%+=,", r)
	}
	id = printable(id)
	if id != "" && id[0] != '-' && strings.IndexFunc(id, func(r rune) bool { return !plain(r) }) < 0 {
		return id
	}
	return "'" + strings.ReplaceAll(id, "'", `'\''`) + "'"
}

// writePause says why a run is paused, and what can be done.
func writePause(out *bytes.Buffer, r client.Run, p *pause) {
	var d pauseDetails
	var steps []blockedStep
	if json.Unmarshal(p.Details, &d) != nil && json.Unmarshal(p.Details, &steps) != nil {
		d, steps = pauseDetails{}, nil // shown as they are
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, text string) { fmt.Fprintf(table, "  %s\t%s\n", name, printable(text)) }
	why := func(text string) { row("why", p.Reason+": "+text) }
	id := shellWord(r.ID)
	next := []string{"edri workflow resume " + id}
	mend := func(reset, point string) {
		next[0] = "mend the code, then: " + next[0]
		if point != "" {
			next = append(next, fmt.Sprintf("or run it again from %s: edri workflow reset %s --revision %s", reset, id, point))
			if point == "N" {
				next = append(next, whichRevision+id)
			}
		}
	}
	out.WriteString("\npaused\n")
	switch {
	case len(steps) > 0:
		row("why", p.Reason)
		for _, s := range steps {
			row("step", strings.TrimSpace(fmt.Sprintf("%d %s", s.Seq, s.Name))+failedBy(s.Error))
		}
		next = []string{
			"try it anew: edri workflow retry " + id,
			fmt.Sprintf("or run the run again from before it: edri workflow reset %s --seq %d", id, steps[0].Seq),
		}
	case d.Recorded != "" || d.Asked != "":
		why("the code asks for something other than what is recorded")
		row("event", fmt.Sprint(d.Revision))
		row("recorded", d.Recorded)
		row("asked", d.Asked)
		mend("before that", revisionBefore(r.History, d.Revision))
	case d.Text != "":
		why(d.Text)
		for i, line := range firstFrames(d.Stack) {
			row([]string{"stack", ""}[min(i, 1)], line)
		}
		mend("an earlier point", "N")
	case d.Signal != "":
		why(d.Reason)
		next[0] = "mend the code, then: " + next[0]
		// As a rule that one, as the code takes them as they come.
		if last := p.signals[d.Signal]; revisionBefore(r.History, last) != "" {
			row("event", fmt.Sprint(last))
			next = append(next, fmt.Sprintf("or run it again from before that, without the signals since: edri workflow reset %s --revision %s --drop-signals",
				id, revisionBefore(r.History, last)))
		}
	case d.Reason != "":
		why(d.Reason)
		mend("an earlier point", "N")
	default:
		row("why", cmp.Or(p.Reason, "by request"))
		if len(p.Details) > 0 {
			row("details", preview(p.Details))
		}
	}
	for i, line := range next {
		row([]string{"next", ""}[min(i, 1)], line)
	}
	_ = table.Flush() // into memory
}

func failedBy(e *workflows.Error) string {
	if e == nil {
		return ""
	}
	return ": " + e.Error()
}

// revisionBefore returns the revision of a history before another one; empty: there is none.
func revisionBefore(history []workflows.Range, revision event.Revision) string {
	for _, h := range history {
		if h.From < revision && revision <= h.To {
			return fmt.Sprint(revision - 1)
		}
	}
	return ""
}

// shownFrames is how many calls of a stack are shown.
const shownFrames = 3

// firstFrames returns the first calls of a stack, two lines each: those of who panicked,
// where it is of a panic.
func firstFrames(stack string) []string {
	lines := strings.Split(strings.TrimSpace(stack), "\n")
	if strings.HasPrefix(lines[0], "goroutine ") {
		lines = lines[1:]
	}
	for i := 0; i+1 < len(lines); i += 2 {
		if strings.HasPrefix(lines[i], "panic(") {
			lines = lines[i+2:]
			for len(lines) > 2 && strings.HasPrefix(lines[0], "runtime.") {
				lines = lines[2:]
			}
			break
		}
	}
	more := len(lines) > 2*shownFrames
	lines = lines[:min(len(lines), 2*shownFrames)]
	shown := make([]string, 0, len(lines)+1)
	for _, line := range lines {
		if line != "" {
			shown = append(shown, strings.ReplaceAll(line, "\t", "    "))
		}
	}
	if more {
		shown = append(shown, "…")
	}
	return shown
}
