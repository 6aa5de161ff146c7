package engine

import (
	"encoding/binary"
	"fmt"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/jsonwrite"
	"github.com/edri-io/edri/workflows"
)

// endOp ends a run as its code wants.
func (w *work) endOp(r *run, o *record) error {
	c, err := decodeEnd(o.command)
	if err != nil {
		return fmt.Errorf("end: %v", err)
	}
	if r.unread() && !c.insist {
		return event.Errorf(event.CodeCheckFailed, "run %s has %d entries that it has not consumed", r.name(), r.last-r.read)
	}
	if err := w.record(r, string(o.kind), o.time, clone(o.data)); err != nil {
		return err
	}
	return w.end(r, c)
}

// stopped is the end of a run that does not end by its code.
func stopped(s status, reason string) endRun {
	kind, typ := workflows.KindTerminated, workflows.ErrorTerminated
	if s == statusTimedOut {
		kind, typ = workflows.KindTimedOut, workflows.ErrorTimeout
	}
	return endRun{status: s, outcome: outcome{failure: failure(typ, reason)}, kind: kind, reason: reason}
}

// end ends a run.
func (w *work) end(r *run, c endRun) error {
	r.dirty = true
	if c.kind != "" {
		if err := w.record(r, c.kind, w.now(), noteData([]byte(c.reason), nil)); err != nil {
			return err
		}
	}
	ahead, err := w.endCarry(r, c.carried)
	if err != nil {
		return err
	}
	moved, err := w.clear(r, c.status == statusContinued)
	if err != nil {
		return err
	}
	w.unindexStatus(r)
	r.status, r.ended = c.status, w.tx.Stamp()
	r.flags &^= flagBusy | flagPaused | flagDelayed
	w.indexStatus(r)
	if c.outcome.result != nil || c.outcome.failure != nil {
		w.tx.Put(numberKey(kindOutcome, r.number), c.outcome.append(nil))
	}
	var next *run
	if c.status == statusContinued {
		if next, err = w.continueAs(r, c, ahead, moved); err != nil {
			return err
		}
	}
	if err := w.tellParent(r, c.outcome, next); err != nil {
		return err
	}
	if next == nil && !c.reset {
		w.endChain(r)
	}
	w.tx.Note(noteEnd{number: r.number, next: r.next})
	return w.keepEnded(r)
}

// continueAs starts the run that goes on in the place of another.
func (w *work) continueAs(r *run, c endRun, ahead carry, moved []entry) (*run, error) {
	o := *c.next
	o.id, o.typ, o.correlation = r.id, r.typ, r.correlation
	if o.version == 0 {
		o.version = r.version
	}
	d, err := w.details(r.number)
	if err != nil {
		return nil, err
	}
	from := origin{before: r, ahead: ahead}
	if len(o.attributes) == 0 {
		// As they are: the workflow may declare others by now.
		o.attributes, from.attributes = valuesJSON(d.attributes), d.attributes
	}
	if o.memo == nil {
		o.memo = d.memo
	}
	if o.timeout == 0 {
		o.timeout = d.timeout
	}
	// The first event has as many of the signals as it can take.
	room, n := maxPayload-len(o.input)-len(o.attributes)-len(o.memo), 0
	for ; n < len(c.signals); n++ {
		if room -= len(signalData(&c.signals[n])) + 1; room < 0 {
			break
		}
	}
	if n < len(c.signals) && ahead.heir != 0 {
		return nil, event.Errorf(event.CodeInvalid, "signals: the first event has room for %d of %d, which others went ahead of", n, len(c.signals))
	}
	from.signals = c.signals[:n]
	next, _, err := w.start(o, from)
	if event.CodeOf(err) == event.CodeNotFound {
		// Not as it stands: to its worker it would mean that the run itself is not there.
		return nil, event.Errorf(event.CodeInvalid, "run %s cannot continue as new: %v", r.name(), err)
	}
	if size := len(o.input) + len(o.attributes) + len(o.memo); event.CodeOf(err) == event.CodeTooLarge && size > maxPayload {
		// What it takes along was checked beside another input, or when it might be more.
		return nil, event.TooLarge("input to continue run "+r.name()+" with, memo and attributes that go along, in bytes", int64(size), maxPayload)
	}
	if err != nil {
		return nil, err
	}
	r.next = next.number
	w.extendChain(next)
	for i := range c.signals[:n] {
		next.unreceived++
		next.unreceivedBytes += uint64(len(signalData(&c.signals[i])))
	}
	for i := range c.signals[n:] {
		w.carryTo(next, signalData(&c.signals[n+i]))
	}
	for _, e := range moved {
		if string(e.kind) == workflows.KindCancelRequested {
			next.set(flagCanceling, true)
		}
		switch size := uint64(len(e.data)); {
		case e.carried:
			next.unreceived++
			next.unreceivedBytes += size
		case e.mail:
			next.mail++
			next.mailBytes += size
		}
		w.enter(next, e)
		if id, ok := updateID(&e); ok {
			w.openUpdate(next, id)
		}
	}
	return next, nil
}

