package managers

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"

	"github.com/edri-io/edri/event"
)

const (
	contentJSON    = "application/json"
	contentProblem = "application/problem+json"
	contentBytes   = "application/octet-stream"
)

// Emit returns effects that append one event, see Effects.Emit.
func Emit(stream, typ string, data any) Effects {
	var e Effects
	e.Emit(stream, typ, data)
	return e
}

// Emit appends an event to a stream, whatever is there: data as JSON, or as it is if it
// is a []byte; none if it is nil. The manager gives the event an id that is the same
// for every attempt, a source, and the ids of the story that it belongs to. Append to
// Appends for more say.
func (e *Effects) Emit(stream, typ string, data any) {
	made := e.newEvent(typ, data)
	e.Appends = append(e.Appends, Append{Stream: stream, Expected: event.ExpectAny, Event: made})
}

// Respond answers the event, which is a request, with data as in Emit. The response's
// type is that of the request with ".response" behind it. A response to an event that is
// none gives that up, and nothing of the effects takes place.
func (e *Effects) Respond(data any) {
	made := e.newEvent("", data)
	e.Response = &made
}

// RespondProblem answers the event, which is a request, with a problem of RFC 9457
// instead of what it asks for.
func (e *Effects) RespondProblem(status int, title, detail string) {
	e.Respond(struct {
		Status int    `json:"status"`
		Title  string `json:"title"`
		Detail string `json:"detail,omitempty"`
	}{status, title, detail})
	e.Response.DataContentType = contentProblem
}

// Err returns why Emit, Respond or Put could not encode what they were given; nil: they
// could. Whoever takes effects from a user's code asks, so that the code need not.
func (e *Effects) Err() error { return e.err }

// newEvent makes an event; what is wrong with its data is told when the effects are
// taken, so that handlers need not look after each.
func (e *Effects) newEvent(typ string, data any) event.Event {
	made := event.Event{Type: typ}
	switch data := data.(type) {
	case nil:
	case []byte:
		made.Data, made.DataContentType = data, contentBytes
	default:
		encoded, err := json.Marshal(data)
		if err != nil && e.err == nil {
			e.err = fmt.Errorf("encode data of an effect: %w", err)
		}
		made.Data, made.DataContentType = encoded, contentJSON
	}
	return made
}

// origin gives what a delivery's effects have in common.
type origin struct {
	source   string
	delivery *Delivery
}

// id is the id of the delivery's effect with this index: the same for every attempt,
// and no other delivery's, since a generation is that of one subscription.
func (o origin) id(index string) string {
	return fmt.Sprintf("%d/%d/%s", o.delivery.Generation, o.delivery.Position, index)
}

const responseIndex = "response"

// errNoRequest gives an event up to which a handler responds and that is no request: the
// response would be lost, and another attempt would make it again.
var errNoRequest = Reject(errors.New("the handler responds, and the event is no request"))

// complete returns the effects with what their events lack, or an error if one of them
// would be refused by any cluster. The handler's own are not changed.
func (o origin) complete(e Effects) (Effects, error) {
	if e.err != nil {
		return Effects{}, e.err
	}
	if e.Response != nil && !o.delivery.isRequest() {
		return Effects{}, errNoRequest
	}
	var done Effects
	if len(e.Appends) > 0 {
		done.Appends = make([]Append, len(e.Appends))
	}
	for i, a := range e.Appends {
		o.fill(&a.Event, strconv.Itoa(i))
		if err := a.Event.Validate(); err != nil {
			return Effects{}, fmt.Errorf("effect %d: %w", i, err)
		}
		done.Appends[i] = a
	}
	for i, k := range e.Keys {
		if k.Key == "" {
			return Effects{}, event.Errorf(event.CodeInvalid, "key of change %d: is missing", i)
		}
	}
	done.Keys = e.Keys
	if e.Response != nil {
		r := *e.Response
		if r.Type == "" {
			r.Type = o.responseType()
		}
		o.fill(&r, responseIndex)
		setDefault(&r, event.AttrKind, event.String(event.KindResponse))
		if err := r.Validate(); err != nil {
			return Effects{}, fmt.Errorf("response: %w", err)
		}
		done.Response = &r
	}
	return done, nil
}

func (o origin) responseType() string { return o.delivery.Type + ".response" }

// fill gives an event an id and a source, and says what it came of.
func (o origin) fill(e *event.Event, index string) {
	if e.ID == "" {
		e.ID = o.id(index)
	}
	if e.Source == "" {
		e.Source = o.source
	}
	e.Extensions = maps.Clone(e.Extensions)
	cause := o.delivery.Extensions
	correlation, ok := cause[event.AttrCorrelation]
	if !ok {
		correlation = event.String(o.delivery.ID)
	}
	setDefault(e, event.AttrCorrelation, correlation)
	setDefault(e, event.AttrCausation, event.String(o.delivery.ID))
	if _, own := e.Extensions[event.AttrTraceParent]; own {
		return // and the handler's trace has its own state, or none
	}
	for _, name := range []string{event.AttrTraceParent, event.AttrTraceState} {
		if v, ok := cause[name]; ok {
			setDefault(e, name, v)
		}
	}
}

func setDefault(e *event.Event, name string, v event.Value) {
	if _, ok := e.Extensions[name]; ok {
		return
	}
	if e.Extensions == nil {
		e.Extensions = make(map[string]event.Value, 4)
	}
	e.Extensions[name] = v
}
