package router

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/log"
)

const (
	// What holds retention back is looked at so many at each checkpoint, and so many
	// generations are told to let go.
	maxHeldLooked   = 10_000
	maxHeldReleases = 100
	// A generation that is told to let go is told the next time only after this part
	// of its max_hold_age: each time is an event.
	holdStep = 100
)

// hold is up to when an event is kept from retention.
type hold struct {
	age   time.Duration
	bytes uint64
}

// holdOf is that of a subscription, and of what belongs to none the default.
func holdOf(q *queue) hold {
	if q == nil {
		return hold{event.DefaultMaxHoldAge, event.DefaultMaxHoldBytes}
	}
	return hold{q.Config.MaxHoldAge, uint64(q.Config.MaxHoldBytes)}
}

// held is what one look at the pins finds.
type held struct {
	d      *dispatcher
	v      *consensus.View
	now    int64
	wanted event.Position // what retention would begin with
	// until is before which position a hold has passed, as far as retention is there.
	until map[hold]event.Position
	byID  map[uint64]*queue
	// What is to be let go of.
	generations []*queue
	unpinned    []pinned
}

// releaseHeld has what holds retention back let go of it, where it has done so for
// longer than it may.
func (d *dispatcher) releaseHeld(now int64) error {
	if d.releasing > 0 {
		return nil
	}
	v := d.node.View()
	defer v.Close()
	wanted, err := v.Wanted(now)
	if err != nil {
		return passing(err)
	}
	h := held{d: d, v: v, now: now, wanted: wanted, until: map[hold]event.Position{}}
	if err := h.look(); err != nil {
		return passing(err)
	}
	for _, q := range h.generations {
		d.propose(encodeRelease(q.Generation, q.letGo, maxRelease))
	}
	for batch := range slices.Chunk(h.unpinned, maxRelease) {
		d.propose(encodeUnpin(batch))
	}
	return nil
}

// propose enqueues a release. One that is refused is found again.
func (d *dispatcher) propose(body []byte) {
	d.releasing++
	d.node.Enqueue(opRelease, body, func(*event.Error) {
		d.inbox.add(outcome{then: func() { d.releasing-- }})
	})
}

// look goes on through the pins in retention's way, from where it stopped last.
func (h *held) look() error {
	looked := 0
	for p, err := range h.v.Pins(machineName, h.d.looked, h.wanted) {
		if err != nil {
			return err
		}
		if looked++; looked > maxHeldLooked || len(h.generations) >= maxHeldReleases {
			return nil
		}
		h.d.looked = p
		if err := h.judge(p); err != nil {
			return err
		}
	}
	h.d.looked = consensus.Pin{}
	return nil
}

// judge decides about one pin.
func (h *held) judge(p consensus.Pin) error {
	switch {
	case len(p.Name) == 1 && p.Name[0] == kindRequest:
		return h.unpin(p.Position, nil, 0)
	case len(p.Name) == 9 && p.Name[0] == kindDead:
		id := binary.BigEndian.Uint64(p.Name[1:])
		if q := h.queueOf(id); q != nil { // else it is garbage
			return h.unpin(p.Position, q, id)
		}
	case len(p.Name) == 9 && p.Name[0] == kindProgress:
		if q := h.d.byGeneration[binary.BigEndian.Uint64(p.Name[1:])]; q != nil {
			return h.release(p.Position, q)
		}
	}
	return nil
}

func (h *held) unpin(at event.Position, q *queue, id uint64) error {
	until, err := h.passed(holdOf(q))
	if err == nil && at < until {
		h.unpinned = append(h.unpinned, pinned{id, at})
	}
	return err
}

func (h *held) release(at event.Position, q *queue) error {
	switch {
	case at < q.letGo: // there was more than one operation does
	case h.now < q.nextLetGo || q.looking():
		return nil
	default:
		until, err := h.passed(holdOf(q))
		if err != nil || at >= until {
			return err
		}
		q.letGo, q.nextLetGo = until, h.now+int64(q.Config.MaxHoldAge/holdStep)
	}
	h.generations = append(h.generations, q)
	return nil
}

// passed returns before which position a hold has passed and retention wants to go on.
func (h *held) passed(of hold) (event.Position, error) {
	until, known := h.until[of]
	if known {
		return until, nil
	}
	until, err := h.v.Bound(h.now, of.age, of.bytes)
	if err == nil {
		until = min(until, h.wanted)
		h.until[of] = until
	}
	return until, err
}

// queueOf finds a subscription by its id.
func (h *held) queueOf(id uint64) *queue {
	if h.byID == nil {
		h.byID = make(map[uint64]*queue, len(h.d.queues))
		for _, q := range h.d.queues {
			h.byID[q.ID] = q
		}
	}
	return h.byID[id]
}

// lost takes over that a generation let go of what it had not done from one position to
// another, and of what lies there and was not looked at.
func (d *dispatcher) lost(q *queue, from, to event.Position) {
	d.logger.Warn("a subscription held retention back for as long as it may and lost events",
		"subscription", q.Config.Name, "generation", q.Generation, "from", uint64(from), "to", uint64(to))
	gone := func(p event.Position) bool { return p >= from && p <= to }
	for p, it := range q.open {
		if !gone(p) {
			continue
		}
		if it.state == stateLeased && it.lease.member != nil {
			it.lease.member.lose(Held{p, q.tokenOf(it).appendTo(nil)})
		}
		q.done(p)
	}
	if q.position(d.live) < to {
		d.setLive(q, false)
		q.matched = to
		q.ahead = slices.DeleteFunc(q.ahead, func(r log.Record) bool { return gone(r.Position) })
		if len(q.ahead) == 0 {
			q.more, q.aheadTo = false, 0 // what came next may be gone
		}
	}
	if to > q.committed {
		// No advance that is on its way has an effect any more, and what is fresh is
		// made anew of what is left.
		q.committed = to
		d.rewind(q)
	}
	d.enqueue(q)
}