// clear ends all that a run waits for, and answers those who wait for it. When the run
// continues, what it has not consumed of signals, updates and cancels moves on.
func (w *work) clear(r *run, continues bool) (moved []entry, err error) {
	if moved, err = w.clearInbox(r, continues); err != nil {
		return nil, err
	}
	if r.is(flagUpdated) {
		if err := w.clearUpdates(r, moved); err != nil {
			return nil, err
		}
	}
	if err := w.cancelOwnTimer(r); err != nil {
		return nil, err
	}
	if r.open == 0 {
		return moved, nil
	}
	for _, of := range [...]struct {
		kind byte
		end  func(r *run, seq uint64) error
	}{{kindTimer, w.cancelStepTimer}, {kindRequest, w.dropRequest}, {kindAwait, w.dropAwait}} {
		lo, hi := pairsOf(of.kind, r.number)
		keys, err := w.keysIn(lo, hi, maxOpen+1)
		if err != nil {
			return nil, err
		}
		for _, key := range keys {
			if err := of.end(r, second(key)); err != nil {
				return nil, err
			}
		}
	}
	r.open = 0
	lo, hi := pairsOf(kindChild, r.number)
	children, err := w.keysIn(lo, hi, 1)
	if err == nil && len(children) > 0 {
		w.setTimer(w.now(), timerClose, r.number, 0)
	}
	return moved, err
}

// clearInbox takes all entries out of a run's inbox. What does not move on is recorded.
func (w *work) clearInbox(r *run, continues bool) (moved []entry, err error) {
	for r.unread() {
		e, err := w.take(r)
		if err != nil {
			return nil, err
		}
		if continues && (e.mail || string(e.kind) == workflows.KindCancelRequested) {
			moved = append(moved, e)
			continue
		}
		if e.mail {
			var data jsonwrite.Object
			data.Text("kind", e.kind).JSON("data", e.data)
			if err := w.record(r, workflows.KindUnhandled, e.time, data.Done()); err != nil {
				return nil, err
			}
		}
	}
	return moved, nil
}

// clearUpdates answers the updates of a run that are open, but for those that move on,
// which go on there.
func (w *work) clearUpdates(r *run, moved []entry) error {
	keep := map[string]bool{}
	for i := range moved {
		if id, ok := updateID(&moved[i]); ok {
			keep[string(id)] = true
		}
	}
	lo, hi := pairsOf(kindUpdate, r.number)
	it := w.tx.Scan(lo, hi, false)
	var open [][]byte
	for it.Next() {
		u, err := parseUpdate(it.Value())
		if err != nil {
			it.Close()
			return err
		}
		if id := it.Key()[9:]; !u.done && !keep[string(id)] {
			open = append(open, clone(id))
		}
	}
	it.Close()
	if err := it.Err(); err != nil {
		return err
	}
	for _, id := range open {
		if err := w.answer(r, id, outcome{failure: failure(workflows.ErrorUnhandled, "the run ended before it had an answer")}); err != nil {
			return err
		}
	}
	return nil
}

// updateID returns the id of an entry that is an update.
func updateID(e *entry) ([]byte, bool) {
	if string(e.kind) != workflows.KindUpdate {
		return nil, false
	}
	id := member(e.data, "id")
	if id.kind != '"' {
		return nil, false
	}
	return []byte(id.text()), true
}

// terminate executes terminate_run.
func (w *work) terminate(o noteOp) ([]byte, error) {
	r, err := w.running(o.target)
	if err != nil {
		return nil, err
	}
	return changed(r), w.end(r, stopped(statusTerminated, string(o.note)))
}

