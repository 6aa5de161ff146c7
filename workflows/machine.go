package workflows

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"github.com/edri-io/edri/event"
)

// maxOpen is how many steps, timers, requests, waits and children a run may have open.
const maxOpen = 2000

// machine runs the code of one run. It is fed inputs, one after the other, and lets the
// code run after each until it waits; what the code asks for comes out as records. It
// knows neither clock nor cluster: the same inputs make the same records.
//
// It belongs to whoever feeds it. What is said here of "the code" runs on coroutines,
// while the feeder waits.
type machine struct {
	def *definition
	run Run // as it was when the machine was made
	co  *coroutines

	// What the code has.
	begun       Started
	now         time.Time
	random      *rand.Rand
	seq         uint64
	events      int            // of the history, what is not committed included
	ops         map[uint64]*op // open, by seq
	underway    int            // steps that a worker has to run or runs
	root        *scope
	unread      []SignalReceived
	queries     map[string]queryHandler
	updates     map[string]updateHandler
	openUpdates []string // ids, accepted and not answered
	versions    map[string]int
	undo        []func(Context) error
	cancelled   bool // the run was asked to end

	// What comes out.
	out    []Record
	fed    int           // of out, up to the last input
	todo   []*op         // steps that a worker has to begin, or to cancel
	blocks []stepBlocked // steps that block the run, and it is not said yet
	end    *End          // the run has ended
	endAt  event.Revision
	halt   *fault // it cannot go on

	replay replay
}

// fault is why a machine cannot go on.
type fault struct {
	reason  string // of the Block
	details any
	err     error
	// kept is how many of the records hold nevertheless.
	kept int
}

func newMachine(def *definition, run Run, limit time.Duration) *machine {
	m := &machine{def: def, run: run, co: newCoroutines(limit), ops: make(map[uint64]*op)}
	m.root = &scope{m: m}
	m.co.panicked = m.panicked
	return m
}

// close ends the coroutines of the code, which gets nothing done by that.
func (m *machine) close() bool { return m.co.close() }

// halted says that the machine takes no more inputs.
func (m *machine) halted() bool { return m.halt != nil || m.end != nil }

// feed takes an input and lets the code run.
func (m *machine) feed(in input) {
	if in.time.After(m.now) {
		m.now = in.time
	}
	kept := len(m.out)
	m.events++
	if in.record != nil {
		m.out = append(m.out, *in.record)
		kept++
		m.fed = kept
	}
	m.apply(in)
	if m.halt == nil {
		m.co.turn(m.halted)
	}
	m.checkForeign()
	if m.co.stuck && m.halt == nil {
		m.stuck()
	}
	if m.halt != nil {
		// What came is a fact; what the code made of it is not, since it is to be mended.
		m.halt.kept = kept
	}
}

// take returns the next records that came out, as many as an advance may have that has some
// bytes besides, but in any case all inputs; more says that others are left.
func (m *machine) take(bytes int) (records []Record, more bool) {
	out := m.out
	if m.halt != nil {
		out = out[:m.halt.kept]
	}
	n := 0
	for ; n < len(out) && (n < m.fed || n < maxAdvanceRecords && bytes < maxAdvanceBytes); n++ {
		bytes += out[n].size()
	}
	m.fed = 0
	if n < len(out) {
		m.out = slices.Clone(out[n:])
	} else {
		m.out = nil
	}
	if m.halt != nil {
		m.halt.kept = len(m.out)
	}
	return out[:n:n], len(m.out) > 0
}

// fail halts the machine. Where the code runs, that ends here.
func (m *machine) fail(f *fault) {
	if m.halt == nil {
		m.halt = f
	}
	m.co.closing.Store(true)
	if m.co.current != nil {
		runtime.Goexit()
	}
}

// stackDetails are those of a Block by a panic, or by code that is stuck.
type stackDetails struct {
	Text  string `json:"text"`
	Stack string `json:"stack,omitempty"`
}

func newStackDetails(text string, stack []byte) stackDetails {
	return stackDetails{cut(text, maxMessage), cut(string(stack), maxDetails)}
}

const (
	reasonPanic = "panic"
	reasonStuck = "stuck"
)

// panicked is told of a panic of the code.
func (m *machine) panicked(text string, stack []byte) {
	if m.halt == nil {
		err := &Error{Type: ErrorPanic, Message: text}
		m.halt = &fault{reason: reasonPanic, details: newStackDetails(text, stack), err: err}
	}
}

