package workflows

import (
	"cmp"
	"container/list"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/edri-io/edri/event"
)

const (
	aliveEvery   = time.Second // a worker must not be silent for 10 s
	firstRetry   = 50 * time.Millisecond
	longestRetry = 2 * time.Second
	awaitEntries = time.Second // that a refused end speaks of
)

// errShutdown is why the contexts of steps end when Run has to.
var errShutdown = errors.New("the worker shuts down")

// host is a worker with one version of each of some workflows, over all its sessions.
type host struct {
	*Runner
	cluster Cluster
	defs    map[Workflow]*definition

	turns sync.WaitGroup // of runs, and of queries
	tasks sync.WaitGroup

	base context.Context // of all that outlives the ctx of Run for the grace
	stop context.CancelCauseFunc

	mu      sync.Mutex
	session Session // nil: there is none
	runs    map[uint64]*live
	idle    *list.List // of *live, those that were used last first
	closing bool
	// emptied is closed when closing and no run is left.
	emptied chan struct{}
}

func newHost(r *Runner, c Cluster) *host {
	return &host{
		Runner: r, cluster: c, defs: make(map[Workflow]*definition),
		runs: make(map[uint64]*live), idle: list.New(), emptied: make(chan struct{}),
	}
}

// work works until ctx ends.
func (h *host) work(ctx context.Context) error {
	h.base, h.stop = context.WithCancelCause(context.WithoutCancel(ctx))
	defer h.stop(errShutdown)
	defer h.leave()
	wait := firstRetry
	for ctx.Err() == nil {
		s, end, err := h.connect(ctx)
		switch {
		case err == nil:
			wait = firstRetry
			h.serve(ctx, s)
			end()
		case ctx.Err() != nil:
		case hopeless(err):
			return fmt.Errorf("work: %w", err)
		default:
			h.cfg.Logger.Warn("cluster is not reached", "error", err, "retry_in", wait)
		}
		if !sleep(ctx, wait/2+rand.N(wait/2)) {
			return nil
		}
		wait = min(2*wait, longestRetry)
	}
	return nil
}

// hopeless errors come again however often one tries.
func hopeless(err error) bool {
	switch event.CodeOf(err) {
	case event.CodeInvalid, event.CodeDenied, event.CodeUnauthenticated, event.CodeTooLarge:
		return true
	}
	return false
}

// sleep reports whether the time passed before ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// connect begins a session. Once there is one, it lasts until end is called: it outlives
// ctx, and the contexts of steps, which have something to say when these end.
func (h *host) connect(ctx context.Context) (s Session, end func(), err error) {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	unlink := context.AfterFunc(ctx, end)
	s, err = h.cluster.Work(life, h.asWorker())
	if err != nil {
		end()
		return nil, nil, err
	}
	if !unlink() {
		s.Close(true)
		return nil, nil, ctx.Err()
	}
	return s, end, nil
}

func (h *host) asWorker() Worker {
	h.mu.Lock()
	defer h.mu.Unlock()
	w := Worker{Name: h.cfg.Name, Credits: max(0, h.cfg.CacheSize-len(h.runs))}
	for name := range h.defs {
		w.Workflows = append(w.Workflows, name)
	}
	slices.SortFunc(w.Workflows, func(a, b Workflow) int { return cmp.Compare(a.Type, b.Type) })
	for number, r := range h.runs {
		w.Held = append(w.Held, Held{Number: number, Advance: r.committed.Load()})
	}
	return w
}

// serve works in one session, until it ends or ctx does.
func (h *host) serve(ctx context.Context, s Session) {
	h.begin(s)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			messages, err := s.Receive()
			if err != nil {
				if ctx.Err() == nil {
					h.cfg.Logger.Warn("session ended; the worker begins another", "error", err)
				}
				return
			}
			for i := range messages {
				h.receive(&messages[i])
			}
		}
	}()
	tick := time.NewTicker(aliveEvery)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			h.begin(nil)
			s.Close(false)
			return
		case <-tick.C:
			s.Send(Reply{Alive: true})
		case <-ctx.Done():
			h.finishTasks(s, ended, tick)
			s.Close(true)
			<-ended
			h.begin(nil)
			return
		}
	}
}

// begin makes a session the one that is spoken to, and repeats to it what is not known to
// have arrived.
func (h *host) begin(s Session) {
	h.mu.Lock()
	h.session = s
	runs := make([]*live, 0, len(h.runs))
	for _, r := range h.runs {
		runs = append(runs, r)
	}
	h.mu.Unlock()
	if s == nil {
		return
	}
	for _, r := range runs {
		r.post(r.resend)
	}
}

// send tells the leader something. Without a session it is lost.
func (h *host) send(r Reply) {
	h.mu.Lock()
	s := h.session
	h.mu.Unlock()
	if s != nil {
		s.Send(r)
	}
}

// finishTasks gives the steps time to finish and to be committed.
func (h *host) finishTasks(s Session, ended <-chan struct{}, tick *time.Ticker) {
	h.mu.Lock()
	h.closing = true
	runs := make([]*live, 0, len(h.runs))
	for _, r := range h.runs {
		runs = append(runs, r)
	}
	h.emptiedLocked()
	h.mu.Unlock()
	for _, r := range runs {
		r.post(func() { r.draining = true })
	}
	grace := time.NewTimer(h.cfg.Grace)
	defer grace.Stop()
	for patience := 2; patience > 0; {
		select {
		case <-h.emptied:
			return
		case <-ended:
			return
		case <-tick.C:
			s.Send(Reply{Alive: true})
		case <-grace.C:
			// Functions may still have something to say now that their context ends.
			h.stop(errShutdown)
			grace.Reset(h.cfg.Grace)
			patience--
		}
	}
}

// emptiedLocked tells when all is done.
func (h *host) emptiedLocked() {
	if h.closing && len(h.runs) == 0 {
		select {
		case <-h.emptied:
		default:
			close(h.emptied)
		}
	}
}

// leave ends what is left of the runs.
func (h *host) leave() {
	h.stop(errShutdown)
	h.mu.Lock()
	h.closing = true
	runs := make([]*live, 0, len(h.runs))
	for _, r := range h.runs {
		runs = append(runs, r)
	}
	h.mu.Unlock()
	for _, r := range runs {
		r.post(r.drop)
	}
	h.turns.Wait()
	done := make(chan struct{})
	go func() {
		h.tasks.Wait()
		close(done)
	}()
	grace := time.NewTimer(h.cfg.Grace)
	defer grace.Stop()
	select {
	case <-done:
	case <-grace.C:
		h.cfg.Logger.Error("step functions do not return though their context ended", "steps", h.stats.steps.Load())
	}
}

// watch counts the goroutine of a machine that does not give way.
func (h *host) watch(m *machine) {
	m.co.onStuck = func() { h.stats.stuck.Add(1) }
	m.co.onGone = func() { h.stats.stuck.Add(-1) }
}

// dismiss ends a machine, and counts the goroutine that does not end.
func (h *host) dismiss(m *machine) {
	stuck := m.co.stuck
	if !stuck {
		stuck = !m.close()
	}
	if stuck {
		h.cfg.Logger.Error("a workflow's code does not give way", "run", m.run.ID, "workflow", m.def.name)
	}
}