// timeOut ends a run whose time is over.
func (w *work) timeOut(r *run) error {
	if r == nil || r.status != statusRunning {
		return fmt.Errorf("%w: timeout of a run that has ended", errRow)
	}
	w.ownTimerFired(r)
	return w.end(r, stopped(statusTimedOut, "the run took longer than it may"))
}

// keepEnded lets an ended run be known for as long as its workflow says.
func (w *work) keepEnded(r *run) error {
	d, _, err := w.definition(r.typ)
	if err != nil {
		return err
	}
	w.setOwnTimer(r, d.keep(), timerForget)
	w.tx.Put(endedKey(r), []byte{rowVersion})
	n, err := w.endedCount(r.typ)
	if err != nil {
		return err
	}
	n++
	w.putEndedCount(r.typ, n)
	// A few more than comes, so that a lower limit takes hold.
	for range 10 {
		if d.retentionCount == 0 || n <= d.retentionCount {
			break
		}
		oldest, err := w.keysIn(nameKey(kindEnded, append(clone(r.typ), 0)), textEnd(kindEnded, r.typ), 1)
		if err != nil || len(oldest) == 0 || second(oldest[0]) == r.number {
			return err
		}
		old, err := w.run(second(oldest[0]))
		if err != nil {
			return err
		}
		if old == nil {
			return fmt.Errorf("%w: there is no run %d, which has ended", errRow, second(oldest[0]))
		}
		if err := w.forget(old); err != nil {
			return err
		}
		n--
	}
	return nil
}

// deleteOp executes delete_run.
func (w *work) deleteOp(o noteOp) ([]byte, error) {
	r, err := w.find(o.target)
	if err != nil {
		return nil, err
	}
	if r.status == statusRunning {
		return nil, event.Errorf(event.CodeCheckFailed, "run %s has not ended: terminate it first", r.name())
	}
	return changed(r), w.forget(r)
}

// expire forgets a run at its time.
func (w *work) expire(r *run) error {
	if r == nil {
		return fmt.Errorf("%w: a run is to be forgotten that there is not", errRow)
	}
	w.ownTimerFired(r)
	return w.forget(r)
}

// forget removes the rows of a run that has ended. Its history is the journal's.
func (w *work) forget(r *run) error {
	if err := w.cancelOwnTimer(r); err != nil {
		return err
	}
	lo, hi := pairsOf(kindUpdate, r.number)
	for r.is(flagUpdated) {
		keys, err := w.keysIn(lo, hi, maxClosed)
		if err != nil {
			return err
		}
		for _, key := range keys {
			w.tx.Delete(key)
		}
		if len(keys) < maxClosed {
			break
		}
	}
	d, err := w.details(r.number)
	if err != nil {
		return err
	}
	w.unindex(r, d.attributes)
	last, err := w.latest(r.id)
	if err != nil {
		return err
	}
	if last == r.number {
		if err := w.unlatest(r); err != nil {
			return err
		}
	} else {
		w.tx.Delete(textKey(kindOlder, r.id, r.number))
	}
	n, err := w.endedCount(r.typ)
	if err != nil {
		return err
	}
	if n == 0 {
		return fmt.Errorf("%w: no run of %s has ended", errRow, r.typ)
	}
	w.putEndedCount(r.typ, n-1)
	w.tx.Delete(endedKey(r))
	w.tx.Delete(numberKey(kindDetails, r.number))
	w.tx.Delete(numberKey(kindOutcome, r.number))
	w.tx.Delete(numberKey(kindRun, r.number))
	w.tx.Unpin(r.pin, numberKey(kindRun, r.number))
	r.dirty = false
	return nil
}

// unlatest makes the run of an id before r the last one, if there is any.
func (w *work) unlatest(r *run) error {
	it := w.tx.Scan(textKey(kindOlder, r.id, 0), textEnd(kindOlder, r.id), true)
	before := uint64(0)
	if it.Next() {
		before = second(it.Key())
	}
	it.Close()
	if err := it.Err(); err != nil {
		return err
	}
	if before == 0 {
		w.tx.Delete(nameKey(kindID, r.id))
		return nil
	}
	w.tx.Delete(textKey(kindOlder, r.id, before))
	w.tx.Put(nameKey(kindID, r.id), binary.BigEndian.AppendUint64(nil, before))
	return nil
}

// endedKey is the row by which the run that ended first is found.
func endedKey(r *run) []byte {
	return append(append(nameKey(kindEnded, r.typ), 0), pair(uint64(r.ended), r.number)...)
}
