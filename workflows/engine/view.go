package engine

import (
	"bytes"
	"fmt"
	"iter"
	"time"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/wire"
	"github.com/edri-io/edri/workflows"
)

// Run is a run as the state has it.
type Run struct {
	workflows.Run
	Status         workflows.Status
	Paused, Busy   bool
	Started, Ended int64 // nanoseconds since 1970; 0: not yet
	Events         uint64
	Unread         uint64
	Open           uint64
	First, Next    uint64
}

// Details are what of a run is not needed to find it.
type Details struct {
	Attributes, Memo []byte // JSON
	Note, Parent     string
	Result, Failure  []byte // JSON
	Open             []Open
}

// OpenKind says what a run waits for, with the numbers of the schema.
type OpenKind int

// The kinds.
const (
	OpenTimer OpenKind = iota
	OpenRequest
	OpenEvent
	OpenChild
	OpenDelay
	OpenTimeout
)

// Open is something that a run waits for.
type Open struct {
	Kind OpenKind
	Seq  uint64
	Due  int64  // of a timer
	What string // a request's position, a child's ID/number, an event's type
}

func viewRun(v *consensus.View, number uint64) (*run, error) {
	row, err := v.Get(machineName, numberKey(kindRun, number))
	if err != nil {
		return nil, err
	}
	if row == nil {
		return nil, event.Errorf(event.CodeNotFound, "there is no run %d", number)
	}
	return parseRun(number, bytes.Clone(row))
}

// findRun returns the run that is meant: the last one of the id, without a number.
func findRun(v *consensus.View, t target) (*run, error) {
	number := t.number
	if number == 0 {
		row, err := v.Get(machineName, nameKey(kindID, t.id))
		if err != nil {
			return nil, err
		}
		if len(row) != 8 {
			return nil, noRun(t)
		}
		number = second(row)
	}
	r, err := viewRun(v, number)
	if event.CodeOf(err) == event.CodeNotFound || err == nil && string(r.id) != string(t.id) {
		return nil, noRun(t)
	}
	return r, err
}

// stateOf is a run as workers are told.
func stateOf(r *run) workflows.Run {
	return workflows.Run{
		ID: string(r.id), Number: r.number, Type: string(r.typ), Version: r.version,
		Advance: r.advance, Entry: r.read, History: since(r.history, r.pin), Ended: r.status != statusRunning,
		Correlation: string(r.correlated()),
	}
}

// since says of each part of a history where to look for it.
func since(history []workflows.Range, first event.Position) []workflows.Range {
	for i := range history {
		history[i].Since = first
	}
	return history
}

// firstEvent returns the first event of a run's history.
func firstEvent(v *consensus.View, r *run) (event.Recorded, error) {
	got, err := v.Journal().Get(r.pin)
	if err != nil {
		return event.Recorded{}, err
	}
	e, err := event.DecodeEvent(got.Event)
	return event.Recorded{Event: e, Position: got.Position, Revision: got.Revision, Stream: got.Stream, Stamp: time.Unix(0, got.Stamp).UTC()}, err
}

// RunOf returns the run of an id: the last, where number is 0.
func RunOf(v *consensus.View, id string, number uint64) (Run, error) {
	r, err := findRun(v, target{[]byte(id), number})
	if err != nil {
		return Run{}, err
	}
	return shown(r), nil
}

func shown(r *run) Run {
	return Run{
		Run: stateOf(r), Status: statuses[r.status], Paused: r.is(flagPaused), Busy: r.is(flagBusy),
		Started: r.started, Ended: r.ended, Events: r.events, Unread: r.last - r.read, Open: r.open,
		First: r.first, Next: r.next,
	}
}

