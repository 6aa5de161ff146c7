package engine

import (
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/jsonwrite"
	"github.com/edri-io/edri/workflows"
)

// Of signals and updates a run keeps so many that it has not consumed. Of results there
// are never more than the run has asked for.
const (
	maxMail      = 2000
	maxMailBytes = 16 << 20
)

// Of signals a run keeps so many, with those that it has consumed and its code has not
// received: they all go on to the run that continues it.
const (
	maxUnreceived      = 10_000
	maxUnreceivedBytes = 64 << 20
)

// Updates and their answers are kept until a run is forgotten, so that the same again is
// answered as it was. A run therefore takes so many, and none once it keeps answers of so
// many bytes. What it has taken it may answer.
const (
	maxUpdates     = 2000
	maxAnswerBytes = 16 << 20
)

// deliver puts an entry into a run's inbox.
func (w *work) deliver(r *run, kind string, data []byte) {
	w.enter(r, entry{kind: []byte(kind), data: data})
}

func (w *work) enter(r *run, e entry) {
	r.dirty = true
	r.last++
	e.time = w.now()
	w.tx.Put(pairKey(kindEntry, r.number, r.last), e.append(nil))
}

// sendSignal delivers a signal from others, unless the run has too many already.
func (w *work) sendSignal(r *run, s *signal) error {
	data := signalData(s)
	signals, bytes := r.mail+r.unreceived, r.mailBytes+r.unreceivedBytes
	switch {
	case signals >= maxUnreceived:
		return event.Errorf(event.CodeQuotaExceeded, "run %s has %d signals and updates that its code has not received, the most there may be", r.name(), signals)
	case bytes+uint64(len(data)) > maxUnreceivedBytes:
		return event.Errorf(event.CodeQuotaExceeded, "run %s has signals and updates of %d bytes that its code has not received; %d more would be above %d", r.name(), bytes, len(data), maxUnreceivedBytes)
	}
	return w.deliverMail(r, workflows.KindSignal, data)
}

// deliverMail is deliver for what others may send as much of as they want.
func (w *work) deliverMail(r *run, kind string, data []byte) error {
	switch {
	case r.mail >= maxMail:
		return event.Errorf(event.CodeQuotaExceeded, "run %s has %d signals and updates that it has not taken, the most there may be", r.name(), r.mail)
	case r.mailBytes+uint64(len(data)) > maxMailBytes:
		return event.Errorf(event.CodeQuotaExceeded, "run %s has signals and updates of %d bytes that it has not taken; %d more would be above %d", r.name(), r.mailBytes, len(data), maxMailBytes)
	}
	r.mail++
	r.mailBytes += uint64(len(data))
	w.enter(r, entry{mail: true, kind: []byte(kind), data: data})
	return nil
}

// take takes the next entry out of the inbox.
func (w *work) take(r *run) (entry, error) {
	key := pairKey(kindEntry, r.number, r.read+1)
	row, err := w.tx.Get(key)
	if err != nil {
		return entry{}, err
	}
	e, err := parseEntry(row)
	if err != nil {
		return e, err
	}
	e.kind, e.data = append([]byte(nil), e.kind...), append([]byte(nil), e.data...)
	w.tx.Delete(key)
	r.dirty = true
	r.read++
	if e.mail && !e.carried {
		r.mail--
		r.mailBytes -= uint64(len(e.data))
	}
	return e, nil
}

func signalData(s *signal) []byte {
	var o jsonwrite.Object
	return o.Text("name", s.name).JSON("input", s.input).Done()
}

// signal executes signal_run.
func (w *work) signal(o signalOp) ([]byte, error) {
	r, err := w.running(o.target)
	if err != nil {
		return nil, err
	}
	return changed(r), w.sendSignal(r, o.signal)
}

// update executes update_run. One with an id that was there is the same.
func (w *work) update(o updateOp) ([]byte, error) {
	r, err := w.find(o.target)
	if err != nil {
		return nil, err
	}
	key := updateKey(r.number, o.updateID)
	if row, err := w.tx.Get(key); row != nil || err != nil {
		return changed(r), err
	}
	if r, err = w.running(o.target); err != nil {
		return nil, err
	}
	switch {
	case r.updates >= maxUpdates:
		return nil, event.Errorf(event.CodeQuotaExceeded, "run %s has taken %d updates, the most there may be: let it continue as new", r.name(), r.updates)
	case r.answers >= maxAnswerBytes:
		return nil, event.Errorf(event.CodeQuotaExceeded, "run %s keeps answers to updates of %d bytes, and takes no more from %d on: let it continue as new", r.name(), r.answers, maxAnswerBytes)
	}
	var data jsonwrite.Object
	data.Text("id", o.updateID).Text("name", o.name).JSON("input", o.input)
	if err := w.deliverMail(r, workflows.KindUpdate, data.Done()); err != nil {
		return nil, err
	}
	w.openUpdate(r, o.updateID)
	return changed(r), nil
}

