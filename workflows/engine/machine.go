package engine

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/router"
	"github.com/edri-io/edri/timers"
)

// Requests is what the machine needs of the router's.
type Requests interface {
	SendIn(tx *consensus.Tx, stream, encoded []byte, timeout time.Duration) (event.Position, error)
	CancelIn(tx *consensus.Tx, request event.Position) error
}

// Machine is the replicated state machine of workflow runs.
type Machine struct {
	timers   *timers.Table
	requests Requests
	// work is that of the operation in execution, nil between them: what it appends comes
	// back by Appended, and must find runs as they are, and not as their rows still are.
	work *work
	// Limits are what Check holds events to, by default event.DefaultLimits. They are set
	// before the node is opened.
	Limits event.Limits
	enders []Ender

	advances atomic.Uint64 // that were executed, for people; nothing depends on it
}

var (
	_ consensus.StateMachine = (*Machine)(nil)
	_ consensus.Reactor      = (*Machine)(nil)
	_ consensus.PurgeChecker = (*Machine)(nil)
	_ timers.Owner           = (*Machine)(nil)
	_ router.Ender           = (*Machine)(nil)
)

// NewMachine returns a machine whose timers are those of a table, where it registers
// itself. Its requests are those of r, which must tell it of their ends.
func NewMachine(t *timers.Table, r Requests) *Machine {
	m := &Machine{timers: t, requests: r, Limits: event.DefaultLimits()}
	t.Register(m)
	return m
}

// Name implements consensus.StateMachine.
func (m *Machine) Name() string { return machineName }

// Ops implements consensus.StateMachine.
func (m *Machine) Ops() (first, last uint32) { return opFirst, opLast }

// Apply implements consensus.StateMachine.
func (m *Machine) Apply(tx *consensus.Tx, op uint32, body []byte) ([]byte, error) {
	switch op {
	case opAdvance:
		result, err := apply(m, tx, body, decodeAdvance, (*work).advance)
		if err == nil {
			m.advances.Add(1)
		}
		return result, err
	case opStart:
		return apply(m, tx, body, decodeStart, (*work).startOp)
	case opSignal:
		return apply(m, tx, body, decodeSignalOp, (*work).signal)
	case opUpdate:
		return apply(m, tx, body, decodeUpdateOp, (*work).update)
	case opCancel:
		return apply(m, tx, body, decodeNote, (*work).cancel)
	case opTerminate:
		return apply(m, tx, body, decodeNote, (*work).terminate)
	case opPause:
		return apply(m, tx, body, decodePause, (*work).pause)
	case opRetry:
		return apply(m, tx, body, decodeNote, (*work).retry)
	case opReset:
		return apply(m, tx, body, decodeReset, (*work).reset)
	case opDelete:
		return apply(m, tx, body, decodeNote, (*work).deleteOp)
	case opDefine:
		return apply(m, tx, body, decodeDefinition, (*work).define)
	case opLose:
		return apply(m, tx, body, decodeLose, (*work).lose)
	}
	return nil, fmt.Errorf("%w: unknown operation %d", consensus.ErrUndecodable, op)
}

// apply decodes an operation and executes it.
func apply[T any](m *Machine, tx *consensus.Tx, body []byte, decode func([]byte) (T, error), execute func(*work, T) ([]byte, error)) ([]byte, error) {
	o, err := decode(body)
	if err != nil {
		// Not %w: an *event.Error in it would only fail the operation.
		return nil, fmt.Errorf("%w: %v", consensus.ErrUndecodable, err)
	}
	var result []byte
	err = m.within(tx, func(w *work) error {
		result, err = execute(w, o)
		return err
	})
	return result, err
}

// within calls f with the work in execution, or with one that begins and ends here.
func (m *Machine) within(tx *consensus.Tx, f func(*work) error) error {
	if m.work != nil {
		return f(m.work)
	}
	m.work = &work{m: m, tx: tx}
	defer func() { m.work = nil }()
	if err := f(m.work); err != nil {
		return err
	}
	w := m.work
	w.put()
	m.work = nil // who is told may begin another
	for _, chain := range w.ended {
		for _, e := range m.enders {
			if err := e.RunEnded(tx.In(e.Name()), chain); err != nil {
				// Not %w: an *event.Error in it would only fail the operation.
				return fmt.Errorf("tell %s of the end of run %d: %v", e.Name(), chain, err)
			}
		}
	}
	return nil
}

// work is one operation, timer or reaction in execution. It has each run once, however
// many of its parts change it, and writes their rows at its end.
type work struct {
	m    *Machine
	tx   *consensus.Tx
	runs []*run // in the order in which they were read
	// ended are chains of runs that have, by the numbers of their first.
	ended []uint64
}

// run returns a run, nil if there is none of the number.
func (w *work) run(number uint64) (*run, error) {
	for _, r := range w.runs {
		if r.number == number {
			return r, nil
		}
	}
	row, err := w.tx.Get(numberKey(kindRun, number))
	if row == nil || err != nil {
		return nil, err
	}
	r, err := parseRun(number, bytes.Clone(row))
	if err == nil && r.uncounted {
		err = w.countUpdates(r)
	}
	if err != nil {
		return nil, err
	}
	w.runs = append(w.runs, r)
	return r, nil
}

// find returns the run that an operation names: the last one of the id, where it gives no
// number.
func (w *work) find(t target) (*run, error) {
	number := t.number
	if number == 0 {
		var err error
		if number, err = w.latest(t.id); err != nil {
			return nil, err
		}
	}
	r, err := w.run(number)
	if err != nil {
		return nil, err
	}
	if r == nil || string(r.id) != string(t.id) {
		return nil, noRun(t)
	}
	return r, nil
}

