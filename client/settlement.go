package client

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/edri-io/edri/api/edriv1/wire"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers"
)

// maxReason is where the cluster cuts a reason.
const maxReason = 8 << 10

// settle takes what came of a handle, and returns what to handle next, nil where
// nothing waits. What cannot be committed, because of err, is to come again.
func (m *member) settle(d *delivery, s managers.Settlement, effects []byte, err error) (next *delivery) {
	m.mu.Lock()
	switch {
	case d.gone:
		err = event.Errorf(event.CodeStaleToken, "position %d: the lease was lost while it was handled", d.Position)
	case m.late && s.Verb == managers.Nak:
		m.giveBackLocked(d) // it was cut short, which is no failure
	case err != nil:
		m.queueLocked(d, managers.Settlement{Verb: managers.Nak, Reason: err.Error()}, nil)
		d.refused = true
	default:
		m.queueLocked(d, s, effects)
	}
	if len(m.waiting) > 0 {
		next = m.waiting[0]
		m.waiting = m.waiting[1:]
	} else {
		m.busy--
	}
	m.mu.Unlock()
	d.cancel(nil)
	m.signal()
	if err != nil {
		m.consumer.Refused(d.Delivery, err)
	}
	return next
}

// queueLocked makes the settlement be written.
func (m *member) queueLocked(d *delivery, s managers.Settlement, effects []byte) {
	m.lastID++
	d.id, d.verb, d.reason, d.delay, d.effects, d.sends = m.lastID, s.Verb, cutReason(s.Reason), s.Delay, effects, 0
	m.unanswered[d.id] = d
	m.out = append(m.out, d)
}

// cutReason makes of what a program may have written a text that can be sent.
func cutReason(s string) string {
	if len(s) > maxReason {
		s = s[:maxReason]
		for i := 0; i < utf8.UTFMax && !utf8.ValidString(s[max(0, len(s)-utf8.UTFMax):]); i++ {
			s = s[:len(s)-1]
		}
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// refusal is a settlement that the cluster refused.
type refusal struct {
	delivery managers.Delivery
	err      error
}

// accept takes what a frame says. progress: it had a delivery or a final result.
func (m *member) accept(frame *wire.Deliveries) (progress bool, bad *event.Error) {
	now := time.Now()
	deliveries, bad := m.decode(frame.Deliveries, now)
	if bad != nil {
		return false, bad
	}
	m.mu.Lock()
	m.quiet = false
	bad = m.loseLocked(frame.Lost)
	refused, progress, worse := m.resolveLocked(frame.Results)
	for _, d := range deliveries {
		m.beginLocked(d, now)
	}
	m.mu.Unlock()
	if bad == nil {
		bad = worse
	}
	if len(frame.Results) > 0 || len(frame.Lost) > 0 || len(deliveries) > 0 {
		m.signal() // for credits, leases and the end
	}
	for _, r := range refused {
		m.consumer.Refused(r.delivery, r.err)
	}
	return progress || len(deliveries) > 0, bad
}

// decode decodes deliveries that came at now.
func (m *member) decode(encoded [][]byte, now time.Time) ([]*delivery, *event.Error) {
	if len(encoded) == 0 {
		return nil, nil
	}
	deliveries := make([]*delivery, 0, len(encoded))
	for _, b := range encoded {
		var w wire.Delivery
		if err := w.Decode(b); err != nil {
			return nil, event.Errorf(event.CodeUnavailable, "decode delivery: %v", err)
		}
		recorded, err := decodeRecorded(w.Recorded)
		if err != nil {
			return nil, fromRPC(err)
		}
		d := &delivery{Delivery: managers.Delivery{
			Recorded: recorded, Subscription: m.subscription,
			Generation: w.Generation, Attempt: int(w.Attempt), Lease: now.Add(time.Duration(w.Lease)),
		}, lease: time.Duration(w.Lease)}
		d.token = append(d.space[:0], w.Token...) // the frame is not kept
		if w.Deadline != 0 {
			d.Deadline = time.Unix(0, w.Deadline).UTC()
		}
		deliveries = append(deliveries, d)
	}
	return deliveries, nil
}

// loseLocked ends what is not the member's any more. What is settled already waits
// for its result, which is to come.
func (m *member) loseLocked(lost [][]byte) *event.Error {
	for _, b := range lost {
		var h wire.Held
		if err := h.Decode(b); err != nil {
			return event.Errorf(event.CodeUnavailable, "decode what is lost: %v", err)
		}
		d := m.held[event.Position(h.Position)]
		if d == nil || string(d.token) != string(h.Token) {
			continue
		}
		m.goneLocked(d, event.Errorf(event.CodeStaleToken, "position %d: the lease was lost", d.Position))
	}
	return nil
}

// resolveLocked takes the results of settlements.
func (m *member) resolveLocked(results [][]byte) (refused []refusal, progress bool, bad *event.Error) {
	for _, b := range results {
		var s wire.Settled
		if err := s.Decode(b); err != nil {
			return refused, progress, event.Errorf(event.CodeUnavailable, "decode result: %v", err)
		}
		d := m.unanswered[s.ID]
		if d == nil {
			continue // of an earlier write, whose result came before
		}
		if s.Error == nil {
			m.doneLocked(d)
			progress = true
			continue
		}
		e := ofSettle(decodeError(s.Error))
		switch {
		case retryable(e.Code) || e.Code == event.CodeOutcomeUnknown || e.Code == event.CodeNoSpace:
			// A disk that is full is no failure of what was handled: it waits for space.
			m.again = append(m.again, d)
			continue
		case e.Code == event.CodeAlreadyAcked && d.sends > 1:
			// By an earlier write of the same, as far as anyone can tell.
		case d.refused:
			// It was told of; what the cluster does with the lease is its own now.
		default:
			refused = append(refused, refusal{d.Delivery, e})
		}
		m.doneLocked(d)
		progress = true
		if !d.refused && e.Code != event.CodeAlreadyAcked && e.Code != event.CodeStaleToken && !d.gone {
			d.refused = true
			m.held[d.Position] = d
			m.queueLocked(d, managers.Settlement{Verb: managers.Nak, Reason: e.Error()}, nil)
		}
	}
	if progress {
		m.setbacks = 0
	}
	return refused, progress, bad
}

// ofSettle returns what is wrong with the settlement itself, which stands first in its
// commit: with effects the commit's error is check_failed, whatever it is. Where the
// settlement holds it returns the error of the commit, for its effects.
func ofSettle(e *event.Error) *event.Error {
	if len(e.Violations) > 0 && e.Violations[0].Op == 0 {
		return e.Violations[0].Err
	}
	return e
}

// doneLocked forgets a delivery that has its result.
func (m *member) doneLocked(d *delivery) {
	delete(m.unanswered, d.id)
	if m.held[d.Position] == d {
		delete(m.held, d.Position)
	}
}

// owesQuietly, patienceNow and growPatience are as a lane's.
func (m *member) owesQuietly() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	quiet := m.quiet && len(m.unanswered) > 0
	m.quiet = len(m.unanswered) > 0
	return quiet
}

func (m *member) patienceNow() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.patience
}

func (m *member) growPatience() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.patience = min(2*m.patience, maxPatience*m.client.silenceAfter)
}