func (m *machine) stuck() {
	co := m.co.running.Load()
	text := fmt.Sprintf("the workflow's code did not wait by way of its context for %v", m.co.limit)
	err := &Error{Type: ErrorTimeout, Message: text}
	m.halt = &fault{reason: reasonStuck, details: newStackDetails(text, stackOf(co)), err: err}
}

// enter begins each call of the API: it holds the caller to be the code that runs.
func (m *machine) enter() *coroutine {
	m.co.leaveIfClosing()
	running := m.co.running.Load()
	// Looking at the stack costs: while the past is replayed, that there is somebody who
	// may call has to do.
	if running == nil || m.replay.live.Load() && !onCoroutine() {
		m.foreign()
	}
	return m.co.current
}

// foreign ends a goroutine that must not call the API, and the run with it.
func (m *machine) foreign() {
	stack := debug.Stack()
	if i := bytes.LastIndex(stack, []byte("(*machine).enter")); i >= 0 { // from the API's function on
		if lines := bytes.SplitN(stack[i:], []byte("\n"), 3); len(lines) == 3 {
			stack = lines[2]
		}
	}
	m.replay.foreign.CompareAndSwap(nil, &stack)
	if tell := m.replay.tellForeign; tell != nil {
		tell()
	}
	runtime.Goexit()
}

// checkForeign halts the machine if its context was used by another goroutine.
func (m *machine) checkForeign() {
	stack := m.replay.foreign.Load()
	if m.halt != nil || stack == nil {
		return
	}
	m.co.closing.Store(true)
	text := "the workflow's context was used by a goroutine that is not the run's: use workflows.Go, and steps for what is done outside"
	m.halt = &fault{reason: reasonPanic, details: newStackDetails(text, *stack), err: &Error{Type: ErrorPanic, Message: text}}
}

// enterChanging is enter for what a query or a validator must not do.
func (m *machine) enterChanging() *coroutine {
	co := m.enter()
	if co.looks {
		panic("a query or a validator must not change the run, nor wait")
	}
	return co
}

// emit lets out a record that the code asks for, or holds it to what was recorded. It
// returns where it is recorded; 0: it is new.
func (m *machine) emit(kind string, data []byte, do Command) event.Revision {
	if m.halt != nil {
		return 0
	}
	m.events++
	if m.replay.expects() {
		return m.hold(kind, data)
	}
	m.out = append(m.out, Record{Kind: kind, Time: m.now, Data: data, Do: do})
	return 0
}

// main is the coroutine of the workflow's function.
func (m *machine) main() {
	ctx := Context{m.root}
	result, err := m.def.call(ctx, m.begun.Input)
	next := (*continued)(nil)
	if err != nil {
		next = asContinued(err)
	}
	if err != nil && next == nil {
		m.pauseBySignal(err)
		err = m.compensate(err)
	}
	m.answerOpenUpdates()
	m.finish(result, err, next)
}

// nextSeq numbers what the code asks for.
func (m *machine) nextSeq() uint64 {
	m.seq++
	return m.seq
}

// open adds what the code asked for and waits for.
func (m *machine) open(s *scope, kind opKind, name string) *op {
	o := &op{m: m, scope: s, kind: kind, name: name, seq: m.nextSeq()}
	switch {
	case s.err != nil:
		o.done, o.err = true, s.err
	case len(m.ops) >= maxOpen:
		o.done, o.err = true, &Error{
			Type: ErrorQuota, Final: true,
			Message: fmt.Sprintf("a run may have %d steps, timers, requests, waits and children open", maxOpen),
		}
	default:
		m.ops[o.seq] = o
	}
	return o
}

// cancelOps cancels what is open of scopes that were canceled, in the order in which it
// was asked for.
func (m *machine) cancelOps() {
	var found []uint64
	for seq, o := range m.ops {
		if o.scope.err != nil && !o.canceled {
			found = append(found, seq)
		}
	}
	slices.Sort(found)
	for _, seq := range found {
		if o := m.ops[seq]; o != nil {
			o.cancel(o.scope.err)
		}
		if m.halt != nil {
			return
		}
	}
}

// openSteps returns the steps that are open, in order.
func (m *machine) openSteps() []*op {
	var found []*op
	for _, seq := range slices.Sorted(maps.Keys(m.ops)) {
		if o := m.ops[seq]; o.kind == opStep {
			found = append(found, o)
		}
	}
	return found
}

// seed begins the run's random numbers.
func (m *machine) seed() *rand.Rand {
	if m.random == nil {
		seed, _ := strconv.ParseUint(m.begun.Seed, 10, 64) // what is none is 0
		m.random = rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))
	}
	return m.random
}

func mustMarshal(v any) json.RawMessage {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // of our own types, whose raw parts were checked
	}
	return data
}
