package workflows

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Now returns the run's time: that of what it goes on from, the same on each replay.
func Now(ctx Context) time.Time {
	ctx.s.m.enter()
	return ctx.s.m.now
}

// Sleep waits, durably: no worker is needed meanwhile. It returns an error where ctx is
// canceled and, of type ErrorInvalid, where d is more than 100 years.
func Sleep(ctx Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	f := After(ctx, d)
	_, err := f.get(ctx.s, f.o.m.co.current)
	return err
}

// After returns a future that is ready when d has passed, durably. Of more than 100 years it
// is ready at once, with an error of type ErrorInvalid.
func After(ctx Context, d time.Duration) *Future[struct{}] {
	m := ctx.s.m
	m.enterChanging()
	return &Future[struct{}]{m.setTimer(ctx.s, d)}
}

// setTimer opens a timer.
func (m *machine) setTimer(s *scope, d time.Duration) *op {
	o := m.open(s, opTimer, "")
	if o.done {
		return o
	}
	if d > maxTimer && !m.replay.recorded(KindTimerSet, o.seq) {
		o.resolve(nil, invalid("a timer of %v is longer than 100 years", d))
		return o
	}
	d = min(max(0, d), maxTimer)
	m.emitOpen(o, KindTimerSet, appendTimer(nil, o.seq, d), SetTimer{o.seq, d})
	return o
}

// cancelTimer ends a timer that is still open.
func (m *machine) cancelTimer(o *op) {
	if !o.done {
		o.cancel(canceled("by the workflow's code"))
	}
}

// Random returns the run's random numbers, the same on each replay.
func Random(ctx Context) *rand.Rand {
	ctx.s.m.enterChanging() // since each number changes the next
	return ctx.s.m.seed()
}

// NewID returns a random id of 32 hexadecimal digits, the same on each replay.
func NewID(ctx Context) string {
	r := Random(ctx)
	return fmt.Sprintf("%016x%016x", r.Uint64(), r.Uint64())
}

// RunInfo says which run the code runs for.
type RunInfo struct {
	ID      string
	Type    string
	Version uint32
	Parent  string // ID/number, empty: it has none
	Memo    []byte // JSON
	// Events is how long the history is: a run that goes on for ever continues as new
	// before it has 50,000.
	Events int
}

// Info returns the run.
func Info(ctx Context) RunInfo {
	m := ctx.s.m
	m.enter()
	return RunInfo{ID: m.run.ID, Type: m.begun.Type, Version: m.begun.Version, Parent: m.begun.Parent, Memo: m.begun.Memo, Events: m.events}
}
