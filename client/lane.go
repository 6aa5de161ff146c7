package client

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/edri-io/edri/api/edriv1/wire"
	"github.com/edri-io/edri/event"
)

// What a lane has unanswered at most. The cluster keeps 256 results and 64 KiB
// of results of a session; a result has about 20 bytes an operation, and one
// that is dropped before it was read is an outcome_unknown.
const (
	maxCalls     = 256
	maxCallOps   = 2500
	maxCallBytes = 8 << 20
	maxFrame     = 1 << 20 // a larger commit travels alone
)

// lane is one session and its queue; run moves it, settle.go empties it.
//
// The queue, in the order of sequences:
//
//	    settled or not    │ to be written to   │ without a
//	 written to the stream│ this stream (again)│ sequence
//	0 ─────────────────▶ sent ────────────▶ assigned ───▶ len
type lane struct {
	client   *Client
	ctx      context.Context // the lane's own lifetime
	stop     func()          // ends it
	producer string          // "": anonymous
	// onRoom is called, without mu, when calls have left the queue.
	onRoom func()
	// wake has a token when run should look: something to send, or closed.
	wake chan struct{}
	// opened is closed when a producer's session is open, gone when the lane takes
	// no more calls.
	opened, gone chan struct{}

	mu      sync.Mutex
	epoch   []byte
	session uint64 // 0: none yet
	next    uint64 // the sequence to give next
	acked   uint64 // all sequences up to here are over
	queue   []*call
	sent    int
	assigned,
	ops, bytes int
	startAt uint64  // a producer's last sequence when it was opened
	dead    error   // set: takes no more calls
	server  *server // that the last stream went to
	// quiet: no result since owesQuietly was last called. draining: nothing more is
	// written to this stream, and run wants to know when nothing is under way.
	quiet, draining bool
	// refused: this stream is given up for a commit that the server does not take.
	refused bool
	// patience is how long a server that does not say that it is alive may owe
	// results; see silence.go.
	patience time.Duration
	// last is why the last stream ended without a result, nil after one that had some.
	last *event.Error
}

func newLane(c *Client, producer string) *lane {
	ctx, cancel := context.WithCancelCause(c.ctx)
	return &lane{
		client:   c,
		ctx:      ctx,
		stop:     func() { cancel(ErrClosed) },
		producer: producer,
		onRoom:   func() {},
		wake:     make(chan struct{}, 1),
		opened:   make(chan struct{}),
		gone:     make(chan struct{}),
		patience: c.silenceAfter,
	}
}

func (l *lane) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// offer puts the call into the queue if there is room.
func (l *lane) offer(c *call) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	full := len(l.queue) >= maxCalls || l.ops+c.n > maxCallOps || l.bytes+len(c.ops) > maxCallBytes
	if l.dead != nil || full && len(l.queue) > 0 {
		return false
	}
	l.queue = append(l.queue, c)
	l.ops += c.n
	l.bytes += len(c.ops)
	l.signal()
	return true
}

// failure says why the lane takes no more calls, nil if it does.
func (l *lane) failure() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dead
}

// idle reports whether run has nothing to do.
func (l *lane) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue) == 0 && (l.producer == "" || l.session != 0 || l.dead != nil)
}

// rewind makes all that is not over be written again, to a new stream. Commits
// that nobody waits for become empty: their sequence must be consumed, but what
// they would do is no longer wanted. A producer's keep their operations, since
// its sequences stand for them.
func (l *lane) rewind(n *server) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.server, l.sent, l.quiet, l.draining, l.refused = n, 0, false, false, false
	if l.producer != "" {
		return
	}
	for _, c := range l.queue[:l.assigned] {
		if c.abandoned {
			l.empty(c)
		}
	}
}

func (l *lane) empty(c *call) {
	l.ops -= c.n
	l.bytes -= len(c.ops)
	c.ops, c.n = nil, 0
}

// take appends a CommitFrame of what is to be written to dst; empty when there
// is nothing.
func (l *lane) take(dst []byte) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.draining {
		return dst
	}
	head := wire.CommitHead{Epoch: l.epoch, Session: l.session, AckedThrough: l.acked}
	for ; l.sent < len(l.queue); l.sent++ {
		c := l.queue[l.sent]
		if c.finished {
			continue
		}
		if len(dst) > 0 && len(dst)+len(c.ops) > maxFrame {
			break
		}
		if l.sent == l.assigned {
			l.assignLocked(c)
		}
		c.sends++
		head.Each, head.Sequence, head.FirstSequence = c.each, c.last, c.first
		if c.first == c.last {
			head.FirstSequence = 0
		}
		dst = wire.AppendFrameCommit(dst, &head, c.ops)
	}
	return dst
}

func (l *lane) assignLocked(c *call) {
	if c.last == 0 {
		c.first, c.last = l.next, l.next
	}
	l.next = c.last + 1
	l.assigned++
}

// drain lets the stream run dry, and drained reports that it is.
func (l *lane) drain() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.draining = true
}

func (l *lane) drained() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sent == 0
}

// hearsOut reports whether the stream is read on although it is given up: for a refused
// commit, and others are under way behind it. They are not executed before it, but what
// the server says of each is certain on the stream that carried it first. On the next
// one a refusal would be an outcome_unknown.
func (l *lane) hearsOut() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refused && slices.ContainsFunc(l.queue[:l.sent], func(c *call) bool { return !c.finished && c.heard < c.sends })
}

// sequence returns the next to be given.
func (l *lane) sequence() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next
}
