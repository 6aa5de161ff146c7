package client

import (
	"context"
	"maps"
	"time"

	"github.com/google/uuid"

	"github.com/edri-io/edri/api/edriv1/wire"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers"
)

// beginLocked takes a delivery that came at now.
func (m *member) beginLocked(d *delivery, now time.Time) {
	m.credits = max(0, m.credits-1)
	if old := m.held[d.Position]; old != nil {
		// The cluster has given the earlier attempt up.
		m.goneLocked(old, event.Errorf(event.CodeStaleToken, "position %d was delivered again", d.Position))
	}
	d.renewed = now
	d.ctx, d.cancel = context.WithCancelCause(m.base)
	m.held[d.Position] = d
	switch {
	case m.endingLocked():
		m.giveBackLocked(d)
	case m.busy >= m.consumer.Concurrency:
		m.waiting = append(m.waiting, d)
	default:
		m.busy++
		m.handles.Add(1)
		go m.work(d)
	}
}

// work handles a delivery, and then what waits.
func (m *member) work(d *delivery) {
	defer m.handles.Done()
	for d != nil {
		s := m.handle(d)
		effects, err := encodeEffects(d, s)
		d = m.settle(d, s, effects, err)
	}
}

func (m *member) handle(d *delivery) managers.Settlement {
	base := d.ctx
	if m.consumer.Await != nil {
		base = m.consumer.Await(base, d.Delivery)
	}
	m.mu.Lock()
	d.overdue = time.Now().Add(m.consumer.Timeout)
	m.mu.Unlock()
	ctx, cancel := context.WithDeadlineCause(base, d.overdue, errTimeout)
	defer cancel()
	return m.consumer.Handle(ctx, d.Delivery)
}

// effectOps returns what effects append and which keys they change.
func effectOps(effects *managers.Effects) ([]Op, error) {
	ops := make([]Op, 0, len(effects.Appends)+len(effects.Keys)+1)
	for _, a := range effects.Appends {
		e, err := withID(a.Event)
		if err != nil {
			return nil, err
		}
		ops = append(ops, AppendOp(a.Stream, a.Expected, e))
	}
	for _, k := range effects.Keys {
		ops = append(ops, keyChangeOp(k))
	}
	return ops, nil
}

// encodeEffects returns what is committed with an ack, as field ops of a Commit.
func encodeEffects(d *delivery, s managers.Settlement) ([]byte, error) {
	if s.Verb != managers.Ack || len(s.Effects.Appends) == 0 && len(s.Effects.Keys) == 0 && s.Effects.Response == nil {
		return nil, nil
	}
	ops, err := effectOps(&s.Effects)
	if err != nil {
		return nil, err
	}
	if s.Effects.Response != nil {
		e, err := withID(*s.Effects.Response)
		if err != nil {
			return nil, err
		}
		ops = append(ops, respondOp(d.Position, withKind(e, event.KindResponse)))
	}
	return joinOps(ops)
}

// keyChangeOp returns the operation of a handler's change of a key.
func keyChangeOp(k managers.KeyChange) Op {
	bucket := k.Bucket
	if bucket == "" {
		bucket = managers.DefaultBucket
	}
	if k.Delete {
		return DeleteKeyOp(bucket, k.Key, DeleteOptions{Expected: k.Expected})
	}
	return PutKeyOp(bucket, k.Key, k.Value, PutOptions{ContentType: k.ContentType, TTL: k.TTL, Expected: k.Expected})
}

// respondOp returns the operation that answers a request.
func respondOp(request event.Position, e event.Event) Op {
	encoded, err := event.AppendValid(nil, &e)
	if err != nil {
		return Op{err: err}
	}
	return Op{encoded: wire.AppendRespondOp(nil, uint64(request), encoded)}
}

// withID gives the event an id if it has none, so that it may be sent again.
func withID(e event.Event) (event.Event, error) {
	if e.ID != "" {
		return e, nil
	}
	id, err := uuid.NewV7()
	if err != nil {
		return e, event.Errorf(event.CodeInternal, "make an id: %v", err)
	}
	e.ID = id.String()
	return e, nil
}

// withKind returns the event with a kind if it has none.
func withKind(e event.Event, kind string) event.Event {
	if _, ok := e.Extensions[event.AttrKind]; ok {
		return e
	}
	extensions := maps.Clone(e.Extensions)
	if extensions == nil {
		extensions = make(map[string]event.Value, 1)
	}
	extensions[event.AttrKind] = event.String(kind)
	e.Extensions = extensions
	return e
}
