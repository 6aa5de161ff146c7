package managers

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/edri-io/edri/event"
)

// handler executes a delivery. Its error is a verdict, or a reason to try again.
type handler func(context.Context, *Delivery) (Effects, error)

// Handle makes h the manager's handler of events of a type. It is called before Run,
// which returns what was wrong.
//
// The event's data is decoded from JSON into T; what cannot be decoded is parked, as
// trying again would not help. T may also be []byte (the data as it is), struct{} (the
// data is not looked at), event.Event, event.Recorded or Delivery.
//
// What h returns takes effect together with the acknowledgement of the event, or not at
// all. An error or a panic takes no effect, and the event comes again by the backoff of
// the subscription; see Reject, RetryAfter and ErrSkip for other ends. h must return
// soon after its context has ended. It may be called at several times at a time, as
// Config.Concurrency says.
func Handle[T any](m *Manager, typ string, h func(context.Context, T) (Effects, error)) {
	if h == nil {
		m.note(event.Errorf(event.CodeInvalid, "handler of type %q is nil", typ))
		return
	}
	m.add(typ, func(ctx context.Context, d *Delivery) (Effects, error) {
		data, err := decode[T](d)
		if err != nil {
			return Effects{}, Reject(err)
		}
		return h(ctx, data)
	})
}

func decode[T any](d *Delivery) (T, error) {
	var data T
	switch into := any(&data).(type) {
	case *Delivery:
		*into = *d
	case *event.Recorded:
		*into = d.Recorded
	case *event.Event:
		*into = d.Event
	case *[]byte:
		*into = d.Data
	case *struct{}:
	default:
		if err := json.Unmarshal(d.Data, into); err != nil {
			return data, fmt.Errorf("decode data into %T: %w", data, err)
		}
	}
	return data, nil
}

// add makes h the handler of a type.
func (m *Manager) add(typ string, h handler) {
	if m.claim(typ) {
		m.handlers[typ] = h
	}
}

// claim reports whether a type is valid and has no handler yet.
func (m *Manager) claim(typ string) bool {
	if err := event.CheckName("type of a handler", typ); err != nil {
		m.note(err)
		return false
	}
	taken := m.handlers[typ] != nil
	for _, p := range m.processes {
		taken = taken || slices.Contains(p.types, typ)
	}
	if taken {
		m.note(event.Errorf(event.CodeInvalid, "type %q has two handlers", typ))
	}
	return !taken
}

// note keeps the first thing that is wrong with the manager.
func (m *Manager) note(err error) {
	if m.err == nil {
		m.err = err
	}
}

// types returns the types that have a handler, sorted; all: every other has one too.
func (m *Manager) types() (types []string, all bool) {
	types = slices.Collect(maps.Keys(m.handlers))
	for _, p := range m.processes {
		types = append(types, p.types...)
		all = all || len(p.types) == 0
	}
	slices.Sort(types)
	return types, all
}

type deliveryKey struct{}

// DeliveryFrom returns the delivery that a handler was called for: its attempt, its
// effect id, until when a request may be answered. It is nil for a context that is not
// a handler's, and must not be changed.
func DeliveryFrom(ctx context.Context) *Delivery {
	d, _ := ctx.Value(deliveryKey{}).(*Delivery)
	return d
}
