package managers

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"time"
)

// Waits before a process is started again. The first holds after one that has answered
// a delivery, then they double.
const (
	firstRestart = 100 * time.Millisecond
	maxRestart   = 30 * time.Second
)

// pool keeps the instances of a process running and gives each delivery to one that is
// free.
type pool struct {
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
	// empty is called when none is left; nil: nobody asked.
	empty func()
	// changed is closed, and replaced, when an instance got ready or free.
	changed chan struct{}
}

func newPool(m *Manager, p Process, keys KeyReader) *pool {
	return &pool{
		process:      p,
		keys:         keys,
		subscription: m.cfg.Subscription.Name,
		source:       m.cfg.Source,
		logger:       m.cfg.Logger.With("manager", m.name),
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
		wait = min(2*wait, maxRestart)
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

// handle has a process execute a delivery: it is the handler of its types.
func (p *pool) handle(ctx context.Context, d *Delivery) (Effects, error) {
	i, err := p.acquire(ctx)
	if err != nil {
		return Effects{}, err
	}
	defer p.release(i)
	ack, err := i.deliver(ctx, d)
	if err != nil {
		return Effects{}, err
	}
	return ack.effects(origin{p.source, d})
}

// acquire takes a place of the instance that has most of them free, and waits for one.
func (p *pool) acquire(ctx context.Context) (*instance, error) {
	for {
		p.mu.Lock()
		var best *instance
		for _, i := range p.ready {
			if i.free > 0 && (best == nil || i.free > best.free) {
				best = i
			}
		}
		if best != nil {
			best.free--
		}
		changed := p.changed
		p.mu.Unlock()
		if best != nil {
			return best, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("no worker process was free: %w", ctx.Err())
		case <-changed:
		}
	}
}

func (p *pool) release(i *instance) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i.free++
	p.changedLocked()
}

func (p *pool) changedLocked() {
	close(p.changed)
	p.changed = make(chan struct{})
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
	p.changedLocked()
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
