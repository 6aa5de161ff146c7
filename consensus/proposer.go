package consensus

import (
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/event"
)

const (
	// Entries are filled up to this size; a larger commit travels alone.
	targetEntryBytes = 1 << 20
	// Entries in flight: one on its way to the followers' disks while the
	// leader's own disk writes the next.
	proposerDepth = 2
	// What may wait for its turn; more is refused as overloaded.
	maxQueuedBytes   = 64 << 20
	maxQueuedCommits = 1 << 17
	// How long raft's main loop may take to accept an entry.
	enqueueTimeout = 2 * time.Second
)

// origin is where a queued commit came from: a submission of this node or a
// frame that another node forwarded. Each of its commits is settled once.
type origin interface {
	// settled says that the commit's entry was handed to Raft; the outcome
	// comes from apply.
	settled(i int)
	// refused says that the commit will never take effect through this call, or
	// that the outcome is unknown.
	refused(i int, err *event.Error)
}

type queued struct {
	commit []byte
	from   origin
	index  int
	held   bool // has operations to be admitted, see Admitter
	own    bool // the cluster's own, which goes on while disks are full
	// repeatable: it has a session, so that who sent it may do so again.
	repeatable bool
}

// applier is the part of raft.Raft that the proposer needs.
type applier interface {
	Apply(cmd []byte, timeout time.Duration) raft.ApplyFuture
}

// proposer coalesces the commits that are pending on the leader into entries of
// the Raft log. One goroutine owns the filling of entries; the queue is bounded
// and refuses as overloaded what does not fit.
type proposer struct {
	raft   applier
	dead   <-chan struct{}    // closed when Raft has shut down
	header func() EntryHeader // stamps an entry, on the proposer's goroutine

	mu      sync.Mutex
	wake    *sync.Cond
	queue   []queued
	bytes   int
	open    bool // this node leads and has applied a command of its own term
	closed  bool
	flights int
	running sync.WaitGroup
}

func newProposer(r applier, dead <-chan struct{}, header func() EntryHeader) *proposer {
	p := &proposer{raft: r, dead: dead, header: header}
	p.wake = sync.NewCond(&p.mu)
	p.running.Add(1)
	go p.run()
	return p
}

// enqueue adds commits in order, all or none of them.
func (p *proposer) enqueue(items []queued) *event.Error {
	size := 0
	for i := range items {
		size += len(items[i].commit)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return event.Errorf(event.CodeUnavailable, "the node is stopping")
	case !p.open:
		return event.Errorf(event.CodeNotLeader, "this node does not lead")
	case len(p.queue) > 0 && (p.bytes+size > maxQueuedBytes || len(p.queue)+len(items) > maxQueuedCommits):
		return event.Errorf(event.CodeOverloaded, "%d commits with %d bytes wait already; at most %d bytes may", len(p.queue), p.bytes, maxQueuedBytes)
	}
	p.queue = append(p.queue, items...)
	p.bytes += size
	p.wake.Signal()
	return nil
}

// setOpen says whether this node may propose. Closing refuses what is queued:
// none of it has reached Raft.
func (p *proposer) setOpen(open bool) {
	p.mu.Lock()
	p.open = open
	var left []queued
	if !open {
		left, p.queue, p.bytes = p.queue, nil, 0
	}
	p.wake.Broadcast()
	p.mu.Unlock()
	for _, q := range left {
		q.from.refused(q.index, event.Errorf(event.CodeNotLeader, "this node no longer leads"))
	}
}

// close refuses what is queued and waits for the entries in flight, which end
// with Raft at the latest.
func (p *proposer) close() {
	p.setOpen(false)
	p.mu.Lock()
	p.closed = true
	p.wake.Broadcast()
	p.mu.Unlock()
	p.running.Wait()
}

func (p *proposer) run() {
	defer p.running.Done()
	for {
		items, ok := p.next()
		if !ok {
			return
		}
		p.propose(items)
	}
}

// next waits until there is something to propose and a free place in flight,
// and takes as much as one entry should hold.
func (p *proposer) next() ([]queued, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for !p.closed && (len(p.queue) == 0 || p.flights >= proposerDepth) {
		p.wake.Wait()
	}
	if p.closed {
		return nil, false
	}
	n, size := 0, 0
	for n < len(p.queue) {
		size += len(p.queue[n].commit)
		if n > 0 && size > targetEntryBytes {
			size -= len(p.queue[n].commit)
			break
		}
		n++
	}
	items := p.queue[:n:n]
	p.queue = p.queue[n:]
	p.bytes -= size
	if len(p.queue) == 0 {
		p.queue = nil // let go of the array that items still uses
	}
	p.flights++
	return items, true
}

func (p *proposer) propose(items []queued) {
	commits := make([][]byte, len(items))
	for i := range items {
		commits[i] = items[i].commit
	}
	future := p.raft.Apply(EncodeEntry(p.header(), commits), enqueueTimeout)
	p.running.Add(1)
	go func() {
		defer p.running.Done()
		p.finish(items, await(future, p.dead))
	}()
}

// await waits for a future of Raft, or for Raft's end: entries that are committed
// but not applied when it shuts down are never answered. The goroutine that is
// then left behind holds nothing but the future.
func await(future raft.Future, dead <-chan struct{}) error {
	result := make(chan error, 1)
	go func() { result <- future.Error() }()
	select {
	case err := <-result:
		return err
	case <-dead:
	}
	select {
	case err := <-result:
		return err
	default:
		return raft.ErrRaftShutdown
	}
}

func (p *proposer) finish(items []queued, err error) {
	p.mu.Lock()
	p.flights--
	p.wake.Signal()
	p.mu.Unlock()
	refusal := refusalOf(err)
	for _, q := range items {
		switch {
		case refusal != nil:
			q.from.refused(q.index, refusal)
		case err != nil && q.repeatable:
			// The next leader may have the entry or not. Who can ask again finds out
			// sooner than by waiting for what may never be applied.
			q.from.refused(q.index, errOutcomeUnknown())
		default:
			q.from.settled(q.index)
		}
	}
}

// refusalOf returns the error of an entry that Raft certainly did not take, nil
// for every other outcome. Only these three errors are answered before the
// entry is stored; after any other (ErrLeadershipLost, ErrRaftShutdown, a failed
// write) the entry may still be committed by a later leader.
func refusalOf(err error) *event.Error {
	switch {
	case errors.Is(err, raft.ErrNotLeader):
		return event.Errorf(event.CodeNotLeader, "this node does not lead")
	case errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return event.Errorf(event.CodeNotLeader, "leadership is being handed over")
	case errors.Is(err, raft.ErrEnqueueTimeout):
		return event.Errorf(event.CodeOverloaded, "the raft loop did not accept an entry within %v", enqueueTimeout)
	}
	return nil
}
