package engine

import (
	"errors"
	"fmt"
	"time"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

// maxOpen is how many timers, requests, events and children a run may wait for at a time.
const maxOpen = 2000

// advance executes advance_run. Only another advance of the run fails it, and what breaks a
// limit.
func (w *work) advance(o advanceOp) ([]byte, error) {
	result, err := w.advanceRun(o)
	return result, refuses(o.id, err)
}

// refuses says of an error that it is the advance of a run that is refused, by the stream of
// its history: the worker must not take it for that of the effects in the same commit.
func refuses(id []byte, err error) error {
	var refused *event.Error
	if errors.As(err, &refused) && refused.Stream == "" {
		refused.Stream = workflows.HistoryStream(string(id))
	}
	return err
}

func (w *work) advanceRun(o advanceOp) ([]byte, error) {
	r, err := w.find(o.target)
	if err != nil {
		return nil, err
	}
	switch {
	case r.advance == o.advance && r.nonce == o.nonce:
		return advanced(r), nil // it is known already
	case r.status != statusRunning:
		return nil, event.Errorf(event.CodeRunEnded, "run %s has ended: %s", r.name(), r.status)
	case r.advance+1 != o.advance:
		return nil, event.Errorf(event.CodeRevisionConflict, "run %s has come to advance %d; %d does not follow", r.name(), r.advance, o.advance)
	}
	r.advance, r.nonce, r.dirty = o.advance, o.nonce, true
	r.set(flagBusy, o.busy)
	r.unreceived, r.unreceivedBytes = o.unreceived, o.unreceivedBytes
	for i := range o.records {
		if err := w.advanceBy(r, &o.records[i]); err != nil {
			return nil, err
		}
	}
	if len(o.carry) > 0 {
		if err := w.carry(r, o.carry, o.carryFrom); err != nil {
			return nil, err
		}
	}
	if o.block != nil && r.status == statusRunning {
		err = w.setPaused(r, workflows.KindPaused, true, o.block.reason, o.block.details)
		r.set(flagBlocked, true)
	}
	return advanced(r), err
}

func (w *work) advanceBy(r *run, o *record) error {
	if r.status != statusRunning {
		return event.Errorf(event.CodeInvalid, "records: there is one after the end")
	}
	if o.entry != 0 {
		return w.consume(r, o)
	}
	if o.do == doEnd {
		return w.endOp(r, o)
	}
	if r.events >= maxEvents {
		return event.Errorf(event.CodeQuotaExceeded, "run %s has a history of %d events, the most there may be: let it continue as new", r.name(), r.events)
	}
	if err := w.record(r, string(o.kind), o.time, clone(o.data)); err != nil {
		return err
	}
	return w.do(r, o)
}

// consume makes the next entry a part of the history.
func (w *work) consume(r *run, o *record) error {
	if o.entry != r.read+1 || !r.unread() {
		return event.Errorf(event.CodeInvalid, "records: entry %d of run %s is not the next; it has consumed %d of %d", o.entry, r.name(), r.read, r.last)
	}
	e, err := w.take(r)
	if err != nil {
		return err
	}
	if len(o.reject) > 0 {
		id, ok := updateID(&e)
		if !ok {
			return event.Errorf(event.CodeInvalid, "records: entry %d is no update, and cannot be rejected", o.entry)
		}
		return w.answer(r, id, outcome{failure: clone(o.reject)})
	}
	if r.events >= maxEvents {
		return event.Errorf(event.CodeQuotaExceeded, "run %s has a history of %d events, the most there may be: let it continue as new", r.name(), r.events)
	}
	return w.record(r, string(e.kind), e.time, e.data)
}

// do does what a record asks for.
func (w *work) do(r *run, o *record) error {
	switch o.do {
	case doNothing:
		return nil
	case doCancelTimer:
		return w.cancelStepTimer(r, o.seq)
	case doDropRequest:
		return w.dropRequest(r, o.seq)
	case doDropEvent:
		return w.dropAwait(r, o.seq)
	case doSetAttributes:
		return w.changeAttributes(r, o.command)
	case doSetTimer:
		return command(w, r, o, decodeSetTimer, (*work).setStepTimer)
	case doSendRequest:
		return command(w, r, o, decodeSendRequest, (*work).sendRequest)
	case doAwaitEvent:
		return command(w, r, o, decodeAwaitEvent, (*work).awaitEvent)
	case doStartChild:
		return command(w, r, o, decodeStartChild, (*work).startChild)
	case doCancelChild:
		return command(w, r, o, decodeCancelChild, (*work).cancelChild)
	case doFinishUpdate:
		return command(w, r, o, decodeFinishUpdate, func(w *work, r *run, c finishUpdate) error {
			return w.answer(r, c.id, outcome{result: c.result, failure: c.failure})
		})
	}
	return fmt.Errorf("a record does %d", o.do)
}

// command decodes what a record asks for, which Check has seen, and executes it.
func command[T any](w *work, r *run, o *record, decode func([]byte) (T, error), execute func(*work, *run, T) error) error {
	c, err := decode(o.command)
	if err != nil {
		return fmt.Errorf("a record does %d: %v", o.do, err)
	}
	return execute(w, r, c)
}

// opens counts one more thing that the run waits for.
func (r *run) opens() error {
	if r.open >= maxOpen {
		return event.Errorf(event.CodeQuotaExceeded, "run %s waits for %d timers, requests, events and children, the most there may be", r.name(), r.open)
	}
	r.open++
	return nil
}

func (w *work) setStepTimer(r *run, c setTimer) error {
	key := pairKey(kindTimer, r.number, c.seq)
	if row, err := w.tx.Get(key); err != nil {
		return err
	} else if row != nil || c.seq == 0 {
		return event.Errorf(event.CodeInvalid, "set_timer: run %s has a timer of sequence number %d", r.name(), c.seq)
	}
	w.tx.Put(key, w.setTimer(later(w.now(), c.after), timerStep, r.number, c.seq))
	return r.opens()
}

func (w *work) cancelStepTimer(r *run, seq uint64) error {
	key := pairKey(kindTimer, r.number, seq)
	row, err := w.tx.Get(key)
	if row == nil || err != nil {
		return err // it has fired
	}
	if err := w.cancelTimer(row); err != nil {
		return err
	}
	w.tx.Delete(key)
	r.open--
	return nil
}

// timerFired delivers a timer. Its row goes, as the table's has.
func (w *work) timerFired(r *run, number, seq uint64) error {
	w.tx.Delete(pairKey(kindTimer, number, seq))
	if r == nil || r.status != statusRunning {
		return fmt.Errorf("%w: timer of run %d, which has ended", errRow, number)
	}
	r.open--
	w.deliver(r, workflows.KindTimerFired, seqData(seq))
	return nil
}

func (w *work) sendRequest(r *run, c sendRequest) error {
	if row, err := w.tx.Get(pairKey(kindRequest, r.number, c.seq)); err != nil {
		return err
	} else if row != nil {
		return event.Errorf(event.CodeInvalid, "send_request: run %s has a request of sequence number %d", r.name(), c.seq)
	}
	position, err := w.m.requests.SendIn(w.tx, clone(c.stream), clone(c.event), time.Duration(c.timeout))
	if err != nil {
		return err
	}
	w.tx.Put(pairKey(kindRequest, r.number, c.seq), pair(uint64(position), 0))
	w.tx.Put(numberKey(kindPosition, uint64(position)), pair(r.number, c.seq))
	return r.opens()
}

func (w *work) dropRequest(r *run, seq uint64) error {
	key := pairKey(kindRequest, r.number, seq)
	row, err := w.tx.Get(key)
	if row == nil || err != nil {
		return err // it has its response
	}
	position, _, err := parsePair(row, "request of a run")
	if err != nil {
		return err
	}
	w.tx.Delete(key)
	w.tx.Delete(numberKey(kindPosition, position))
	r.open--
	return w.m.requests.CancelIn(w.tx, event.Position(position))
}
