package workflows

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"strings"
	"sync/atomic"
	"time"

	"github.com/edri-io/edri/event"
)

// A history is a sequence of inputs, each with what the code asked for after it:
//
//	started  [timer.set, request.sent …]  signal.received  []  step.completed  [timer.set] …
//	 input        asked for                  input              input           asked for
//
// Replay feeds the inputs in order, and holds what the code asks for to what follows. At
// the last input, what the code asks for beyond that is new.
//
// A reset may cut between an input and what was asked for after it. The code does not know
// of the cut: what it asks for at that input is partly before the reset and partly behind it,
// followed by what the reset has asked for again.
//
//	signal.received  [timer.set]  reset  [child.started, timer.set]
//	                 asked for    cut    asked for   again

// replay is where a machine stands in what was recorded.
type replay struct {
	// live: the past is over, or at its last input.
	live atomic.Bool
	// expected is what was recorded after the input that is being fed, and was not asked
	// for yet; more is the event behind it, which is an input; zero: there is none.
	expected []recorded
	more     recorded
	// seen is the revision of the last event that was replayed.
	seen event.Revision
	// foreign is the stack of the first goroutine that used the run's context and is not the
	// run's; nil: none did. tellForeign is told.
	foreign     atomic.Pointer[[]byte]
	tellForeign func()
}

// recorded is an event of a history.
type recorded struct {
	kind     string
	data     []byte
	time     time.Time
	revision event.Revision
}

// expects says that what the code asks for was recorded, or should have been.
func (r *replay) expects() bool { return len(r.expected) > 0 || !r.live.Load() }

// recorded reports whether the code has come to a record of a kind and number. What was let
// through once is let through again, whatever the limits are now.
func (r *replay) recorded(kind string, seq uint64) bool {
	return len(r.expected) > 0 && r.expected[0].kind == kind && identityOf(r.expected[0].data).Seq == seq
}

// identity is what tells whether two records of a kind are of the same thing.
type identity struct {
	Seq     uint64 `json:"seq"`
	Name    string `json:"name"`
	Attempt int    `json:"attempt"`
	Type    string `json:"type"`
	ID      string `json:"id"`
	Change  string `json:"change"`
}

func identityOf(data []byte) (id identity) {
	_ = json.Unmarshal(data, &id) // what is none of ours has none
	return id
}

// describe names a record for people.
func describe(kind string, data []byte) string {
	if kind == "" {
		return "nothing"
	}
	id := identityOf(data)
	var b strings.Builder
	b.WriteString(kind)
	if id.Seq > 0 {
		fmt.Fprintf(&b, " %d", id.Seq)
	}
	for _, s := range []string{id.Name, id.Type, id.ID, id.Change} {
		if s != "" {
			fmt.Fprintf(&b, " %q", s)
		}
	}
	if id.Attempt > 1 {
		fmt.Fprintf(&b, " (attempt %d)", id.Attempt)
	}
	return b.String()
}

// hold compares what the code asks for with what was recorded, and returns where that is.
func (m *machine) hold(kind string, data []byte) event.Revision {
	r := &m.replay
	if len(r.expected) == 0 {
		m.diverge(r.more, kind, data)
		return 0
	}
	next := r.expected[0]
	same := next.kind == kind
	if same && kind != KindAttributesSet && !bytes.Equal(next.data, data) {
		same = identityOf(next.data) == identityOf(data)
	}
	if !same {
		m.diverge(next, kind, data)
		return 0
	}
	r.expected = r.expected[1:]
	return next.revision
}

// Divergence says that the code of a run asks for something other than what is recorded
// of it.
type Divergence struct {
	// Seq numbers what was recorded, or asked for; 0: that has no number.
	Seq uint64 `json:"seq"`
	// Revision is the place in the history.
	Revision event.Revision `json:"revision"`
	Recorded string         `json:"recorded"`
	Asked    string         `json:"asked"`
}

const reasonDivergence = "divergence"

