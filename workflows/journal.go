package workflows

import (
	"maps"
	"slices"

	"github.com/edri-io/edri/event"
)

// Match selects events of the journal.
type Match struct {
	Type   string        // exactly
	Filter *event.Filter // nil: all of the type
	// Values are what the event must have, by name: "subject", "source", "stream", an
	// extension's name or a JSON pointer into the data, such as "/order/id".
	Values map[string]string
}

// NextEvent returns a future of the first event that is committed from now on and that
// match selects. One of more than 1 MiB less 4 KiB, in the JSON of CloudEvents, ends the wait
// with an error of type ErrorTooLarge, whose details say where the event is.
func NextEvent(ctx Context, match Match) *Future[event.Recorded] {
	m := ctx.s.m
	m.enterChanging()
	o := m.open(ctx.s, opEvent, match.Type)
	if o.done {
		return &Future[event.Recorded]{o}
	}
	err := event.CheckName("type of an event that is awaited", match.Type)
	if err == nil && match.Filter != nil {
		err = match.Filter.Validate()
	}
	for _, name := range slices.Sorted(maps.Keys(match.Values)) { // for the same error each time
		if err == nil {
			err = event.CheckName("name of a value that is awaited", name)
		}
		if err == nil {
			err = event.CheckText("value that is awaited", match.Values[name], event.MaxNameBytes)
		}
	}
	if err != nil {
		o.resolve(nil, refusal(err))
		return &Future[event.Recorded]{o}
	}
	data := mustMarshal(AwaitRecord{Seq: o.seq, Type: match.Type, Match: match.Values, Filter: match.Filter})
	m.emitOpen(o, KindEventAwaited, data, AwaitEvent{o.seq, match.Type, match.Filter, maps.Clone(match.Values)})
	return &Future[event.Recorded]{o}
}

func (m *machine) applyEvent(in input, r EventReceived) {
	o := m.find(in, r.Seq, opEvent)
	if o == nil {
		return
	}
	if r.Error != nil {
		o.resolve(nil, r.Error)
		return
	}
	e, err := event.DecodeJSON(r.Event)
	if err != nil {
		o.resolve(nil, invalid("event %s: %v", o.name, err))
		return
	}
	o.value = event.Recorded{Event: e, Position: r.Position, Stream: r.Stream}
	o.resolve(nil, nil)
}
