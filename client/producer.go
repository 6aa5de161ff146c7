package client

import (
	"context"
	"sync"

	"github.com/edri-io/edri/event"
)

// Producer writes under a name that the cluster remembers, with how far it came:
// for imports, whose sequence is the line number. After any interruption, open
// it again and go on behind Last; nothing is lost and nothing comes twice,
// whatever the size of the file.
//
// One producer of a name at a time. Two that use it together with the same
// sequences and the same content each get the same results; with different ones,
// one of them ends as invalid.
type Producer struct {
	name string
	lane *lane
	last uint64 // when it was opened
	room chan struct{}

	mu   sync.Mutex
	next uint64 // the first sequence of the next commit
}

// Producer opens the named producer, or makes it.
func (c *Client) Producer(ctx context.Context, name string) (*Producer, error) {
	if err := event.CheckName("producer", name); err != nil {
		return nil, err
	}
	p := &Producer{name: name, lane: newLane(c, name), room: make(chan struct{}, 1)}
	p.lane.onRoom = func() {
		select {
		case p.room <- struct{}{}:
		default:
		}
	}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, withCause(event.Errorf(event.CodeUnavailable, "producer not opened"), ErrClosed)
	}
	c.start(p.lane)
	c.mu.Unlock()
	select {
	case <-p.lane.opened:
	case <-p.lane.gone:
		return nil, p.lane.failure()
	case <-ctx.Done():
		p.Close()
		return nil, ended(ctx, nil)
	}
	p.lane.mu.Lock()
	defer p.lane.mu.Unlock()
	p.last = p.lane.startAt
	p.next = p.last + 1
	return p, nil
}

// Name is the producer's name.
func (p *Producer) Name() string { return p.name }

// Last is the last sequence that had been executed when it was opened; 0: none.
func (p *Producer) Last() uint64 { return p.last }

// Commit sends the operations as the sequences first..last, the next that this
// producer has: first is Last()+1, then one behind the last of the commit before.
// With each, every operation takes effect or fails by itself, else all or none.
// An empty commit consumes its sequences too.
//
// It waits while the producer's window is full, and not for the result. Commits
// take effect in their order.
func (p *Producer) Commit(ctx context.Context, first, last uint64, each bool, ops []Op) (*Pending, error) {
	encoded, err := joinOps(ops)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if first != p.next || last < first || last == 1<<64-1 {
		return nil, event.Errorf(event.CodeInvalid, "sequences %d to %d: the next is %d", first, last, p.next)
	}
	c := newCall(encoded, len(ops))
	c.each, c.first, c.last = each, first, last
	for !p.lane.offer(c) {
		if err := p.lane.failure(); err != nil {
			return nil, err
		}
		select {
		case <-p.room:
		case <-p.lane.gone:
		case <-ctx.Done():
			return nil, ended(ctx, nil)
		}
	}
	p.next = last + 1
	return &Pending{call: c, FirstSequence: first, LastSequence: last}, nil
}

// Close ends the producer; commits without a result end as outcome_unknown. The
// cluster remembers it.
func (p *Producer) Close() {
	p.lane.stop()
}

// Pending is a commit that a Producer has taken.
type Pending struct {
	call *call
	// FirstSequence and LastSequence are those of the commit.
	FirstSequence, LastSequence uint64
}

// Done is closed when the result is there.
func (p *Pending) Done() <-chan struct{} { return p.call.done }

// Wait returns the result when it is there. When ctx ends before, the commit is
// still under way, and Wait may be called again.
func (p *Pending) Wait(ctx context.Context) (Result, error) {
	select {
	case <-p.call.done:
		return p.call.result, p.call.err
	default:
	}
	select {
	case <-p.call.done:
		return p.call.result, p.call.err
	case <-ctx.Done():
		return Result{}, outcomeUnknown("commit is under way, and its result is not there yet", context.Cause(ctx))
	}
}
