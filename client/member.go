package client

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/edri-io/edri/api/edriv1/wire"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers"
)

// member is what a Consume has of its subscription.
//
//	            a goroutine                     the result
//	delivered ─────────────▶ running ─▶ settled ──────────▶ gone
//	    │ (waits for one)       │          ▲ │ no result: written again
//	    └─ ending: given back   │          └─┘
//	                            └─ lost, or delivered again: gone
//
// Deliveries that run or wait, and credits that are out, are Concurrency at most;
// with what is settled and has no result twice that. So a settlement's frame carries
// the credit for the next delivery, which need not wait for the commit.
type member struct {
	client       *Client
	subscription string
	consumer     managers.Consumer
	asked        context.Context // of Consume: when it ends, nothing more begins
	life         context.Context // until what it had is settled
	base         context.Context // of all handles
	stopHandles  context.CancelCauseFunc
	handles      sync.WaitGroup
	// wake has a token when the stream's sender should look.
	wake chan struct{}

	mu sync.Mutex
	// held are the deliveries that are this member's, by position.
	held map[event.Position]*delivery
	// waiting has what is held and not begun, oldest first. It is empty but where a
	// handle goes on although its delivery is gone.
	waiting []*delivery
	busy    int // goroutines in handles
	// unanswered are the settlements without a result, by id; out those of them that
	// are to be written, again those that are to be written again after a pause.
	unanswered map[uint64]*delivery
	out, again []*delivery
	setbacks   int // times that settlements were written again since the last result
	lastID     uint64
	credits    int // out on this stream
	extend     []*delivery
	giveBack   []*delivery
	ending     bool
	late       bool // Grace is over: a handle that fails had not enough time
	// quiet and patience are as a lane's.
	quiet    bool
	patience time.Duration
}

// delivery is one that the member has or had. What is below is under the member's mu,
// but what says otherwise.
type delivery struct {
	managers.Delivery // not under mu; Lease alone changes, and not once it is handed out
	ctx               context.Context
	cancel            context.CancelCauseFunc
	token             []byte
	space             [32]byte // of token

	lease   time.Duration
	renewed time.Time // when the lease began last
	overdue time.Time // when its handle's time is over; zero: not begun
	gone    bool      // it is another's, or a later attempt has come
	id      uint64    // of the settlement; 0: not settled
	verb    managers.Verb
	reason  string
	delay   time.Duration
	effects []byte // encoded
	sends   int    // how often the settlement was written
	refused bool   // it was; what is settled now is that it comes again
}

func newMember(c *Client, asked, life context.Context, subscription string, k managers.Consumer) *member {
	m := &member{
		client: c, subscription: subscription, consumer: k, asked: asked, life: life,
		wake:       make(chan struct{}, 1),
		held:       make(map[event.Position]*delivery),
		unanswered: make(map[uint64]*delivery),
		patience:   c.silenceAfter,
	}
	m.base, m.stopHandles = context.WithCancelCause(life)
	return m
}

func (m *member) signal() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// end lets nothing more begin.
func (m *member) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ending = true
	for len(m.waiting) > 0 {
		m.giveBackLocked(m.waiting[0])
	}
	m.signal()
}

// endingLocked reports whether nothing more begins: no credit leaves after asked has
// ended, though end is called a moment later.
func (m *member) endingLocked() bool { return m.ending || m.asked.Err() != nil }

func (m *member) giveBackLocked(d *delivery) {
	m.goneLocked(d, errEnding)
	m.giveBack = append(m.giveBack, d)
}

// goneLocked takes away what is another's now.
func (m *member) goneLocked(d *delivery, cause error) {
	if m.held[d.Position] == d {
		delete(m.held, d.Position)
	}
	if i := slices.Index(m.waiting, d); i >= 0 {
		m.waiting = slices.Delete(m.waiting, i, i+1)
	}
	d.gone = true
	d.cancel(cause)
}

// left reports whether the member has ended and owes nothing.
func (m *member) left() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ending && len(m.held) == 0 && len(m.unanswered) == 0 && len(m.giveBack) == 0
}

// join appends the first frame of a stream: what the member goes on with. All
// settlements without a result are to be written again.
func (m *member) join(dst []byte) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	dst = wire.AppendMember(dst, m.subscription, m.consumer.Member, m.consumer.Version)
	m.credits, m.quiet = 0, false
	dst = m.takeCreditsLocked(dst)
	for _, d := range m.held {
		dst = wire.AppendMemberHeld(dst, uint64(d.Position), d.token)
	}
	for _, d := range m.giveBack {
		dst = wire.AppendMemberHeld(dst, uint64(d.Position), d.token)
	}
	m.out, m.again = m.out[:0], m.again[:0]
	for _, d := range m.unanswered {
		m.out = append(m.out, d)
	}
	slices.SortFunc(m.out, func(a, b *delivery) int { return cmp.Compare(a.id, b.id) })
	m.extend = m.extend[:0]
	return dst
}

// take appends to dst what is to be written; nothing where there is none.
func (m *member) take(dst []byte) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for ; n < len(m.out); n++ {
		d := m.out[n]
		if len(dst) > 0 && len(dst)+len(d.effects) > maxFrame {
			break
		}
		d.sends++
		s := wire.Settlement{
			ID: d.id, Position: uint64(d.Position), Token: d.token,
			Verb: uint64(d.verb), Reason: d.reason, Delay: -1, Effects: d.effects,
		}
		if d.verb == managers.Nak && d.delay > 0 {
			s.Delay = int64(d.delay)
		}
		dst = wire.AppendMemberSettlement(dst, &s)
	}
	m.out = slices.Delete(m.out, 0, n)
	for _, d := range m.extend {
		dst = wire.AppendMemberExtend(dst, uint64(d.Position), d.token)
	}
	for _, d := range m.giveBack {
		dst = wire.AppendMemberGiveBack(dst, uint64(d.Position), d.token)
	}
	clear(m.extend)
	clear(m.giveBack)
	m.extend, m.giveBack = m.extend[:0], m.giveBack[:0]
	return m.takeCreditsLocked(dst)
}

func (m *member) takeCreditsLocked(dst []byte) []byte {
	if m.endingLocked() {
		return dst
	}
	used := m.credits + m.busy + len(m.waiting)
	free := min(m.consumer.Concurrency-used, 2*m.consumer.Concurrency-used-len(m.unanswered))
	if free <= 0 {
		return dst
	}
	m.credits += free
	return wire.AppendMemberCredits(dst, uint32(free))
}

// writeAgain makes the settlements that have waited be written again.
func (m *member) writeAgain() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range m.again {
		if m.unanswered[d.id] == d {
			m.out = append(m.out, d)
		}
	}
	clear(m.again)
	m.again = m.again[:0]
	m.setbacks++
}

// minLook is how often leases are looked after at most.
const minLook = 10 * time.Millisecond

// renew makes the leases last that have used up half of their time. It returns when
// to look again; 0: when there is something.
func (m *member) renew(now time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	look := time.Duration(0)
	for _, d := range m.held {
		if quarter := max(d.lease/4, minLook); look == 0 || quarter < look {
			look = quarter
		}
		if now.Sub(d.renewed) < d.lease/2 || d.id == 0 && !d.overdue.IsZero() && now.After(d.overdue) {
			continue
		}
		d.renewed = now
		m.extend = append(m.extend, d)
	}
	return look
}
