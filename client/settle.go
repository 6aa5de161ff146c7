package client

import (
	"context"
	"slices"
	"sort"

	"github.com/edri-io/edri/api/edriv1/wire"
	"github.com/edri-io/edri/event"
)

// resolve settles what the results answer. A non-nil error asks for another
// stream; progress says that some result was final.
func (l *lane) resolve(results [][]byte, r *wire.CommitResult) (progress bool, err *event.Error) {
	l.mu.Lock()
	l.quiet = false
	before := len(l.queue)
	for _, b := range results {
		if bad := r.Decode(b); bad != nil {
			err = event.Errorf(event.CodeUnavailable, "decode result: %v", bad)
			break
		}
		i, ok := l.findLocked(r.Sequence)
		if !ok || r.Session != l.session || l.queue[i].finished {
			continue
		}
		final, again := l.resolveLocked(i, r)
		if final {
			progress, l.patience = true, l.client.silenceAfter
		}
		if err == nil {
			err = again
		}
	}
	l.dropLocked()
	room := len(l.queue) < before // a session that ends makes room too
	if l.draining {
		l.signal()
	}
	if err != nil {
		l.draining = true // what is written now would only be written again
	}
	l.mu.Unlock()
	if room {
		l.onRoom()
	}
	return progress, err
}

func (l *lane) findLocked(sequence uint64) (int, bool) {
	i := sort.Search(l.assigned, func(i int) bool { return l.queue[i].last >= sequence })
	return i, i < l.assigned && l.queue[i].last == sequence
}

func (l *lane) resolveLocked(i int, r *wire.CommitResult) (final bool, again *event.Error) {
	c := l.queue[i]
	c.heard = c.sends
	if r.Error == nil {
		c.finish(newResult(r))
		return true, nil
	}
	e := decodeError(r.Error)
	switch {
	case e.Code == event.CodeSessionExpired || e.Code == event.CodeEpochChanged:
		l.expireLocked(i, e)
		return false, e
	case retryable(e.Code) || r.Open && e.Code == event.CodeOutcomeUnknown:
		return false, e
	case r.Open && l.producer != "":
		// To give its sequence away would lose what it stands for.
		c.finish(Result{}, e)
		l.failLocked(e)
		return false, e
	case r.Open:
		if c.sends > 1 {
			// Another node, with other limits, may have taken it.
			c.settle(Result{}, outcomeUnknown("commit was sent before, and now refused: "+e.Error(), nil))
		} else {
			c.settle(Result{}, e)
		}
		c.abandoned, l.refused = true, true
		return false, event.Errorf(event.CodeUnavailable, "sequence %d is open: %v", c.last, e)
	case l.producer != "" && e.Code == event.CodeInvalid:
		// Someone else uses the name, with other sequences: what follows is out of
		// turn for ever.
		c.finish(Result{}, e)
		l.failLocked(e)
		return false, e
	default:
		c.finish(Result{}, e)
		return true, nil
	}
}

// expireLocked gives up the session, which was not there when the call at i
// arrived, nor will it be again.
//
// A call before i without a result may have been executed before it expired. One
// from i on that was written once was not executed: what a stream carries is
// executed in order. One that was written to an earlier stream too may have been.
func (l *lane) expireLocked(i int, e *event.Error) {
	for j, c := range l.queue[:l.assigned] {
		switch {
		case c.finished:
		case l.producer == "" && !c.abandoned && j >= i && (c.sends == 0 || c.sends == 1 && j < l.sent):
			// Written once at most, and that on this stream, behind the call that
			// found no session. What an earlier stream carried may have been executed.
			c.first, c.last, c.sends, c.heard = 0, 0, 0, 0
		default:
			c.finish(Result{}, outcomeUnknown("commit was sent before its session ended: "+e.Error(), nil))
		}
	}
	if l.producer != "" {
		l.failLocked(e)
		return
	}
	l.forgetLocked()
}

// forgetLocked leaves the session; what is still in the queue begins another.
func (l *lane) forgetLocked() {
	l.session, l.next, l.acked, l.sent, l.assigned = 0, 0, 0, 0, 0
	kept := l.queue[:0]
	for _, c := range l.queue {
		if !c.finished {
			kept = append(kept, c)
		} else {
			l.ops -= c.n
			l.bytes -= len(c.ops)
		}
	}
	clear(l.queue[len(kept):])
	l.queue = kept
}

// dropLocked removes the calls at the queue's head that are over.
func (l *lane) dropLocked() bool {
	n := 0
	for n < l.assigned && l.queue[n].finished {
		c := l.queue[n]
		l.acked = c.last
		l.ops -= c.n
		l.bytes -= len(c.ops)
		l.queue[n] = nil
		n++
	}
	l.queue = l.queue[n:]
	l.assigned -= n
	l.sent = max(0, l.sent-n)
	return n > 0
}

// abandon settles the call for a caller whose context has ended.
func (l *lane) abandon(ctx context.Context, c *call) {
	l.mu.Lock()
	room := false
	switch {
	case c.settled:
	case c.sends > 0:
		c.abandoned = true
		c.settle(Result{}, outcomeUnknown("commit was sent, and no result came in time", context.Cause(ctx)))
	default:
		c.settle(Result{}, ended(ctx, l.last))
		room = l.removeLocked(c)
	}
	l.mu.Unlock()
	if room {
		l.onRoom()
	}
}

func (l *lane) removeLocked(c *call) bool {
	i := slices.Index(l.queue, c)
	if i < 0 {
		return false
	}
	l.queue = slices.Delete(l.queue, i, i+1)
	l.ops -= c.n
	l.bytes -= len(c.ops)
	return true
}

// fail settles all that the lane has, because e will not pass: what was sent is
// outcome_unknown. An anonymous lane lives on, with another session.
func (l *lane) fail(e *event.Error) {
	l.mu.Lock()
	l.failLocked(e)
	l.mu.Unlock()
	l.onRoom()
}

func (l *lane) failLocked(e *event.Error) {
	for _, c := range l.queue {
		if c.sends == 0 {
			c.finish(Result{}, e)
		} else {
			c.finish(Result{}, outcomeUnknown("commit was sent, and its result is lost: "+e.Error(), nil))
		}
	}
	l.forgetLocked()
	if l.producer != "" {
		l.closeLocked(e)
	}
}

// close ends the lane; what it has is settled as by fail.
func (l *lane) close(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.queue {
		if c.sends == 0 {
			c.finish(Result{}, withCause(event.Errorf(event.CodeUnavailable, "commit not sent"), cause))
		} else {
			c.finish(Result{}, outcomeUnknown("commit was sent, and no result came", cause))
		}
	}
	l.queue, l.sent, l.assigned, l.ops, l.bytes = nil, 0, 0, 0, 0
	l.closeLocked(withCause(event.Errorf(event.CodeUnavailable, "not sent"), cause))
}

func (l *lane) closeLocked(err error) {
	if l.dead == nil {
		l.dead = err
		close(l.gone)
	}
}
