package managers

import (
	"context"
	"fmt"
	"slices"

	"github.com/edri-io/edri/event"
)

// A process that dies fails all that it has. So that an event which kills its process
// ends in the dead letters and what was beside it does not, a delivery has a process of
// its own from its third attempt on: what is innocent then succeeds, and what is not
// takes nothing along.
//
//	                    shared                          ┌─ a place of the instance that has most free
//	delivery ─▶ line ──▶┤                               │
//	                    alone: an instance is chosen ───┴─▶ given nothing more ─▶ empty: it is given
//
// The line is gone through in order, whenever there may be something. An instance that is
// chosen drains for as long as what it has takes, at most its timeout; the others go on,
// and of several half are never chosen. Where there is one instance, those behind in the line
// wait; when the one is done those who came before the next have their turn, and so neither
// kind starves the other. What is waited is not part of the delivery's time, and the lease is
// extended meanwhile.

// aloneFrom is the attempt from which on a delivery has a process of its own.
const aloneFrom = 3

// maxAnswered bounds what is remembered of attempts. Beyond it all is forgotten: what was
// not answered as far as is known has a process of its own.
const maxAnswered = 100_000

// attemptOf names a delivery over its attempts.
type attemptOf struct {
	generation uint64
	position   event.Position
}

// place is where a delivery is executed, or is to be.
type place struct {
	alone bool
	// given gets the instance; it has room for it.
	given chan *instance
}

type placeKey struct{}

// await waits for a place, which is in the context that it returns: handle gives it back.
// Where ctx ends before there is one, handle says so.
func (p *pool) await(ctx context.Context, d *Delivery) context.Context {
	at := &place{alone: p.isAlone(d), given: make(chan *instance, 1)}
	p.mu.Lock()
	p.line = append(p.line, at)
	p.placeLocked()
	p.mu.Unlock()
	select {
	case i := <-at.given:
		at.given <- i
	case <-ctx.Done():
		p.mu.Lock()
		p.line = slices.DeleteFunc(p.line, func(other *place) bool { return other == at })
		for _, i := range p.ready {
			if i.lone == at && len(at.given) == 0 {
				i.lone = nil
			}
		}
		p.placeLocked()
		p.mu.Unlock()
	}
	return context.WithValue(ctx, placeKey{}, at)
}

// handle has a process execute a delivery, in the place that await found: it is the
// handler of its types.
func (p *pool) handle(ctx context.Context, d *Delivery) (Effects, error) {
	at := ctx.Value(placeKey{}).(*place)
	select {
	case i := <-at.given:
		defer p.release(i, at)
		if ctx.Err() != nil {
			break // the process would be ended for it
		}
		a := i.deliver(ctx, d)
		p.note(d, a.nak)
		if a.err != nil {
			return Effects{}, a.err
		}
		return a.ack.effects(origin{p.source, d})
	default:
	}
	return Effects{}, fmt.Errorf("no worker process was free: %w", ctx.Err())
}

// isAlone reports whether a delivery needs a process of its own. One whose last attempt
// the worker itself ended, here, did not kill it: a system that many events wait for, in
// vain, does not make them go one by one.
func (p *pool) isAlone(d *Delivery) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return d.Attempt >= aloneFrom && p.answered[attemptOf{d.Generation, d.Position}] != d.Attempt-1
}

// note remembers how an attempt ended: by a nak of the worker, or otherwise.
func (p *pool) note(d *Delivery, nak bool) {
	of := attemptOf{d.Generation, d.Position}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !nak {
		delete(p.answered, of)
		return
	}
	if len(p.answered) >= maxAnswered {
		clear(p.answered)
	}
	p.answered[of] = d.Attempt
}

func (p *pool) release(i *instance, at *place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i.lone == at {
		i.lone = nil
	} else {
		i.free++
	}
	p.placeLocked()
}

// placeLocked gives those in the line an instance for whom there is one.
func (p *pool) placeLocked() {
	p.line = slices.DeleteFunc(p.line, func(at *place) bool {
		i := p.findLocked(at)
		if i != nil {
			at.given <- i
		}
		return i != nil
	})
}

// findLocked takes a place of an instance, or one that is empty and at's alone; nil: there
// is none now.
func (p *pool) findLocked(at *place) *instance {
	var best *instance
	for _, i := range p.ready {
		if i.lone == nil && i.free > 0 && (!at.alone || i.capacity == 1) && (best == nil || i.free > best.free) {
			best = i
		}
	}
	if best != nil {
		best.free--
		return best
	}
	if !at.alone {
		return nil
	}
	if best = p.chooseLocked(at); best == nil || best.free < best.capacity {
		return nil
	}
	return best
}

// chooseLocked returns the instance that is, or is to be, at's alone.
func (p *pool) chooseLocked(at *place) *instance {
	var best *instance
	chosen := 0
	for _, i := range p.ready {
		switch {
		case i.lone == at:
			return i
		case i.lone != nil:
			chosen++
		case i.capacity > 1 && (best == nil || i.free > best.free):
			best = i
		}
	}
	if best == nil || chosen >= max(1, len(p.ready)/2) {
		return nil
	}
	best.lone = at
	return best
}
