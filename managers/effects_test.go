package managers_test

import (
	"context"
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers"
)

func filterText(t *testing.T, f event.Filter) string {
	t.Helper()
	b, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func delivery(extensions map[string]event.Value) managers.Delivery {
	e := placed("o-1", `{"total":7}`)
	e.Extensions = extensions
	return managers.Delivery{
		Recorded:     event.Recorded{Event: e, Position: 42},
		Subscription: "billing", Generation: 3, Attempt: 1,
	}
}

// asked is a delivery that is a request.
func asked() managers.Delivery {
	return delivery(map[string]event.Value{event.AttrKind: event.String(event.KindRequest)})
}

// effectsOf returns the effects of a handler as they are committed.
func effectsOf(t *testing.T, d managers.Delivery, e managers.Effects) managers.Effects {
	t.Helper()
	s := settled(t, t.Context(), d, func(context.Context, []byte) (managers.Effects, error) { return e, nil })
	if s.Verb != managers.Ack {
		t.Fatalf("settled %+v", s)
	}
	return s.Effects
}

func TestEffectsSayWhatTheyCameOf(t *testing.T) {
	t.Parallel()
	e := managers.Emit("bill/1", "bill.made", order{7})
	e.Emit("", "bill.raw", []byte("x"))
	e.Emit("", "bill.empty", nil)
	e.Respond("done")
	got := effectsOf(t, asked(), e)
	text := func(s string) event.Value { return event.String(s) }
	story := map[string]event.Value{"causationid": text("o-1"), "correlationid": text("o-1")}
	want := managers.Effects{Appends: []managers.Append{
		{Stream: "bill/1", Expected: event.ExpectAny, Event: event.Event{
			ID: "3/42/0", Source: "/subscriptions/billing", Type: "bill.made", DataContentType: "application/json",
			Data: []byte(`{"total":7}`), Extensions: story}},
		{Expected: event.ExpectAny, Event: event.Event{
			ID: "3/42/1", Source: "/subscriptions/billing", Type: "bill.raw", DataContentType: "application/octet-stream",
			Data: []byte("x"), Extensions: story}},
		{Expected: event.ExpectAny, Event: event.Event{
			ID: "3/42/2", Source: "/subscriptions/billing", Type: "bill.empty", Extensions: story}},
	}, Response: &event.Event{
		ID: "3/42/response", Source: "/subscriptions/billing", Type: "order.placed.response",
		DataContentType: "application/json", Data: []byte(`"done"`),
		Extensions: map[string]event.Value{"causationid": text("o-1"), "correlationid": text("o-1"), "edrikind": text("response")}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if again := effectsOf(t, asked(), e); !reflect.DeepEqual(again, want) {
		t.Errorf("another attempt has other effects: %+v", again)
	}
	if e.Appends[0].Event.ID != "" || e.Response.ID != "" {
		t.Error("the handler's own effects were changed")
	}
}

func TestEffectsGoOnWithTheStory(t *testing.T) {
	t.Parallel()
	cause := map[string]event.Value{
		"correlationid": event.String("c-9"), "causationid": event.String("other"),
		"traceparent": event.String("00-1-2-01"), "tracestate": event.String("a=b"),
	}
	got := effectsOf(t, delivery(cause), managers.Emit("s", "t", nil)).Appends[0].Event.Extensions
	want := map[string]event.Value{
		"correlationid": event.String("c-9"), "causationid": event.String("o-1"),
		"traceparent": event.String("00-1-2-01"), "tracestate": event.String("a=b"),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}

	e := managers.Emit("s", "t", nil)
	own := map[string]event.Value{
		"correlationid": event.String("mine"), "causationid": event.String("mine"), "traceparent": event.String("00-3-4-01"),
	}
	e.Appends[0].Event.ID, e.Appends[0].Event.Source, e.Appends[0].Event.Extensions = "my-id", "/mine", own
	ours := effectsOf(t, delivery(cause), e).Appends[0].Event
	if ours.ID != "my-id" || ours.Source != "/mine" || !reflect.DeepEqual(ours.Extensions, own) {
		t.Errorf("what the handler had set was changed: %+v", ours)
	}
}

func TestEffectsThatNoClusterTakesAreAFailure(t *testing.T) {
	t.Parallel()
	var late managers.Effects
	late.Emit("s", "t", math.Inf(1))
	response := managers.Effects{Response: &event.Event{Source: "a b"}}
	for want, e := range map[string]managers.Effects{
		"encode data":       late,
		"effect 0: invalid": managers.Emit("s", "", nil),
		"response: invalid": response,
	} {
		s := settled(t, t.Context(), asked(), func(context.Context, []byte) (managers.Effects, error) { return e, nil })
		if s.Verb != managers.Nak || !strings.Contains(s.Reason, want) {
			t.Errorf("got %+v, want a nak about %s", s, want)
		}
	}
}

func TestAProblemIsAResponse(t *testing.T) {
	t.Parallel()
	var e managers.Effects
	e.RespondProblem(404, "no such order", "")
	r := effectsOf(t, asked(), e).Response
	if r.DataContentType != "application/problem+json" || string(r.Data) != `{"status":404,"title":"no such order"}` {
		t.Errorf("got %s of %s", r.Data, r.DataContentType)
	}
}

// Nobody would hear it, and no attempt is better than the first.
func TestAResponseToNoRequestGivesTheEventUp(t *testing.T) {
	t.Parallel()
	e := managers.Emit("s", "t", nil)
	e.Respond("done")
	d := delivery(map[string]event.Value{event.AttrKind: event.String(event.KindNotification)})
	for _, d := range []managers.Delivery{delivery(nil), d} {
		s := settled(t, t.Context(), d, func(context.Context, []byte) (managers.Effects, error) { return e, nil })
		if s.Verb != managers.Park || !strings.Contains(s.Reason, "no request") || len(s.Effects.Appends) > 0 {
			t.Errorf("got %+v, want a park", s)
		}
	}
}

func TestASubscriptionsNameMakesASource(t *testing.T) {
	t.Parallel()
	cfg := managers.Config{Subscription: event.Subscription{Name: "über bill/1"}}
	m := newManager(t, cfg)
	managers.Handle(m, "order.placed", func(context.Context, order) (managers.Effects, error) {
		return managers.Emit("s", "t", nil), nil
	})
	s := runOn(t, m).consumer.Handle(t.Context(), delivery(nil))
	if got, want := s.Effects.Appends[0].Event.Source, "/subscriptions/%C3%BCber%20bill%2F1"; got != want {
		t.Errorf("source %q, want %q", got, want)
	}
}

func TestDeliveryFrom(t *testing.T) {
	t.Parallel()
	if d := managers.DeliveryFrom(t.Context()); d != nil {
		t.Errorf("got %+v of a context that is no handler's", d)
	}
	settled(t, t.Context(), delivery(nil), func(ctx context.Context, _ []byte) (managers.Effects, error) {
		if d := managers.DeliveryFrom(ctx); d.EffectID() != "billing/3/42" || d.Attempt != 1 {
			t.Errorf("got %+v", d)
		}
		return managers.Effects{}, nil
	})
}
