package managers

import (
	"context"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"time"
)

// Waits before a process is started again. The first holds after one that has answered
// a delivery; then they double, but for one that died alone with a delivery that had
// failed before: that is the event's fault, and others are not to wait for it.
const (
	firstRestart = 100 * time.Millisecond
	maxRestart   = 30 * time.Second
)

// pool keeps the instances of a process running and gives each delivery to one that is
// free.
type pool struct {
	manager      *Manager
	process      Process
	keys         KeyReader // nil: keys cannot be read
	subscription string
	source       string
	logger       *slog.Logger

	cancel      context.CancelFunc
	supervisors sync.WaitGroup // one for each instance

	mu sync.Mutex
	// ready are the instances that said hello and were not given up.
	ready []*instance
	// line has who waits for a place, in the order in which they came.
	line []*place
	// answered has the last attempts that the worker failed by its own word.
	answered map[attemptOf]int
	// empty is called when none is left; nil: nobody asked.
	empty func()
	// changed is closed, and replaced, when an instance got ready.
	changed chan struct{}
}

func newPool(m *Manager, p Process, keys KeyReader) *pool {
	return &pool{
		manager:      m,
		process:      p,
		keys:         keys,
		subscription: m.cfg.Subscription.Name,
		source:       m.cfg.Source,
		logger:       m.cfg.Logger.With("manager", m.name),
		answered:     make(map[attemptOf]int),
		changed:      make(chan struct{}),
	}
}

// start starts the instances, which run until stop is called: they outlive ctx, for what
// they are at when it ends.
func (p *pool) start(ctx context.Context) {
	ctx, p.cancel = context.WithCancel(context.WithoutCancel(ctx))
	for n := range p.process.Instances {
		p.supervisors.Go(func() { p.supervise(ctx, n) })
	}
}

// stop asks all instances to end, wait waits until they have.
func (p *pool) stop() { p.cancel() }
func (p *pool) wait() { p.supervisors.Wait() }

// supervise runs instance n, again and again.
func (p *pool) supervise(ctx context.Context, n int) {
	// Linux kills a child when the thread that started it ends, not the process: this
	// one must last as long as the child, see groupAttributes.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	wait := firstRestart
	for {
		i := newInstance(p, n)
		err := i.run(ctx)
		if ctx.Err() != nil {
			return
		}
		if i.hasServed() {
			wait = firstRestart
		}
		p.logger.Warn("worker process ended", "worker", i.name(), "instance", n, "error", err, "restart_in", wait)
		if !pause(ctx, wait) {
			return
		}
		if !i.diedOfEvent() {
			wait = min(2*wait, maxRestart)
		}
	}
}

// pause reports whether the time passed before ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// greeted makes an instance one that is ready, for so many deliveries at a time.
func (p *pool) greeted(i *instance, capacity int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i.retired {
		return // its hello was read when it had ended already
	}
	i.capacity, i.free = capacity, capacity
	p.ready = append(p.ready, i)
	p.placeLocked()
	close(p.changed)
	p.changed = make(chan struct{})
}

// retire takes an instance out of service.
func (p *pool) retire(i *instance) {
	p.mu.Lock()
	i.retired = true
	at := slices.Index(p.ready, i)
	if at < 0 {
		p.mu.Unlock()
		return
	}
	p.ready = slices.Delete(p.ready, at, at+1)
	p.placeLocked() // who waited for it to be free looks for another
	var tell func()
	if len(p.ready) == 0 {
		tell = p.empty
	}
	p.mu.Unlock()
	if tell != nil {
		tell()
	}
}

// awaitReady waits for an instance and returns how many deliveries all of them take.
func (p *pool) awaitReady(ctx context.Context) (capacity int, err error) {
	for {
		p.mu.Lock()
		if len(p.ready) > 0 {
			capacity = p.ready[0].capacity * p.process.Instances
		}
		changed := p.changed
		p.mu.Unlock()
		if capacity > 0 {
			return capacity, nil
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-changed:
		}
	}
}

// onEmpty has tell called when no instance is ready, at once if that is so now, until
// forget is called.
func (p *pool) onEmpty(tell func()) (forget func()) {
	p.mu.Lock()
	p.empty = tell
	now := len(p.ready) == 0
	p.mu.Unlock()
	if now {
		tell()
	}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.empty = nil
	}
}
