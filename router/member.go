package router

import (
	"slices"
	"sync"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/log"
)

// Delivery is an event on its way to a member.
type Delivery struct {
	// Record is valid while Join.Encode runs.
	Record     *log.Record
	Attempt    int // from 1
	Token      []byte
	Generation uint64
	Lease      int64 // nanoseconds
	// RequestDeadline is by the cluster's time, in nanoseconds since 1970; 0: it is
	// no request.
	RequestDeadline int64
}

// Held is what a member has: an event, by the token of its delivery.
type Held struct {
	Position event.Position
	Token    []byte
}

// Join is how a member comes.
type Join struct {
	Subscription string
	Name         string
	// Version of the definition that it runs; 0: of none. It is a member only while the
	// subscription's is not newer.
	Version uint32
	// Held is what it has from an earlier connection and goes on with.
	Held []Held
	// Encode appends a delivery to the frame that Take returns. It must not block.
	Encode func(dst []byte, d *Delivery) []byte
}

// Member receives events of a subscription. Its methods may be called from any
// goroutine.
type Member struct {
	dispatcher *dispatcher
	name       string
	version    uint32
	encode     func(dst []byte, d *Delivery) []byte
	ready      chan struct{}

	// Guarded by the dispatcher's mu, which is locked before mu.
	queue   *queue
	credits int

	mu   sync.Mutex
	out  []byte
	lost []Held
	err  error
}

// Join makes a member. Errors are *event.Error: not_leader, not_found, and
// unavailable while the leader begins.
func (r *Router) Join(j Join) (*Member, error) {
	d := r.leading.Load()
	if d == nil {
		return nil, event.Errorf(event.CodeNotLeader, "this node does not lead")
	}
	m := &Member{dispatcher: d, name: j.Name, version: j.Version, encode: j.Encode, ready: make(chan struct{}, 1)}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, event.Errorf(event.CodeNotLeader, "this node no longer leads")
	}
	if !d.loaded {
		return nil, event.Errorf(event.CodeUnavailable, "the leader begins; ask it again")
	}
	q := d.queues[j.Subscription]
	if q == nil {
		return nil, d.notFound(j.Subscription)
	}
	if err := m.superseded(q); err != nil {
		return nil, err
	}
	m.queue = q
	q.members = append(q.members, m)
	for _, h := range j.Held {
		if !d.adopt(q, m, h) {
			m.lose(h)
		}
	}
	d.enqueue(q)
	return m, nil
}

// superseded returns why the member may not be one of this queue any more.
func (m *Member) superseded(q *queue) error {
	if m.version != 0 && m.version < q.Config.Version {
		return event.Errorf(event.CodeExists, "subscription %q has version %d of its definition, which is newer than the member's, %d",
			q.Config.Name, q.Config.Version, m.version)
	}
	return nil
}

func noSubscription(name string) *event.Error {
	return event.Errorf(event.CodeNotFound, "subscription %q does not exist", name)
}

// maxCredits is how many deliveries a member may ask for at a time.
const maxCredits = 100_000

// AddCredits lets so many more deliveries come.
func (m *Member) AddCredits(n int) error {
	d := m.dispatcher
	d.mu.Lock()
	defer d.mu.Unlock()
	if n < 0 || n > maxCredits-m.credits {
		return event.Errorf(event.CodeInvalid, "%d credits and %d more: at most %d", m.credits, n, maxCredits)
	}
	if !m.here() {
		return nil
	}
	m.credits += n
	m.queue.credits += n
	d.enqueue(m.queue)
	return nil
}

// here reports whether the member has not left.
func (m *Member) here() bool { return slices.Contains(m.queue.members, m) }

// Extend lets leases last for a whole ack_wait from now. What is not the member's
// any more is lost.
func (m *Member) Extend(held []Held) {
	d := m.dispatcher
	d.mu.Lock()
	defer d.mu.Unlock()
	until := d.node.Now() + int64(m.queue.Config.AckWait)
	for _, h := range held {
		if it := m.queue.leasedBy(m, h); it != nil {
			it.lease.until = until
		} else if _, claimed := m.queue.claims[h.Position]; !claimed {
			m.lose(h)
		}
	}
}

// GiveBack gives deliveries to others, uncounted.
func (m *Member) GiveBack(held []Held) {
	d := m.dispatcher
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, h := range held {
		if it := m.queue.leasedBy(m, h); it != nil {
			d.ready(m.queue, it)
		} else if l, ok := m.queue.claims[h.Position]; ok && l.member == m {
			delete(m.queue.claims, h.Position)
		}
	}
	d.enqueue(m.queue)
}

// Leave ends the membership. Gracefully, what the member has goes to others,
// uncounted; else it may come back for it, for a while.
func (m *Member) Leave(graceful bool) {
	m.dispatcher.mu.Lock()
	defer m.dispatcher.mu.Unlock()
	m.leave(graceful)
}

func (m *Member) leave(graceful bool) {
	d, q := m.dispatcher, m.queue
	if !m.here() {
		return
	}
	q.members = slices.DeleteFunc(q.members, func(other *Member) bool { return other == m })
	q.credits -= m.credits
	m.credits = 0
	for p, l := range q.claims {
		if l.member == m {
			delete(q.claims, p)
		}
	}
	if graceful {
		d.release(q, m)
	} else {
		d.orphan(q, m)
	}
}

// Ready has a token when there is something to take.
func (m *Member) Ready() <-chan struct{} { return m.ready }

// Take returns the deliveries that were encoded since the last call, and what the
// member lost. spare is memory for the next ones. An error is the membership's end.
func (m *Member) Take(spare []byte) (deliveries []byte, lost []Held, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	deliveries, lost = m.out, m.lost
	m.out, m.lost = spare, nil
	return deliveries, lost, m.err
}

func (m *Member) deliver(d *Delivery) {
	m.mu.Lock()
	m.out = m.encode(m.out, d)
	m.mu.Unlock()
	signal(m.ready)
}

func (m *Member) lose(h Held) {
	m.mu.Lock()
	m.lost = append(m.lost, h)
	m.mu.Unlock()
	signal(m.ready)
}

// loseAll tells the member that it has nothing of a queue any more.
func (m *Member) loseAll(q *queue) {
	for p, it := range q.open {
		if it.state == stateLeased && it.lease.member == m {
			m.lose(Held{p, q.tokenOf(it).appendTo(nil)})
		}
	}
}

func (m *Member) end(err error) {
	m.mu.Lock()
	m.err = err
	m.mu.Unlock()
	signal(m.ready)
}