func (d *Divergence) Error() string {
	return fmt.Sprintf("the workflow's code diverges from the history at revision %d: recorded %s, asked for %s", d.Revision, d.Recorded, d.Asked)
}

// diverge halts the machine.
func (m *machine) diverge(was recorded, kind string, data []byte) {
	d := &Divergence{Revision: was.revision, Recorded: describe(was.kind, was.data), Asked: describe(kind, data)}
	d.Seq = identityOf(was.data).Seq
	if d.Seq == 0 {
		d.Seq = identityOf(data).Seq
	}
	m.fail(&fault{reason: reasonDivergence, details: d, err: d})
}

// replayAll feeds a history, and the machine is live then. An error is one of reading it.
func (m *machine) replayAll(history iter.Seq2[event.Recorded, error]) error {
	var in recorded
	var resets, asked []recorded // after it
	for e, err := range history {
		if err != nil {
			return fmt.Errorf("read history of run %s: %w", m.run.ID, err)
		}
		kind, ok := strings.CutPrefix(e.Type, HistoryPrefix)
		if !ok {
			continue // whatever it is, it was not the code's
		}
		if m.run.ID == "" {
			m.run.ID = strings.TrimPrefix(e.Stream, HistoryStream(""))
		}
		r := recorded{kind: kind, data: e.Data, time: e.Time, revision: e.Revision}
		m.replay.seen = e.Revision
		switch classOf(kind) {
		case classNote:
		case classAsked:
			asked = append(asked, r)
		case classInput:
			if kind == KindReset && in.kind != "" {
				resets = append(resets, r)
				continue
			}
			if in.kind != "" && !m.replayOne(in, resets, asked, r) {
				return nil
			}
			in, resets, asked = r, resets[:0], asked[:0]
		}
	}
	if in.kind == "" {
		return fmt.Errorf("history of run %s: has no beginning", m.run.ID)
	}
	m.replay.live.Store(true)
	m.replayOne(in, resets, asked, recorded{})
	return nil
}

// replayOne feeds one input, and the resets that cut the history after it, with what was
// recorded after them. It reports whether the machine can take more.
func (m *machine) replayOne(in recorded, resets, asked []recorded, more recorded) bool {
	m.replay.expected, m.replay.more = asked, more
	m.feed(input{kind: in.kind, time: in.time, data: in.data, at: in.revision})
	for _, reset := range resets {
		if m.end != nil && m.endAt != 0 && m.endAt < reset.revision {
			m.diverge(reset, KindCompleted, nil)
		}
		if m.halted() {
			break
		}
		m.feed(input{kind: reset.kind, time: reset.time, data: reset.data, at: reset.revision})
	}
	if m.halt == nil && len(m.replay.expected) > 0 {
		m.diverge(m.replay.expected[0], "", nil)
	}
	if m.halt == nil && m.end != nil && more.kind != "" {
		m.diverge(more, KindCompleted, nil)
	}
	// Steps that were asked for and are done need no worker.
	if len(m.todo) > 64+2*len(m.ops) || more.kind == "" {
		m.todo = open(m.todo)
	}
	return !m.halted()
}

// open returns the ops that are not done.
func open(ops []*op) []*op {
	kept := ops[:0]
	for _, o := range ops {
		if !o.done {
			kept = append(kept, o)
		}
	}
	clear(ops[len(kept):])
	return kept
}

// Check replays a recorded history with other code. It returns a *Divergence where the
// code asks for something other than what is recorded, an *Error of type ErrorPanic
// where it panics, and nil where a run with this history can go on with the code.
func Check(d Defined, history []event.Recorded) error {
	def := d.definition()
	if def.err != nil {
		return def.err
	}
	m := newMachine(def, Run{Type: def.name, Version: def.version}, DefaultStuckAfter)
	defer m.close()
	err := m.replayAll(func(yield func(event.Recorded, error) bool) {
		for _, e := range history {
			if !yield(e, nil) {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	if m.halt != nil {
		return m.halt.err
	}
	return nil
}
