package workflowstest

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

// Reset runs the last run of an id again from a revision of its history, the last that
// holds, as a new run of the id, whose number it returns. Signals that came after that are
// received again. A revision at which the code has ended is invalid.
func (c *Cluster) Reset(id string, revision event.Revision) (number uint64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, err := c.findLocked(id)
	if err != nil {
		return 0, err
	}
	kept := cut(r.History, revision)
	if kept == nil {
		return 0, event.Errorf(event.CodeInvalid, "revision %d: is not within the history of run %s", revision, id)
	}
	for _, e := range c.eventsLocked(id, kept) {
		switch strings.TrimPrefix(e.Type, workflows.HistoryPrefix) {
		case workflows.KindCompleted, workflows.KindFailed, workflows.KindCanceled, workflows.KindContinued:
			return 0, event.Errorf(event.CodeInvalid, "revision %d: run %s had ended by then, at %d", revision, id, e.Revision)
		}
	}
	signals := c.signalsAfterLocked(r, revision)
	number = c.numbers + 1
	c.numbers = number
	next := &run{
		start: r.start, seed: r.seed, status: workflows.Running, done: make(chan struct{}),
		timers: make(map[uint64]*time.Timer), requests: make(map[uint64]event.Position),
		awaits: make(map[uint64]workflows.AwaitEvent), children: make(map[uint64]*child),
		updates: make(map[string]chan workflows.UpdateRecord), parent: r.parent, parentSeq: r.parentSeq,
		resetFrom: r,
	}
	next.start.Attributes = maps.Clone(r.start.Attributes)
	next.Run = workflows.Run{ID: id, Number: number, Type: r.Type, Version: r.Version, Correlation: r.Correlation, History: kept}
	if p := r.parent; p != nil && p.children[r.parentSeq] != nil {
		p.children[r.parentSeq].run = next
	}
	r.parent = nil // it hears of the other one
	c.closeLocked(r, workflows.Terminated, nil, nil, "the run was reset")
	c.current[id], c.runs[number] = next, next
	c.recordLocked(next, workflows.KindReset, stamp(), mustMarshal(workflows.ResetRecord{
		From: strconv.FormatUint(r.Number, 10), Revision: revision,
	}))
	for _, data := range signals {
		c.enterLocked(next, workflows.KindSignal, data)
	}
	c.wakeLocked(next)
	return number, nil
}

// cut returns what of a history is up to a revision; nil: that is not within it.
func cut(history []workflows.Range, to event.Revision) (kept []workflows.Range) {
	for _, h := range history {
		if to < h.From {
			return nil
		}
		if to <= h.To {
			return append(kept, workflows.Range{From: h.From, To: to})
		}
		kept = append(kept, h)
	}
	return nil
}

// signalsAfterLocked returns the data of the signals that a run received after a revision,
// or has not yet received.
func (c *Cluster) signalsAfterLocked(r *run, revision event.Revision) (signals []json.RawMessage) {
	stream := c.streams[workflows.HistoryStream(r.ID)]
	for _, h := range r.History {
		for _, e := range stream[h.From-1 : h.To] {
			var u workflows.Unhandled
			switch kind := strings.TrimPrefix(e.Type, workflows.HistoryPrefix); {
			case e.Revision <= revision:
			case kind == workflows.KindSignal:
				signals = append(signals, e.Data)
			case kind == workflows.KindUnhandled && json.Unmarshal(e.Data, &u) == nil && u.Kind == workflows.KindSignal:
				signals = append(signals, u.Data)
			}
		}
	}
	for _, e := range r.entries {
		if e.Kind == workflows.KindSignal {
			signals = append(signals, e.Data)
		}
	}
	return slices.Clone(signals)
}

// madeBeforeReset reports whether a run is a child of the run that parent was reset from, or
// of one before that.
func madeBeforeReset(child, parent *run) bool {
	for r := parent; r != nil && r.resetFrom != nil && child.parent != nil; r = r.resetFrom {
		if child.parent == r.resetFrom {
			return true
		}
	}
	return false
}
