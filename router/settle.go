package router

import (
	"bytes"
	"fmt"
	"time"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/timers"
)

// settle executes settle. Only one thing decides: whether the event is still pending in
// the generation of the token.
func (m *Machine) settle(tx *consensus.Tx, o settleOp) ([]byte, error) {
	t, bad := parseToken(o.token)
	if bad != nil {
		return nil, fmt.Errorf("%w: settle: %v", consensus.ErrUndecodable, bad)
	}
	g, ok, err := getProgress(tx, t.generation)
	if err != nil {
		return nil, err
	}
	if !ok || !bytes.Equal(g.name, o.name) {
		return nil, event.Errorf(event.CodeStaleToken, "generation %d of subscription %q is over", t.generation, o.name)
	}
	p, ok, err := getPending(tx, t.generation, o.position)
	switch {
	case err != nil:
		return nil, err
	case !ok && o.position > g.cursor:
		// The leader let it pass: the advance before it was lost, and comes again.
		return nil, event.Errorf(event.CodeUnavailable, "the cursor of subscription %q has not come to position %d yet; ask it again", o.name, o.position)
	case !ok:
		return nil, alreadyAcked(o.position, 0)
	case p.done:
		return nil, alreadyAcked(o.position, p.settled)
	case o.fails() && t.over(p.failures.count):
		return nil, staleToken("attempt %d at position %d is counted already", t.attempt, o.position)
	}
	c := &claim{Machine: m, tx: tx, generation: t.generation, position: o.position, pending: p, verb: o.verb}
	gone := false
	switch o.verb {
	case verbAck, verbSkip:
		c.done(g.trimmed)
	case verbNak:
		gone, err = c.nak(&o)
	case verbPark:
		gone = true
		c.addFailure(o.reason)
		err = c.giveUpAs(o.name)
	}
	if err != nil {
		return nil, err
	}
	return settled(tx.Position(), gone), nil
}

func alreadyAcked(position, by event.Position) *event.Error {
	e := event.Errorf(event.CodeAlreadyAcked, "position %d is settled already", position)
	e.Position = by
	return e
}

// claim is a pending event in the hands of an operation that changes what it is.
type claim struct {
	*Machine
	tx         *consensus.Tx
	generation uint64
	position   event.Position
	pending    pending
	verb       int // of the settlement; verbLost: no member told of the attempt
}

// done ends an event and says so.
func (c *claim) done(trimmed event.Position) {
	c.end(trimmed)
	c.tx.Note(noteDone{c.generation, c.position, c.verb, false})
}

// end ends an event. Below what is trimmed no row stays behind.
func (c *claim) end(trimmed event.Position) {
	c.cancel()
	if c.position < trimmed {
		c.tx.Delete(eventKey(kindPending, c.generation, c.position))
	} else {
		putPending(c.tx, c.generation, c.position, &pending{done: true, settled: c.tx.Position()})
	}
}

// nak counts an attempt and lets the event wait, or gives it up, of which it returns
// true. One that waits already was counted, by whoever took the delivery for lost.
func (c *claim) nak(o *settleOp) (gone bool, err error) {
	if c.pending.due != 0 {
		return false, nil
	}
	s, err := ownSubscription(c.tx, o.name)
	if err != nil {
		return false, err
	}
	config, err := appliedConfig(o.name, s.config)
	if err != nil {
		return false, err
	}
	c.addFailure(o.reason)
	if c.pending.failures.count >= config.MaxDeliver {
		return true, c.giveUp(&config, s.id)
	}
	delay := time.Duration(o.delay)
	if !o.delayed {
		delay = backoff(&config, c.pending.failures.count)
	}
	c.wait(delay)
	return false, nil
}

// backoff is how long to wait after so many failed attempts.
func backoff(config *event.Subscription, attempts int) time.Duration {
	return config.Backoff[min(attempts, len(config.Backoff))-1]
}

// addFailure counts an attempt.
func (c *claim) addFailure(reason []byte) {
	c.pending.failures = c.pending.failures.with(c.tx.Stamp(), reason)
}

// wait writes the event back, to be ready after a delay.
func (c *claim) wait(delay time.Duration) {
	c.pending.due, c.pending.timer = 0, 0
	if delay > 0 {
		payload := eventKey(timerWait, c.generation, c.position)
		t := c.timers.Set(c.tx, c.Machine, max(c.tx.Now(), 0)+int64(delay), payload)
		c.pending.due, c.pending.timer = t.Due, t.Number
	}
	putPending(c.tx, c.generation, c.position, &c.pending)
	c.tx.Note(noteWaiting{c.generation, c.position, c.pending.failures.count, c.pending.due, c.verb})
}

// cancel takes back the timer of an event that waits.
func (c *claim) cancel() {
	if c.pending.due != 0 {
		c.timers.Cancel(c.tx, timers.Timer{Due: c.pending.due, Number: c.pending.timer})
	}
}

// endWait is called when the wait of an event is over. The event may be done by then, or
// wait by another timer.
func (m *Machine) endWait(tx *consensus.Tx, t timers.Timer, generation uint64, position event.Position) error {
	_, ok, err := getProgress(tx, generation)
	if !ok || err != nil {
		return err
	}
	p, ok, err := getPending(tx, generation, position)
	if !ok || err != nil || p.done || p.timer != t.Number {
		return err
	}
	p.due, p.timer = 0, 0
	putPending(tx, generation, position, &p)
	tx.Note(noteReady{generation, position})
	return nil
}

// settled is the result of settle.
func settled(position event.Position, dead bool) []byte {
	var space [16]byte
	body := appendUint(space[:0], 1, uint64(position))
	if dead {
		body = appendUint(body, 2, 1)
	}
	return appendMessage(make([]byte, 0, 2+len(body)), 6, body)
}

// changed is the result of an operation that changes a subscription.
func changed(generation uint64, created bool) []byte {
	body := appendUint(nil, 1, generation)
	if created {
		body = appendUint(body, 2, 1)
	}
	return appendMessage(nil, 4, body)
}
