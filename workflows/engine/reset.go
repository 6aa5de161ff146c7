package engine

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/jsonwrite"
	"github.com/edri-io/edri/log"
	"github.com/edri-io/edri/workflows"
)

// reset executes reset_run: another run of the id takes over the beginning of a run's
// history, and goes on from there. What the code waited for at that point it asks for
// again.
func (w *work) reset(o resetOp) ([]byte, error) {
	r, err := w.find(o.target)
	if err != nil {
		return nil, err
	}
	history, events, ok := cut(r.history, event.Revision(o.revision))
	if !ok {
		return nil, event.Errorf(event.CodeInvalid, "revision %d: is not within the history of run %s", o.revision, r.name())
	}
	last, err := w.latest(r.id)
	if err != nil {
		return nil, err
	}
	if last != r.number {
		return nil, event.Errorf(event.CodeCheckFailed, "run %s is not the last of its id", r.name())
	}
	if !o.drop {
		if end := uint64(r.history[len(r.history)-1].To); end != o.through {
			return nil, &event.Error{
				Code: event.CodeRevisionConflict, Message: "the run has gone on since its signals were collected",
				Stream: workflows.HistoryStream(string(r.id)), Expected: event.Expected(o.through), Actual: event.Revision(end),
			}
		}
		if o.signals, err = w.unreadSignals(r, o.signals); err != nil {
			return nil, err
		}
	}
	next := &run{
		number: w.tx.Incarnation(), status: statusRunning, version: r.version, started: w.tx.Stamp(),
		id: r.id, typ: r.typ, correlation: r.correlation,
		parent: r.parent, seq: r.seq, history: history, events: events, pin: r.pin,
	}
	next.first = next.number
	if r.status == statusRunning {
		next.first = r.first
		w.extendChain(next)
	}
	if err := w.tx.Pin(next.pin, numberKey(kindRun, next.number)); err != nil {
		return nil, err
	}
	if err := w.replaceChild(r, next); err != nil {
		return nil, err
	}
	if r.status == statusRunning {
		end := stopped(statusTerminated, "the run was reset")
		end.reset = true
		if err := w.end(r, end); err != nil {
			return nil, err
		}
	}
	r.next, r.dirty = next.number, true
	return started(next.number, true), w.beginReset(r, next, &o)
}

// unreadSignals appends the signals that a run has not consumed.
func (w *work) unreadSignals(r *run, signals []signal) ([]signal, error) {
	_, hi := pairsOf(kindEntry, r.number)
	it := w.tx.Scan(pairKey(kindEntry, r.number, r.read+1), hi, false)
	defer it.Close()
	for it.Next() {
		e, err := parseEntry(it.Value())
		if err != nil {
			return nil, err
		}
		if string(e.kind) != workflows.KindSignal {
			continue
		}
		s, err := parseSignal(e.data)
		if err != nil {
			return nil, err
		}
		signals = append(signals, s)
	}
	return signals, it.Err()
}

// parseSignal reads the data of an entry or event of a signal.
func parseSignal(data []byte) (signal, error) {
	name := member(data, "name")
	if name.kind != '"' {
		return signal{}, fmt.Errorf("%w: signal without a name", errRow)
	}
	return signal{name: []byte(name.text()), input: clone(member(data, "input").raw)}, nil
}

// beginReset makes the rows of a run that takes over from another.
func (w *work) beginReset(r, next *run, o *resetOp) error {
	w.runs = append(w.runs, next)
	w.tx.Put(textKey(kindOlder, r.id, r.number), []byte{rowVersion})
	w.tx.Put(nameKey(kindID, r.id), pair(next.number, 0)[:8])
	d, err := w.details(r.number)
	if err != nil {
		return err
	}
	d.note = nil
	w.tx.Put(numberKey(kindDetails, next.number), d.append(nil))
	w.index(next, d.attributes)
	var data jsonwrite.Object
	data.Text("from", strconv.AppendUint(nil, r.number, 10)).Number("revision", o.revision).Text("reason", o.reason)
	if err := w.record(next, workflows.KindReset, w.now(), data.Done()); err != nil {
		return err
	}
	for i := range o.signals {
		w.carryTo(next, signalData(&o.signals[i]))
	}
	return w.begin(next)
}

// replaceChild makes a run that was reset its parent's child, in the place of the one
// before.
func (w *work) replaceChild(r, next *run) error {
	if r.parent == 0 {
		return nil
	}
	key := pairKey(kindChild, r.parent, r.seq)
	row, err := w.tx.Get(key)
	if row == nil || err != nil {
		return err
	}
	number, onClose, err := parsePair(row, "child of a run")
	if err != nil || number != r.number {
		return err
	}
	if r.status != statusRunning {
		// It ended after its parent, whose children are still to be closed: not this one,
		// which someone wants to run again.
		w.tx.Delete(key)
		return nil
	}
	w.tx.Put(key, pair(next.number, onClose))
	return nil
}