// DetailsOf returns the rest of what the state has of a run; open says whether what it
// waits for is wanted too.
func DetailsOf(v *consensus.View, number uint64, open bool) (Details, error) {
	row, err := v.Get(machineName, numberKey(kindDetails, number))
	if err != nil {
		return Details{}, err
	}
	d, err := parseDetails(row)
	if err != nil {
		return Details{}, err
	}
	out := Details{Attributes: valuesJSON(d.attributes), Memo: bytes.Clone(d.memo), Note: string(d.note), Parent: string(d.parent)}
	o, err := outcomeOf(v, number)
	if err != nil {
		return Details{}, err
	}
	out.Result, out.Failure = o.result, o.failure
	if open {
		out.Open, err = openOf(v, number)
	}
	return out, err
}

func outcomeOf(v *consensus.View, number uint64) (outcome, error) {
	row, err := v.Get(machineName, numberKey(kindOutcome, number))
	if err != nil {
		return outcome{}, err
	}
	return parseOutcome(bytes.Clone(row))
}

func openOf(v *consensus.View, number uint64) ([]Open, error) {
	var list []Open
	r, err := viewRun(v, number)
	if err != nil || r.status != statusRunning {
		return nil, err
	}
	for _, kind := range [...]byte{kindTimer, kindRequest, kindAwait, kindChild} {
		lo, hi := pairsOf(kind, number)
		it := v.Scan(machineName, lo, hi, false)
		for it.Next() {
			o, err := openRow(v, r, kind, second(it.Key()), it.Value())
			if err != nil {
				it.Close()
				return nil, err
			}
			list = append(list, o)
		}
		it.Close()
		if err := it.Err(); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func openRow(v *consensus.View, r *run, kind byte, seq uint64, row []byte) (Open, error) {
	switch kind {
	case kindTimer:
		due, _, err := parseTimer(row)
		o := Open{Kind: OpenTimer, Seq: seq, Due: due}
		if seq == 0 && r.is(flagDelayed) {
			o.Kind = OpenDelay
		} else if seq == 0 {
			o.Kind = OpenTimeout
		}
		return o, err
	case kindRequest:
		position, _, err := parsePair(row, "request of a run")
		return Open{Kind: OpenRequest, Seq: seq, What: fmt.Sprint(position)}, err
	case kindAwait:
		typ, _, _, ok := splitWaiter(row)
		if !ok {
			return Open{}, errRow
		}
		return Open{Kind: OpenEvent, Seq: seq, What: typ}, nil
	}
	number, _, err := parsePair(row, "child of a run")
	if err != nil {
		return Open{}, err
	}
	child, err := viewRun(v, number)
	if err != nil {
		return Open{}, err
	}
	return Open{Kind: OpenChild, Seq: seq, What: child.name()}, nil
}

// maxEntries and maxEntriesBytes are about how many entries a worker is sent at once. The
// others follow as it consumes them.
const (
	maxEntries      = 2000
	maxEntriesBytes = 4 << 20
)

// entriesOf returns the entries of a run from one on, as many as a worker is sent at once.
func entriesOf(v *consensus.View, number, from uint64) ([]workflows.Entry, error) {
	_, hi := pairsOf(kindEntry, number)
	it := v.Scan(machineName, pairKey(kindEntry, number, from), hi, false)
	defer it.Close()
	var list []workflows.Entry
	for size := 0; len(list) < maxEntries && size < maxEntriesBytes && it.Next(); size += len(it.Value()) {
		e, err := parseEntry(it.Value())
		if err != nil {
			return nil, err
		}
		list = append(list, workflows.Entry{
			Number: second(it.Key()), Kind: string(e.kind), Time: time.Unix(0, e.time).UTC(), Data: bytes.Clone(e.data),
		})
	}
	return list, it.Err()
}

// Definitions yields what workflows are known, as edri.v1.DefineWorkflow, in the order of
// their names. The sequence ends with an error.
func Definitions(v *consensus.View) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		it := v.Scan(machineName, []byte{kindDefinition}, []byte{kindDefinition + 1}, false)
		defer it.Close()
		for it.Next() {
			b := wire.ReadRow(it.Value())
			b.Version(rowVersion)
			message := bytes.Clone(b.Rest())
			if err := b.Done(errRow, "workflow"); !yield(message, err) || err != nil {
				return
			}
		}
		if err := it.Err(); err != nil {
			yield(nil, err)
		}
	}
}