// running is find for an operation that a run which has ended refuses.
func (w *work) running(t target) (*run, error) {
	r, err := w.find(t)
	if err == nil && r.status != statusRunning {
		err = event.Errorf(event.CodeRunEnded, "run %s has ended: %s", r.name(), r.status)
	}
	return r, err
}

func noRun(t target) *event.Error {
	if t.number == 0 {
		return event.Errorf(event.CodeNotFound, "there is no run %s", t.id)
	}
	return event.Errorf(event.CodeNotFound, "there is no run %s/%d", t.id, t.number)
}

// latest returns the number of the last run of an id, 0 if there is none.
func (w *work) latest(id []byte) (uint64, error) {
	return w.numberOf(nameKey(kindID, id))
}

// numberOf returns the number that a row consists of, 0 if there is no such row.
func (w *work) numberOf(key []byte) (uint64, error) {
	row, err := w.tx.Get(key)
	if row == nil || err != nil {
		return 0, err
	}
	if len(row) != 8 {
		return 0, fmt.Errorf("%w: number of %d bytes", errRow, len(row))
	}
	return second(row), nil
}

// put writes the rows of runs that were changed, and keeps the rows of those that need a
// worker.
func (w *work) put() {
	for _, r := range w.runs {
		if !r.dirty {
			continue
		}
		r.set(flagReady, r.status == statusRunning && !r.is(flagDelayed) && (r.is(flagBusy) || r.unread()))
		if r.is(flagReady) != (r.was&flagReady != 0) {
			if r.is(flagReady) {
				w.tx.Put(numberKey(kindReady, r.number), []byte{rowVersion})
			} else {
				w.tx.Delete(numberKey(kindReady, r.number))
			}
		}
		w.tx.Put(numberKey(kindRun, r.number), r.append(nil))
		w.tx.Note(noteOf(r))
	}
	w.runs = nil
}

// Fire implements timers.Owner.
func (m *Machine) Fire(tx *consensus.Tx, t timers.Timer, payload []byte) error {
	if len(payload) == 0 {
		return fmt.Errorf("%w: timer of a workflow without payload", consensus.ErrUndecodable)
	}
	return m.within(tx, func(w *work) error { return w.fire(payload[0], payload[1:]) })
}

// The payload of a timer begins with its kind.
const (
	timerStep    = 't' // BE8 number, BE8 seq: a timer of the run's code
	timerDelay   = 'd' // BE8 number, BE8 0: the run begins
	timerTimeout = 'o' // BE8 number, BE8 0: the run's time is over
	timerClose   = 'c' // BE8 number, BE8 0: children of a run that has ended
	timerForget  = 'f' // BE8 number, BE8 0: a run that has ended is forgotten
	timerMatch   = 'w' // see match.go
	timerVoid    = 'v' // BE8 number, BE8 0: the inbox of a run that never came
)

func (w *work) fire(kind byte, payload []byte) error {
	if kind == timerMatch {
		return w.matchOn(payload)
	}
	number, seq, err := parsePair(payload, "payload of a timer")
	if err != nil {
		return err
	}
	r, err := w.run(number)
	if err != nil {
		return err
	}
	switch kind {
	case timerStep:
		return w.timerFired(r, number, seq)
	case timerDelay:
		return w.begin(r)
	case timerTimeout:
		return w.timeOut(r)
	case timerClose:
		return w.closeChildren(number)
	case timerForget:
		return w.expire(r)
	case timerVoid:
		return w.removeVoid(number)
	}
	return fmt.Errorf("%w: timer of a workflow of kind %q", consensus.ErrUndecodable, kind)
}

// setTimer sets a timer of the table, and returns its row.
func (w *work) setTimer(due int64, kind byte, number, seq uint64) []byte {
	t := w.m.timers.Set(w.tx, w.m, max(due, 0), append([]byte{kind}, pair(number, seq)...))
	return pair(uint64(t.Due), t.Number)
}

func (w *work) cancelTimer(row []byte) error {
	due, number, err := parseTimer(row)
	if err == nil {
		w.m.timers.Cancel(w.tx, timers.Timer{Due: due, Number: number})
	}
	return err
}

// setOwnTimer sets the timer of a run itself, of which it has one at a time.
func (w *work) setOwnTimer(r *run, after int64, kind byte) {
	r.dirty = true
	r.set(flagTimed, true)
	w.tx.Put(pairKey(kindTimer, r.number, 0), w.setTimer(later(w.now(), after), kind, r.number, 0))
}

// ownTimerFired is called when it has fired: the table has it no more.
func (w *work) ownTimerFired(r *run) {
	r.dirty = true
	r.set(flagTimed, false)
	w.tx.Delete(pairKey(kindTimer, r.number, 0))
}

// cancelOwnTimer cancels it, if it is set.
func (w *work) cancelOwnTimer(r *run) error {
	if !r.is(flagTimed) {
		return nil
	}
	row, err := w.tx.Get(pairKey(kindTimer, r.number, 0))
	if err != nil {
		return err
	}
	w.ownTimerFired(r)
	return w.cancelTimer(row)
}

// keysIn returns the first keys in [lo, hi), to be changed while no iterator is open.
func (w *work) keysIn(lo, hi []byte, limit int) ([][]byte, error) {
	it := w.tx.Scan(lo, hi, false)
	defer it.Close()
	var keys [][]byte
	for len(keys) < limit && it.Next() {
		keys = append(keys, bytes.Clone(it.Key()))
	}
	return keys, it.Err()
}