// cut returns what of a history is up to a revision, and how many events that are.
func cut(history []workflows.Range, to event.Revision) (kept []workflows.Range, events uint64, ok bool) {
	for _, h := range history {
		if to < h.From {
			return nil, 0, false
		}
		if to <= h.To {
			h.To = to
			return append(kept, h), events + uint64(h.To-h.From) + 1, true
		}
		kept = append(kept, h)
		events += uint64(h.To-h.From) + 1
	}
	return nil, 0, false
}

// ResetInfo is what a reset of a run has to say of it.
type ResetInfo struct {
	Number  uint64
	Through event.Revision // where its history ends
	// Signals are those that are in the history after a revision, also as unhandled; none, if
	// they are to be dropped.
	Signals []workflows.Signal
}

// maxResetBytes are about what a commit has room for: the signals after the revision are in
// that of a reset. What the run has not consumed is not.
const maxResetBytes = 4<<20 - 128<<10

// ResetInfoOf collects what a reset of a run to a revision has to say: number 0 is the last
// of the id. Where the signals are more than a reset can take it is too_large. A revision
// beyond the history is invalid, and one at which the code has ended: it has nothing to go on
// with.
func ResetInfoOf(v *consensus.View, id string, number uint64, revision event.Revision, drop bool) (ResetInfo, error) {
	r, err := findRun(v, target{[]byte(id), number})
	if err != nil {
		return ResetInfo{}, err
	}
	info := ResetInfo{Number: r.number, Through: r.history[len(r.history)-1].To}
	if revision > info.Through {
		return ResetInfo{}, event.Errorf(event.CodeInvalid, "revision %d: the history of run %s ends at %d", revision, r.name(), info.Through)
	}
	records := v.Journal().Read(log.Query{Stream: workflows.HistoryStream(id), From: r.pin})
	defer records.Close()
	size := 0
	for rest := r.history; len(rest) > 0 && records.Next(); {
		got := records.Record()
		for len(rest) > 0 && got.Revision > rest[0].To {
			rest = rest[1:]
		}
		if len(rest) == 0 || got.Revision < rest[0].From {
			continue
		}
		holds := got.Revision <= revision
		if holds && r.status == statusRunning || !holds && drop {
			continue
		}
		e, err := event.DecodeEvent(got.Event)
		if err != nil {
			return ResetInfo{}, err
		}
		if holds {
			if ends[strings.TrimPrefix(e.Type, workflows.HistoryPrefix)] {
				return ResetInfo{}, event.Errorf(event.CodeInvalid, "revision %d: run %s had ended by then, at %d", revision, r.name(), got.Revision)
			}
			continue
		}
		s, ok, err := signalIn(&e)
		if err != nil {
			return ResetInfo{}, err
		}
		if !ok {
			continue
		}
		info.Signals = append(info.Signals, s)
		switch size += len(s.Name) + len(s.Input); {
		case size > maxResetBytes:
			return ResetInfo{}, event.TooLarge(fmt.Sprintf("signals of run %s after revision %d in bytes", r.name(), revision), int64(size), maxResetBytes)
		case len(info.Signals) > maxUnreceived:
			return ResetInfo{}, event.TooLarge(fmt.Sprintf("number of signals of run %s after revision %d", r.name(), revision), int64(len(info.Signals)), maxUnreceived)
		}
	}
	return info, records.Err()
}

// ends are the kinds of the last that a workflow's code asks for.
var ends = map[string]bool{
	workflows.KindCompleted: true, workflows.KindFailed: true, workflows.KindCanceled: true, workflows.KindContinued: true,
}

// signalIn returns the signal that an event of a history is about.
func signalIn(e *event.Event) (workflows.Signal, bool, error) {
	data := e.Data
	switch e.Type {
	case workflows.HistoryPrefix + workflows.KindSignal:
	case workflows.HistoryPrefix + workflows.KindUnhandled:
		kind := member(data, "kind")
		if kind.kind != '"' || kind.text() != workflows.KindSignal {
			return workflows.Signal{}, false, nil
		}
		data = member(data, "data").raw
	default:
		return workflows.Signal{}, false, nil
	}
	s, err := parseSignal(data)
	return workflows.Signal{Name: string(s.name), Input: s.input}, err == nil, err
}