// openUpdate keeps that an update is to be answered.
func (w *work) openUpdate(r *run, id []byte) {
	r.dirty = true
	r.set(flagUpdated, true)
	r.updates++
	w.tx.Put(updateKey(r.number, id), (&update{}).append(nil))
}

// answer answers an update that is open.
func (w *work) answer(r *run, id []byte, o outcome) error {
	key := updateKey(r.number, id)
	row, err := w.tx.Get(key)
	if row == nil || err != nil {
		return err
	}
	u, err := parseUpdate(row)
	if err != nil || u.done {
		return err
	}
	r.dirty = true
	r.answers += o.size()
	w.tx.Put(key, (&update{done: true, outcome: o}).append(nil))
	w.tx.Note(noteUpdate{number: r.number})
	return nil
}

// countUpdates counts the updates of a run whose row does not say how many there are.
func (w *work) countUpdates(r *run) error {
	lo, hi := pairsOf(kindUpdate, r.number)
	it := w.tx.Scan(lo, hi, false)
	defer it.Close()
	for it.Next() {
		u, err := parseUpdate(it.Value())
		if err != nil {
			return err
		}
		r.updates++
		r.answers += u.size()
	}
	return it.Err()
}

// cancel executes cancel_run.
func (w *work) cancel(o noteOp) ([]byte, error) {
	r, err := w.running(o.target)
	if err != nil {
		return nil, err
	}
	w.cancelRun(r, o.note)
	return changed(r), nil
}

// cancelRun asks a run to end, once.
func (w *work) cancelRun(r *run, reason []byte) {
	if r.is(flagCanceling) {
		return
	}
	r.set(flagCanceling, true)
	w.deliver(r, workflows.KindCancelRequested, noteData(reason, nil))
}

// lose notes that the workers of runs are gone, unless these have gone on since.
func (w *work) lose(list []lost) ([]byte, error) {
	for _, l := range list {
		r, err := w.run(l.number)
		if err != nil {
			return nil, err
		}
		if r != nil && r.status == statusRunning && r.advance == l.advance && r.is(flagBusy) {
			w.deliver(r, workflows.KindWorkerLost, noteData(nil, nil))
		}
	}
	return nil, nil
}

// pause executes pause_run.
func (w *work) pause(o pauseOp) ([]byte, error) {
	r, err := w.running(o.target)
	if err != nil || r.is(flagPaused) == o.paused {
		return changed(r), err
	}
	kind := workflows.KindPaused
	if !o.paused {
		kind = workflows.KindResumed
	}
	blocked := r.is(flagBlocked)
	if err := w.setPaused(r, kind, o.paused, o.note, nil); err != nil {
		return nil, err
	}
	if blocked && !o.paused {
		// A step that blocked the run would else wait for ever.
		w.deliver(r, workflows.KindRetryRequested, noteData(o.note, nil))
	}
	return changed(r), nil
}

func (w *work) setPaused(r *run, kind string, paused bool, reason, details []byte) error {
	r.set(flagPaused, paused)
	r.set(flagBlocked, false)
	if err := w.setNote(r, reason); err != nil {
		return err
	}
	return w.record(r, kind, w.now(), noteData(reason, details))
}

// retry executes retry_run. What a person paused is a person's to resume: nothing of it has
// failed that could be tried anew.
func (w *work) retry(o noteOp) ([]byte, error) {
	r, err := w.running(o.target)
	if err != nil {
		return nil, err
	}
	if !r.is(flagPaused) {
		return nil, event.Errorf(event.CodeCheckFailed, "run %s is not paused", r.name())
	}
	if !r.is(flagBlocked) {
		return nil, event.Errorf(event.CodeCheckFailed, "run %s was paused by request and not by a failure: resume it", r.name())
	}
	if err := w.setPaused(r, workflows.KindResumed, false, o.note, nil); err != nil {
		return nil, err
	}
	w.deliver(r, workflows.KindRetryRequested, noteData(o.note, nil))
	return changed(r), nil
}

// setNote says why a run is as it is.
func (w *work) setNote(r *run, note []byte) error {
	d, err := w.details(r.number)
	if err != nil || string(d.note) == string(note) {
		return err
	}
	d.note = note
	w.tx.Put(numberKey(kindDetails, r.number), d.append(nil))
	return nil
}

func (w *work) details(number uint64) (details, error) {
	row, err := w.tx.Get(numberKey(kindDetails, number))
	if err != nil {
		return details{}, err
	}
	return parseDetails(append([]byte(nil), row...))
}
