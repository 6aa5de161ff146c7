package cron

import (
	"maps"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/router"
)

// template is what the event of a fire is made of.
type template struct {
	stream []byte
	event  []byte // a CloudEvent without id and time
}

// appendAction appends an event. It is an edri.v1.AppendAction.
type appendAction struct{ template }

var _ action = (*appendAction)(nil)

func (a *appendAction) kind() actionKind { return actionAppend }

func (a *appendAction) changes() int { return 1 }

func (a *appendAction) decode(body []byte) error {
	f := fields{rest: body}
	for f.next() {
		a.take(&f)
	}
	return f.err
}

func (a *appendAction) check(*Machine) error {
	return a.template.check(event.KindNotification, nil)
}

func (a *appendAction) do(_ *Machine, tx *consensus.Tx, s *schedule, f fire) (done, error) {
	encoded, err := a.eventOf(string(s.name), f, nil)
	if err != nil {
		return done{}, err
	}
	position, _, err := tx.Append(string(a.stream), event.ExpectAny, encoded)
	return done{position: position}, err
}

// requestAction sends a request. It is an edri.v1.RequestAction.
type requestAction struct {
	template
	timeout int64
}

var _ lasting = (*requestAction)(nil)

// isRequest are the attributes that make an event a request.
var isRequest = map[string]event.Value{event.AttrKind: event.String(event.KindRequest)}

func (a *requestAction) kind() actionKind { return actionRequest }

func (a *requestAction) changes() int { return 1 }

func (a *requestAction) decode(body []byte) error {
	f := fields{rest: body}
	for f.next() {
		if f.number == 3 {
			f.setInt64(&a.timeout)
		} else {
			a.take(&f)
		}
	}
	if a.timeout == 0 {
		a.timeout = int64(defaultTimeout)
	}
	return f.err
}

func (a *requestAction) check(*Machine) error {
	if t := time.Duration(a.timeout); t < minTimeout || t > maxTimeout {
		return invalid("action: timeout %v is not within %v and %v", t, minTimeout, maxTimeout)
	}
	return a.template.check(event.KindRequest, isRequest)
}

func (a *requestAction) do(m *Machine, tx *consensus.Tx, s *schedule, f fire) (done, error) {
	encoded, err := a.eventOf(string(s.name), f, isRequest)
	if err != nil {
		return done{}, err
	}
	position, err := m.requests.SendIn(tx, a.stream, encoded, time.Duration(a.timeout))
	return done{position: position, number: uint64(position)}, err
}

func (a *requestAction) cancel(m *Machine, tx *consensus.Tx, number uint64) error {
	return m.requests.CancelIn(tx, event.Position(number))
}

// RequestEnded implements router.Ender.
func (m *Machine) RequestEnded(tx *consensus.Tx, request event.Position, _ router.RequestEnd) error {
	return m.ended(tx, run{actionRequest, uint64(request)})
}

// take takes the current field of the action's message.
func (t *template) take(f *fields) {
	switch f.number {
	case 1:
		f.setBytes(&t.stream)
	case 2:
		f.setBytes(&t.event)
	default:
		f.unknown()
	}
}

// check holds the template to what an event of a kind may be, which the attributes make it.
func (t *template) check(kind string, attributes map[string]event.Value) error {
	switch {
	case len(t.event) == 0:
		return invalid("action: has no event")
	case len(t.event) > maxActionBytes:
		return event.TooLarge("action: its event in bytes", int64(len(t.event)), maxActionBytes)
	}
	e, err := t.parse()
	if err != nil {
		return err
	}
	if !e.Time.IsZero() {
		return invalid("action: its event has a time; each fire gives it its own")
	}
	if given, ok := e.Extensions[event.AttrKind]; ok && given.String() != kind {
		return invalid("action: %s %q: must be %s", event.AttrKind, given.String(), kind)
	}
	encoded, err := t.eventOf("any", fire{incarnation: 1, kind: kindScheduled, nominal: maxTime}, attributes)
	if err != nil {
		return err
	}
	h, err := event.CheckEncoded(encoded, maxActionBytes)
	if err != nil {
		return err
	}
	stream := t.stream
	if len(stream) == 0 {
		stream = h.DefaultStream()
	}
	return event.CheckName("stream", stream)
}

// Fields of io.cloudevents.v1.CloudEvent.
const (
	fieldID     protowire.Number = 1
	fieldSource protowire.Number = 2
)

// parse returns the template's event, with an id that is none and its source.
func (t *template) parse() (event.Event, error) {
	var given uint64 // bit n: field n
	for b := t.event; len(b) > 0; {
		number, _, n := protowire.ConsumeField(b)
		if n < 0 {
			return event.Event{}, invalid("action: its event is no protobuf message")
		}
		given |= 1 << min(number, 63)
		b = b[n:]
	}
	if given&(1<<fieldID) != 0 {
		return event.Event{}, invalid("action: its event has an id; each fire gives it its own")
	}
	whole := protowire.AppendString(protowire.AppendTag(nil, fieldID, protowire.BytesType), "none")
	if given&(1<<fieldSource) == 0 {
		whole = protowire.AppendString(protowire.AppendTag(whole, fieldSource, protowire.BytesType), defaultSource)
	}
	return event.DecodeEvent(append(whole, t.event...))
}

// eventOf returns the encoded event of a fire, with more attributes.
func (t *template) eventOf(name string, f fire, attributes map[string]event.Value) ([]byte, error) {
	e, err := t.parse()
	if err != nil {
		return nil, err
	}
	e.ID, e.Time = f.id(), time.Unix(0, f.nominal).UTC()
	if e.Extensions == nil {
		e.Extensions = map[string]event.Value{}
	}
	e.Extensions[AttrSchedule] = event.String(name)
	maps.Copy(e.Extensions, attributes)
	return event.AppendEvent(nil, &e), nil
}
