package router

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/log"
)

// feed gives what was appended to the queues that are live.
func (d *dispatcher) feed() (more bool, err error) {
	v := d.node.View()
	defer v.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	if v.Mark.Last <= d.live || d.liveQueues == 0 {
		return false, nil // those that are behind read for themselves
	}
	from := max(d.live+1, v.Journal().First())
	r := v.Journal().Read(log.Query{From: from, To: from + batchFed - 1})
	defer r.Close()
	for r.Next() {
		rec := r.Record()
		h, err := event.ScanHeader(rec.Event)
		if err != nil {
			return false, err
		}
		for q := range d.matcher.matching(&h) {
			if !q.live || rec.Position <= q.matched {
				continue
			}
			if err := d.give(v, q, &rec, &h); err != nil {
				return false, err
			}
		}
		d.live = rec.Position
	}
	if err := r.Err(); err != nil {
		return false, passing(err)
	}
	d.live = min(from+batchFed-1, v.Mark.Last) // what was purged is passed too
	return d.live < v.Mark.Last, nil
}

// give hands a live queue its next event, or leaves it where it is.
func (d *dispatcher) give(v *consensus.View, q *queue, rec *log.Record, h *event.Header) error {
	if q.Paused || q.free() == 0 || q.full() || len(q.again) > 0 {
		d.setLive(q, false)
		q.more, q.matched = true, rec.Position-1
		d.enqueue(q)
		return nil
	}
	return d.take(v, q, rec, h)
}

// setLive notes whether a queue follows the live end.
func (d *dispatcher) setLive(q *queue, live bool) {
	if q.live != live {
		q.live = live
		if live {
			d.liveQueues++
		} else {
			d.liveQueues--
		}
	}
}

// serveAll gives each queue with work a turn, those with a higher priority first.
func (d *dispatcher) serveAll() (more bool, err error) {
	d.mu.Lock()
	work := d.work
	d.work = nil
	for _, q := range work {
		q.queued = false
	}
	slices.SortStableFunc(work, func(a, b *queue) int { return cmp.Compare(b.Config.Priority, a.Config.Priority) })
	d.mu.Unlock()
	if len(work) == 0 {
		return false, nil
	}
	v := d.node.View()
	defer v.Close()
	for _, q := range work {
		if err := d.serve(v, q); err != nil {
			return false, err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.work) > 0, nil
}

// serve hands a batch of a queue's events out.
func (d *dispatcher) serve(v *consensus.View, q *queue) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.byGeneration[q.Generation] != q || !q.hasWork() {
		return nil // gone, or it comes again when that changes
	}
	if q.handsOut() {
		if err := d.serveAgain(v, q); err != nil {
			return err
		}
		d.countSuspects(q)
	}
	if err := d.serveFresh(v, q); err != nil {
		return err
	}
	if q.hasWork() {
		d.enqueue(q)
	}
	return nil
}

// serveAgain hands out again what came back.
func (d *dispatcher) serveAgain(v *consensus.View, q *queue) error {
	for n := 0; n < batchEvents && q.room() > 0; n++ {
		it := q.popReady()
		if it == nil {
			return nil
		}
		rec, err := v.Journal().Get(it.position)
		switch event.CodeOf(err) {
		case "":
		case event.CodeCompacted:
			d.counts.ended.Add(1) // by a purge, or by retention
			d.skip(q, it)
			continue
		default:
			return err
		}
		h, err := event.ScanHeader(rec.Event)
		if err != nil {
			return err
		}
		if err := d.handOut(v, q, it, &rec, &h); err != nil {
			return err
		}
	}
	return nil
}

// serveFresh hands out what was not handed out before.
func (d *dispatcher) serveFresh(v *consensus.View, q *queue) error {
	if q.live || q.full() {
		return nil
	}
	if len(q.ahead) == 0 {
		if err := d.read(v, q); err != nil {
			return err
		}
	}
	for len(q.ahead) > 0 && !q.full() && (q.free() > 0 && q.handsOut() || q.ahead[0].Position <= q.claimsTo) {
		rec := q.ahead[0]
		q.ahead = q.ahead[1:]
		h, err := event.ScanHeader(rec.Event)
		if err != nil {
			return err
		}
		if err := d.take(v, q, &rec, &h); err != nil {
			return err
		}
		q.matched = rec.Position
	}
	if len(q.ahead) > 0 {
		q.matched = q.ahead[0].Position - 1
	} else {
		q.matched = max(q.matched, q.aheadTo)
		d.setLive(q, q.matched >= d.live && !q.more)
	}
	if q.claimsTo <= q.matched {
		q.claims, q.claimsTo = nil, 0 // what is left of them does not match
	}
	if len(q.uncovered) > 0 {
		d.advance(q)
	}
	return nil
}

// read reads what matches beyond matched into ahead, as much as there are credits
// for. Without any it looks up to the next match.
func (d *dispatcher) read(v *consensus.View, q *queue) error {
	if q.more && q.free() == 0 && q.claimsTo <= q.matched {
		return nil
	}
	if d.liveQueues == 0 {
		d.live = v.Mark.Last // nobody else says how far the live queues are
	}
	query := queryOf(&q.Config.Filter)
	// Retention and purges may have ended what comes next: then it goes on after it.
	query.From, query.To = max(q.matched+1, v.Journal().Begin(query)), d.live
	want := min(q.free(), batchEvents)
	if q.claimsTo > q.matched {
		want = batchEvents
	}
	q.more, q.aheadTo = false, max(q.matched, query.To)
	if query.From > query.To {
		return nil
	}
	d.mu.Unlock()
	defer d.mu.Lock()
	r := v.Journal().Read(query)
	defer r.Close()
	for looked := 0; r.Next(); looked++ {
		rec := r.Record()
		if looked == batchLooked {
			q.aheadTo = rec.Position - 1
			return nil
		}
		h, err := event.ScanHeader(rec.Event)
		if err != nil {
			return err
		}
		if !matches(&q.Config.Filter, &h) {
			continue
		}
		if len(q.ahead) >= want {
			q.more, q.aheadTo = true, rec.Position-1
			return nil
		}
		rec.Stream, rec.Event = strings.Clone(rec.Stream), bytes.Clone(rec.Event)
		q.ahead = append(q.ahead, rec)
	}
	if err := r.Err(); err != nil {
		q.aheadTo = max(q.matched, r.Position())
		return passing(err)
	}
	return nil
}

// passing hides that retention ended what was read: it is looked at again, from
// where the journal begins then.
func passing(err error) error {
	if event.CodeOf(err) == event.CodeCompacted {
		return nil
	}
	return err
}
