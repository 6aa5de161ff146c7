package client

import (
	"context"
	"sync"

	"github.com/edri-io/edri/event"
)

// maxLanes bounds the anonymous lanes, and with them what may be unanswered at a
// time: 16 times 256 commits. More callers than that wait.
const maxLanes = 16

// pool hands calls to lanes.
type pool struct {
	client *Client

	mu    sync.Mutex
	lanes []*lane
	// waiting are the calls that no lane had room for, in order. Bounded by the
	// number of callers, each of whom waits for his own.
	waiting []*call
	closed  bool
}

// do executes a commit.
func (p *pool) do(ctx context.Context, c *call) (Result, error) {
	if err := ctx.Err(); err != nil {
		return Result{}, ended(ctx, nil)
	}
	if !p.submit(c) {
		return Result{}, withCause(event.Errorf(event.CodeUnavailable, "commit not sent"), ErrClosed)
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		p.abandon(ctx, c)
	}
	return c.result, c.err
}

// submit gives the call to the first lane with room, which packs what there is
// into few frames, or makes it wait. False: the client is closed.
func (p *pool) submit(c *call) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	if len(p.waiting) > 0 || !p.placeLocked(c) {
		p.waiting = append(p.waiting, c)
	}
	return true
}

func (p *pool) placeLocked(c *call) bool {
	for _, l := range p.lanes {
		if l.offer(c) {
			c.lane = l
			return true
		}
	}
	if len(p.lanes) == maxLanes {
		return false
	}
	l := newLane(p.client, "")
	l.onRoom = p.refill
	p.lanes = append(p.lanes, l)
	p.client.start(l)
	c.lane = l
	return l.offer(c)
}

// refill moves waiting calls to the lanes: one has room again.
func (p *pool) refill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	moved := 0
	for moved < len(p.waiting) && p.placeLocked(p.waiting[moved]) {
		moved++
	}
	if moved > 0 {
		rest := copy(p.waiting, p.waiting[moved:])
		clear(p.waiting[rest:])
		p.waiting = p.waiting[:rest]
	}
}

// abandon settles the call for a caller whose context has ended.
func (p *pool) abandon(ctx context.Context, c *call) {
	p.mu.Lock()
	l := c.lane
	if l == nil {
		for i, w := range p.waiting {
			if w == c {
				p.waiting = append(p.waiting[:i], p.waiting[i+1:]...)
				break
			}
		}
		c.settle(Result{}, ended(ctx, nil))
	}
	p.mu.Unlock()
	if l != nil {
		l.abandon(ctx, c)
	}
}

// close settles what waits; the lanes settle theirs.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, c := range p.waiting {
		c.settle(Result{}, withCause(event.Errorf(event.CodeUnavailable, "commit not sent"), ErrClosed))
	}
	p.waiting = nil
}
