package router

import (
	"github.com/edri-io/edri/event"
)

// Admits implements consensus.Admitter.
func (r *Router) Admits(op uint32) bool { return op == opSettle || op == opSendRequest }

// Admit implements consensus.Admitter: the leader holds settlements against its
// leases, and requests of callers that do not want to wait for nothing against the
// subscriptions.
func (r *Router) Admit(op uint32, body []byte) *event.Error {
	d := r.leading.Load()
	if d == nil {
		return event.Errorf(event.CodeUnavailable, "the leader begins; ask it again")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closed:
		return event.Errorf(event.CodeNotLeader, "this node no longer leads")
	case !d.loaded:
		return event.Errorf(event.CodeUnavailable, "the leader begins; ask it again")
	case op == opSendRequest:
		return d.admitRequest(body)
	}
	s, err := decodeSettle(body)
	if err != nil {
		return event.Errorf(event.CodeInvalid, "settle: %v", err)
	}
	return d.admitSettle(&s)
}

// admitSettle refuses a settlement by a lease that is not the event's any more. What
// it lets pass it has put the advance before that covers it.
func (d *dispatcher) admitSettle(s *settleOp) *event.Error {
	t, err := tokenOf(s.token, s.position)
	if err != nil {
		return err
	}
	q := d.byGeneration[t.generation]
	if q == nil || q.Config.Name != string(s.name) {
		return nil // apply refuses it, unless it repeats what was executed before
	}
	it := q.open[s.position]
	switch {
	case it == nil && s.position > q.position(d.live):
		if t.term < d.term && s.position <= q.start {
			q.claim(s.position, lease{})
			d.enqueue(q)
			return event.Errorf(event.CodeUnavailable, "the leader has not come to position %d yet; ask it again", s.position)
		}
		return event.Errorf(event.CodeInvalid, "position %d was never delivered to subscription %q", s.position, q.Config.Name)
	case it == nil:
		return nil // apply knows what became of it
	case it.state == stateLeased && !it.lease.is(t):
		return staleToken("position %d is with another member, or delivered once more", s.position)
	case t.term > d.term:
		return staleToken("the token is of term %d, this is %d", t.term, d.term)
	case it.state != stateLeased && it.blocked:
		return staleToken("position %d waits for another of its key", s.position)
	case it.state != stateLeased && s.fails() && d.counted(it, t):
		return staleToken("the lease of position %d is over: its attempt is counted, or it was given back", s.position)
	}
	switch it.state {
	case stateLeased:
		it.settling = true
	case stateFailing, stateWaiting:
	default:
		// Its lease was over. It is not handed out while it is being settled.
		d.holdBriefly(q, it, t)
	}
	if s.position > q.proposed {
		d.advance(q)
	}
	return nil
}

// counted reports whether an attempt is counted, or on its way to that, or none, whose
// lease this leader does not have. A delivery is one attempt, whatever its member says
// after that. Of a leader before's the attempt says it; without one it is known where none
// is counted: else it is taken to be, since suspects are counted anyway.
func (d *dispatcher) counted(it *item, t token) bool {
	switch it.state {
	case stateReady, stateUncovered, stateSuspect:
		return t.term == d.term || t.over(it.attempts) || t.attempt == 0 && it.attempts > 0
	}
	return true
}

func staleToken(format string, args ...any) *event.Error {
	return event.Errorf(event.CodeStaleToken, format, args...)
}

// admitRequest refuses a call that no subscription would receive.
func (d *dispatcher) admitRequest(body []byte) *event.Error {
	s, err := decodeSend(body)
	if err != nil {
		return event.Errorf(event.CodeInvalid, "send_request: %v", err)
	}
	if !s.call {
		return nil
	}
	h, err := event.ScanHeader(s.event)
	if err != nil {
		return event.Errorf(event.CodeInvalid, "send_request: %v", err)
	}
	for range d.matcher.matching(&h) {
		return nil
	}
	if d.inbox.behind() {
		return errBehind()
	}
	return event.Errorf(event.CodeNoResponder, "no subscription receives a request of type %s", h.Type)
}

// notFound returns that there is no such subscription, or that this is not known yet.
func (d *dispatcher) notFound(name string) *event.Error {
	if d.inbox.behind() {
		return errBehind()
	}
	return noSubscription(name)
}

func errBehind() *event.Error {
	return event.Errorf(event.CodeUnavailable, "the leader has not come to the last change of a subscription yet; ask it again")
}
