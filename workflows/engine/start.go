package engine

import (
	"encoding/binary"
	"maps"
	"strconv"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/jsonwrite"
	"github.com/edri-io/edri/workflows"
)

// origin says what a run comes of.
type origin struct {
	parent *run // that starts it as a child
	seq    uint64
	before *run // that it continues
	// signals were not read by the run that it continues, attributes are those that it had,
	// ahead is what is in its inbox already.
	signals    []signal
	ahead      carry
	attributes map[string]value
}

// startOp executes start_run.
func (w *work) startOp(o startOp) ([]byte, error) {
	r, byThis, err := w.start(o, origin{})
	if err != nil {
		return nil, err
	}
	return started(r.number, byThis), nil
}

// start starts a run, unless one of its id stands against it. An *event.Error says that
// nothing was changed.
func (w *work) start(o startOp, from origin) (r *run, byThis bool, err error) {
	d, err := w.resolve(&o)
	if err != nil {
		return nil, false, err
	}
	values := from.attributes
	if values == nil {
		if values, err = d.parseAttributes(o.attributes); err != nil {
			return nil, false, err
		}
	}
	last, err := w.latest(o.id)
	if err != nil {
		return nil, false, err
	}
	if last != 0 && from.before == nil {
		other, err := w.run(last)
		if err != nil {
			return nil, false, err
		}
		if other != nil {
			use, err := w.meet(&o, from, other)
			if use || err != nil {
				return other, false, err
			}
		}
	}
	maps.DeleteFunc(values, func(_ string, v value) bool { return v == nil })
	r, err = w.newRun(&o, values, from, last)
	if err != nil {
		return nil, false, err
	}
	w.index(r, values)
	if o.signal != nil {
		err = w.deliverMail(r, workflows.KindSignal, signalData(o.signal))
	}
	return r, true, err
}

// resolve gives a start the version that it asks for.
func (w *work) resolve(o *startOp) (definition, error) {
	d, found, err := w.definition(o.typ)
	switch {
	case err != nil:
		return d, err
	case !found:
		return d, event.Errorf(event.CodeNotFound, "there is no workflow %s: no worker has ever defined it", o.typ)
	case o.version > d.version:
		return d, event.Errorf(event.CodeNotFound, "workflow %s has no version %d: the highest is %d", o.typ, o.version, d.version)
	case o.version == 0:
		o.version = d.version
	}
	return d, nil
}

// meet decides what a start does about the last run of its id: use it, an error, or
// neither, and then nothing stands against the start.
func (w *work) meet(o *startOp, from origin, other *run) (use bool, err error) {
	if from.parent != nil {
		switch made, err := w.madeBeforeReset(other, from.parent); {
		case err != nil:
			return false, err
		case made && other.status == statusRunning:
			return false, w.end(other, stopped(statusTerminated, "its parent was reset, and starts it again"))
		case made:
			return false, nil
		}
	}
	if other.status != statusRunning {
		if o.reuse == reuseNever || o.reuse == reuseIfFailed && other.status == statusCompleted {
			return false, event.Errorf(event.CodeExists, "run %s has ended, %s, and its id is not to be used again", other.name(), other.status)
		}
		return false, nil
	}
	switch {
	case o.conflict == conflictUse && from.parent == nil:
		if o.signal != nil {
			err = w.sendSignal(other, o.signal)
		}
		return true, err
	case o.conflict == conflictTerminate && other != from.parent:
		return false, w.end(other, stopped(statusTerminated, "another run of the id was started"))
	}
	return false, event.Errorf(event.CodeExists, "run %s is under way", other.name())
}

// newRun makes the rows of a run, and the first event of its history.
func (w *work) newRun(o *startOp, values map[string]value, from origin, last uint64) (*run, error) {
	number := from.ahead.heir
	if number == 0 {
		number = w.tx.Incarnation()
	}
	r := &run{
		number: number, status: statusRunning, version: o.version, started: w.tx.Stamp(),
		id: clone(o.id), typ: clone(o.typ), correlation: clone(o.correlation),
	}
	r.first = r.number
	w.runs = append(w.runs, r)
	if last != 0 {
		w.tx.Put(textKey(kindOlder, r.id, last), []byte{rowVersion})
	}
	w.tx.Put(nameKey(kindID, r.id), binary.BigEndian.AppendUint64(nil, r.number))
	d := details{timeout: o.timeout, attributes: values, memo: o.memo}
	var data jsonwrite.Object
	data.Text("type", r.typ).Number("version", uint64(r.version)).JSON("input", o.input)
	data.JSON("attributes", o.attributes).JSON("memo", o.memo)
	data.Text("seed", strconv.AppendUint(nil, mix(r.number, uint64(w.tx.Stamp())), 10))
	switch {
	case from.parent != nil:
		r.parent, r.seq = from.parent.number, from.seq
		d.parent, d.root = []byte(from.parent.name()), from.parent.pin
	case from.before != nil:
		b := from.before
		r.first, r.parent, r.seq = b.first, b.parent, b.seq
		r.last, r.unreceived, r.unreceivedBytes = from.ahead.signals, from.ahead.signals, from.ahead.bytes
		before, err := w.details(b.number)
		if err != nil {
			return nil, err
		}
		d.parent, d.root = before.parent, before.root
		data.Text("continues", strconv.AppendUint(nil, b.number, 10))
		if len(from.signals) > 0 {
			data.JSON("signals", signalList(from.signals))
		}
	}
	data.Text("parent", d.parent)
	if err := w.record(r, workflows.KindStarted, w.now(), data.Done()); err != nil {
		return nil, err
	}
	if d.timeout != 0 || len(d.attributes) > 0 || d.memo != nil || d.parent != nil {
		w.tx.Put(numberKey(kindDetails, r.number), d.append(nil))
	}
	if o.delay > 0 {
		r.set(flagDelayed, true)
		w.setOwnTimer(r, o.delay, timerDelay)
		return r, nil
	}
	return r, w.begin(r)
}

// begin lets workers have a run.
func (w *work) begin(r *run) error {
	if r == nil {
		return errRow
	}
	if r.is(flagDelayed) {
		w.ownTimerFired(r)
	}
	r.dirty = true
	r.set(flagDelayed, false)
	r.set(flagBusy, true)
	d, err := w.details(r.number)
	if err == nil && d.timeout > 0 {
		w.setOwnTimer(r, d.timeout, timerTimeout)
	}
	return err
}

// later is a time after another, and never beyond what there is.
func later(t, d int64) int64 {
	if sum := t + d; sum >= t {
		return sum
	}
	return 1<<63 - 1
}

func signalList(list []signal) []byte {
	b := []byte{'['}
	for i := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, signalData(&list[i])...)
	}
	return append(b, ']')
}

// mix makes a seed of two numbers (the finalizer of splitmix64).
func mix(a, b uint64) uint64 {
	x := a ^ b*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func clone(b []byte) []byte { return append([]byte(nil), b...) }
