package client

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"strings"

	"connectrpc.com/connect"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

// ListOptions say how runs are listed.
type ListOptions struct {
	// Page is how many runs one call asks for, at most 1,000; 0: 100.
	Page int
	// Cursor is where an earlier list with the same filter ended; see RunList.
	Cursor      string
	Consistency Consistency // default: Stale
}

// RunPage is a part of a list of runs.
type RunPage struct {
	Runs []Run // without what they wait for
	// Cursor goes on with what is behind; empty: there is no more. A page may have few runs,
	// or none, and go on nevertheless.
	Cursor string
}

// RunPages returns pages of the runs that match a filter, such as
//
//	status = "running" and type in ("order", "return") and started >= "2026-01-01"
//
// Where the filter says by equality or not at all where to look, the last started come
// first; where only by a range or prefix of an attribute, those with its highest value.
// The sequence ends after the first error.
func (c *Client) RunPages(ctx context.Context, filter string, o ListOptions) iter.Seq2[RunPage, error] {
	return func(yield func(RunPage, error) bool) {
		request := &edriv1.ListRunsRequest{
			Filter: filter, Limit: uint32(max(o.Page, 0)), Cursor: o.Cursor, Consistency: o.Consistency.wire(),
		}
		for {
			var m *edriv1.ListRunsResponse
			err := c.ask(ctx, func(ctx context.Context, n *server) error {
				response, err := n.workflows.list.CallUnary(ctx, connect.NewRequest(request))
				if err == nil {
					m = response.Msg
				}
				return err
			})
			var page RunPage
			if err == nil {
				page, err = newRunPage(m)
			}
			if !yield(page, err) || err != nil || page.Cursor == "" {
				return
			}
			request.Cursor = page.Cursor
		}
	}
}

func newRunPage(m *edriv1.ListRunsResponse) (RunPage, error) {
	page := RunPage{Cursor: m.Cursor}
	for _, run := range m.Runs {
		r, err := newRun(run)
		if err != nil {
			return page, err
		}
		page.Runs = append(page.Runs, r)
	}
	return page, nil
}

// ListRuns returns the runs that match a filter, page by page as they are taken; see
// RunPages. The sequence ends after the first error.
func (c *Client) ListRuns(ctx context.Context, filter string, o ListOptions) iter.Seq2[Run, error] {
	return func(yield func(Run, error) bool) {
		for page, err := range c.RunPages(ctx, filter, o) {
			if err != nil {
				yield(Run{}, err)
				return
			}
			for _, r := range page.Runs {
				if !yield(r, nil) {
					return
				}
			}
		}
	}
}

// Reset says to where a run is reset.
type Reset struct {
	// Revision is that of the last event of the history that holds. Instead of it, Step names
	// a step, or Seq gives its sequence number: what was before its first attempt holds.
	Revision event.Revision
	Step     string
	Seq      uint64
	Reason   string
	// DropSignals: signals after it are not received again.
	DropSignals bool
}

// ResetRun ends a run, if it has not ended, and starts another of its ID that has the
// beginning of its history, and goes on from there. A run that is not the last of its ID
// is check_failed. What its code did after that is done again.
func (c *Client) ResetRun(ctx context.Context, run RunID, to Reset) (RunID, error) {
	if to.Revision == 0 || run.Number == 0 {
		// By its number, so that a repeat is not a reset of what came of the first.
		r, err := c.Run(ctx, run, Linearizable)
		if err != nil {
			return RunID{}, err
		}
		run = r.RunID
		if to.Revision == 0 {
			if to.Revision, err = c.resetPoint(ctx, r, to); err != nil {
				return RunID{}, err
			}
		}
	}
	request := &edriv1.ResetRun{
		Id: run.ID, Number: run.Number, Revision: uint64(to.Revision), Reason: to.Reason, DropSignals: to.DropSignals,
	}
	var next uint64
	unsure := false
	err := c.repeat(ctx, func(ctx context.Context, n *server) error {
		response, err := n.workflows.reset.CallUnary(ctx, connect.NewRequest(request))
		if err == nil {
			next = response.Msg.Number
		}
		unsure = unsure || mayHaveHappened(err)
		return err
	})
	if unsure && event.CodeOf(err) == event.CodeCheckFailed {
		if r, failed := c.Run(ctx, run, Linearizable); failed == nil && r.Next != 0 {
			return RunID{run.ID, r.Next}, nil
		}
	}
	return RunID{run.ID, next}, err
}

// resetPoint returns the revision before the first event of a step.
func (c *Client) resetPoint(ctx context.Context, r Run, to Reset) (event.Revision, error) {
	if (to.Step == "") == (to.Seq == 0) {
		return 0, event.Errorf(event.CodeInvalid, "reset: one of a revision, a step's name and its number is needed")
	}
	before := event.Revision(0)
	for e, err := range c.History(ctx, r.ID, r.History) {
		if err != nil {
			return 0, err
		}
		if s, ok := stepOf(&e); ok && (to.Step != "" && s.Name == to.Step || to.Seq != 0 && s.Seq == to.Seq) {
			return before, nil
		}
		before = e.Revision
	}
	what := fmt.Sprintf("step %q", to.Step)
	if to.Step == "" {
		what = fmt.Sprintf("step number %d", to.Seq)
	}
	return 0, event.Errorf(event.CodeNotFound, "the history of run %s/%d has no %s", r.ID, r.Number, what)
}

// asked are the kinds of events that begin or tell something of what the code asked for.
var asked = map[string]bool{
	workflows.KindStepStarted: true, workflows.KindStepCompleted: true, workflows.KindStepFailed: true,
	workflows.KindRequestSent: true, workflows.KindTimerSet: true, workflows.KindEventAwaited: true, workflows.KindChildStarted: true,
}

// stepOf returns the number, and of a step or request the name, of what an event is about.
func stepOf(e *event.Recorded) (step struct {
	Seq  uint64
	Name string
}, ok bool) {
	kind, ok := strings.CutPrefix(e.Type, workflows.HistoryPrefix)
	return step, ok && asked[kind] && json.Unmarshal(e.Data, &step) == nil
}
