package raftlog

import (
	"fmt"
	"sync"
	"time"
)

// stallWatch notices a write that does not end. Raft keeps a leader in office whose
// log write hangs, because its heartbeats go on: nothing commits, and nobody else is
// elected. Exiting hands the work to the others.
type stallWatch struct {
	after   time.Duration
	leading func() bool
	fatal   func(error) error

	stop chan struct{}
	done chan struct{}

	mu    sync.Mutex
	since time.Time // when the write in progress began, zero = none
}

func startStallWatch(after time.Duration, leading func() bool, fatal func(error) error) *stallWatch {
	w := &stallWatch{after: after, leading: leading, fatal: fatal,
		stop: make(chan struct{}), done: make(chan struct{})}
	go w.run()
	return w
}

// begin marks the start of a write; there is one at a time.
func (w *stallWatch) begin() {
	if w == nil {
		return
	}
	w.mu.Lock()
	w.since = time.Now()
	w.mu.Unlock()
}

// end marks its end.
func (w *stallWatch) end() {
	if w == nil {
		return
	}
	w.mu.Lock()
	w.since = time.Time{}
	w.mu.Unlock()
}

// stalled is how long the write in progress has taken.
func (w *stallWatch) stalled() time.Duration {
	if w == nil {
		return 0
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.since.IsZero() {
		return 0
	}
	return time.Since(w.since)
}

// run looks at the clock several times in each limit. Whether this node leads, and
// others could take over, is asked only when a write has taken too long.
func (w *stallWatch) run() {
	defer close(w.done)
	tick := time.NewTicker(w.after / 8)
	defer tick.Stop()
	for {
		select {
		case <-w.stop:
			return
		case now := <-tick.C:
			w.mu.Lock()
			since := w.since
			w.mu.Unlock()
			if since.IsZero() || now.Sub(since) < w.after || !w.leading() {
				continue
			}
			_ = w.fatal(fmt.Errorf("%w: for %s", ErrStalled, now.Sub(since).Round(time.Millisecond)))
			return
		}
	}
}

func (w *stallWatch) close() {
	if w == nil {
		return
	}
	close(w.stop)
	<-w.done
}
