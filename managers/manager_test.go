package managers_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers"
	"github.com/edri-io/edri/managers/managerstest"
)

// order is the data of the tests' events.
type order struct {
	Total int `json:"total"`
}

func placed(id, data string) event.Event {
	return event.Event{ID: id, Source: "/shop", Type: "order.placed", DataContentType: "application/json", Data: []byte(data)}
}

func newManager(t *testing.T, cfg managers.Config) *managers.Manager {
	t.Helper()
	m, err := managers.New("billing", cfg)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// recorder is a cluster that remembers what it was asked for, and consumes nothing.
type recorder struct {
	subscription event.Subscription
	start        managers.Start
	consumer     managers.Consumer
	subscribed   bool
}

func (r *recorder) Subscribe(_ context.Context, s event.Subscription, start managers.Start) error {
	r.subscription, r.start, r.subscribed = s, start, true
	return nil
}

func (r *recorder) Consume(ctx context.Context, _ string, k managers.Consumer) error {
	r.consumer = k
	<-ctx.Done()
	return nil
}

// runOn runs the manager on a recorder, for a moment.
func runOn(t *testing.T, m *managers.Manager) *recorder {
	t.Helper()
	r := &recorder{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.Run(ctx, r); err != nil {
		t.Fatalf("Run: %v", err)
	}
	return r
}

func nothing[T any](context.Context, T) (managers.Effects, error) { return managers.Effects{}, nil }

func TestTheFilterIsDerivedFromTheHandlers(t *testing.T) {
	t.Parallel()
	exact := func(typ string) event.Filter { return event.Filter{Exact: map[string]string{"type": typ}} }
	own := event.Filter{Prefix: map[string]string{"subject": "order/"}}
	for _, test := range []struct {
		own   event.Filter
		types []string
		want  event.Filter
	}{
		{event.Filter{}, []string{"b"}, exact("b")},
		{event.Filter{}, []string{"b", "a"}, event.Filter{Any: []event.Filter{exact("a"), exact("b")}}},
		{own, []string{"b"}, event.Filter{All: []event.Filter{own, exact("b")}}},
	} {
		m := newManager(t, managers.Config{Subscription: event.Subscription{Filter: test.own}})
		for _, typ := range test.types {
			managers.Handle(m, typ, nothing[order])
		}
		got := filterText(t, runOn(t, m).subscription.Filter)
		if want := filterText(t, test.want); got != want {
			t.Errorf("types %v: filter %s, want %s", test.types, got, want)
		}
	}
}

func TestAManagerPassesOnWhatItIsConfiguredTo(t *testing.T) {
	t.Parallel()
	m := newManager(t, managers.Config{
		Subscription: event.Subscription{Name: "other", Version: 3, MaxDeliver: 4},
		Start:        managers.Start{First: true}, Concurrency: 5, Timeout: time.Minute, Grace: time.Second, Member: "me",
	})
	managers.Handle(m, "a", nothing[order])
	r := runOn(t, m)
	s, k := r.subscription, r.consumer
	if s.Name != "other" || s.Version != 3 || s.MaxDeliver != 4 || !r.start.First {
		t.Errorf("subscribed %+v from %+v", s, r.start)
	}
	if k.Version != 3 || k.Concurrency != 5 || k.Timeout != time.Minute || k.Grace != time.Second || k.Member != "me" {
		t.Errorf("consumed as %+v", k)
	}
}

func TestAnExistingSubscriptionIsLeftAsItIs(t *testing.T) {
	t.Parallel()
	m := newManager(t, managers.Config{Existing: true})
	managers.Handle(m, "a", nothing[order])
	if r := runOn(t, m); r.subscribed || r.consumer.Handle == nil {
		t.Errorf("subscribed %v, consumed %v", r.subscribed, r.consumer.Handle != nil)
	}
}

func TestConfigThatIsWrongIsRefused(t *testing.T) {
	t.Parallel()
	for want, cfg := range map[string]managers.Config{
		"concurrency -1": {Concurrency: -1},
		"concurrency 10": {Concurrency: 10_001},
		"timeout":        {Timeout: -1},
		"grace":          {Grace: -1},
		"source":         {Source: "a b"},
		"max_deliver":    {Subscription: event.Subscription{MaxDeliver: -1}},
	} {
		if _, err := managers.New("billing", cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error about %s", err, want)
		}
	}
	if _, err := managers.New("", managers.Config{}); event.CodeOf(err) != event.CodeInvalid {
		t.Errorf("no name: got %v", err)
	}
}

func TestHandlersThatAreWrongAreRefusedByRun(t *testing.T) {
	t.Parallel()
	process := managers.Process{Command: []string{"true"}}
	for want, add := range map[string]func(*managers.Manager){
		"no handler": func(*managers.Manager) {},
		"is missing": func(m *managers.Manager) { managers.Handle(m, "", nothing[order]) },
		"is nil":     func(m *managers.Manager) { managers.Handle[order](m, "a", nil) },
		"two handlers": func(m *managers.Manager) {
			managers.Handle(m, "a", nothing[order])
			managers.Handle(m, "a", nothing[[]byte])
		},
		`"b" has two handlers`: func(m *managers.Manager) {
			m.HandleProcess(process, "b")
			managers.Handle(m, "b", nothing[order])
		},
		`"c" has two handlers`: func(m *managers.Manager) { m.HandleProcess(process, "c", "c") },
		"two processes":        func(m *managers.Manager) { m.HandleProcess(process); m.HandleProcess(process) },
		"without a command":    func(m *managers.Manager) { m.HandleProcess(managers.Process{}) },
	} {
		m := newManager(t, managers.Config{})
		add(m)
		if err := m.Run(t.Context(), &recorder{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error about %s", err, want)
		}
	}
}

func TestRunEndsWhereTryingAgainIsOfNoUse(t *testing.T) {
	t.Parallel()
	m := newManager(t, managers.Config{Existing: true})
	managers.Handle(m, "a", nothing[order])
	if err := m.Run(t.Context(), managerstest.NewCluster()); event.CodeOf(err) != event.CodeNotFound {
		t.Errorf("got %v, want not_found", err)
	}
}

// handled runs a manager on a cluster in memory, in a bubble, until everything waits,
// and returns what came of one event.
func handled(t *testing.T, add func(*managers.Manager), events ...event.Event) *managerstest.Cluster {
	t.Helper()
	cluster := managerstest.NewCluster()
	m := newManager(t, managers.Config{Start: managers.Start{First: true}})
	add(m)
	for _, e := range events {
		if _, err := cluster.Append(t.Context(), "order/1", e); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx, cluster) }()
	synctest.Wait()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	return cluster
}

func TestDataIsDecodedIntoTheHandlersType(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got []any
		handled(t, func(m *managers.Manager) {
			managers.Handle(m, "a", keep[order](&got))
			managers.Handle(m, "b", keep[*order](&got))
			managers.Handle(m, "c", keep[[]byte](&got))
			managers.Handle(m, "d", keep[struct{}](&got))
			managers.Handle(m, "e", keep[map[string]int](&got))
			managers.Handle(m, "f", keep[event.Event](&got))
			managers.Handle(m, "g", keep[event.Recorded](&got))
			managers.Handle(m, "h", keep[managers.Delivery](&got))
		}, typed("a"), typed("b"), typed("c"), typed("d"), typed("e"), typed("f"), typed("g"), typed("h"))
		if len(got) != 8 {
			t.Fatalf("handled %d of 8", len(got))
		}
		if got[0].(order).Total != 7 || got[1].(*order).Total != 7 || string(got[2].([]byte)) != `{"total":7}` ||
			got[4].(map[string]int)["total"] != 7 || got[5].(event.Event).Type != "f" ||
			got[6].(event.Recorded).Position != 7 || got[7].(managers.Delivery).Attempt != 1 {
			t.Errorf("got %+v", got)
		}
	})
}

func typed(typ string) event.Event {
	e := placed("id-"+typ, `{"total":7}`)
	e.Type = typ
	return e
}

func keep[T any](got *[]any) func(context.Context, T) (managers.Effects, error) {
	return func(_ context.Context, data T) (managers.Effects, error) {
		*got = append(*got, data)
		return managers.Effects{}, nil
	}
}

func TestDataThatCannotBeDecodedIsParked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := handled(t, func(m *managers.Manager) { managers.Handle(m, "order.placed", nothing[order]) },
			placed("1", `{"total":"seven"}`), placed("2", ``))
		dead, err := c.Dead(t.Context(), "billing")
		if err != nil || len(dead) != 2 {
			t.Fatalf("dead letters %v, %v", dead, err)
		}
		if got := dead[0].Reasons[0]; !strings.Contains(got, "managers_test.order") || !strings.Contains(got, "total") {
			t.Errorf("reason %q", got)
		}
	})
}

func TestAnEventWithoutHandlerComesAgain(t *testing.T) {
	t.Parallel()
	m := newManager(t, managers.Config{})
	managers.Handle(m, "a", nothing[order])
	s := runOn(t, m).consumer.Handle(t.Context(), managers.Delivery{Recorded: event.Recorded{Event: placed("1", `{}`)}})
	if s.Verb != managers.Nak || !strings.Contains(s.Reason, `no handler of type "order.placed"`) {
		t.Errorf("got %+v", s)
	}
}

// settled returns how a delivery ends that the handler is called with.
func settled(t *testing.T, ctx context.Context, d managers.Delivery, h func(context.Context, []byte) (managers.Effects, error)) managers.Settlement {
	t.Helper()
	m := newManager(t, managers.Config{})
	managers.Handle(m, d.Type, h)
	return runOn(t, m).consumer.Handle(ctx, d)
}

func TestAnErrorSaysHowTheDeliveryEnds(t *testing.T) {
	t.Parallel()
	d := managers.Delivery{Recorded: event.Recorded{Event: placed("1", `{}`)}}
	bad := errors.New("bad")
	late, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the time is over"))
	for name, test := range map[string]struct {
		err  error
		want managers.Settlement
	}{
		"plain":      {bad, managers.Settlement{Verb: managers.Nak, Reason: "bad"}},
		"reject":     {managers.Reject(bad), managers.Settlement{Verb: managers.Park, Reason: "bad"}},
		"reject nil": {managers.Reject(nil), managers.Settlement{Verb: managers.Park, Reason: "the handler gave no reason"}},
		"later":      {managers.RetryAfter(bad, time.Hour), managers.Settlement{Verb: managers.Nak, Reason: "bad", Delay: time.Hour}},
		"before now": {managers.RetryAfter(bad, -1), managers.Settlement{Verb: managers.Nak, Reason: "bad"}},
		"skip":       {managers.ErrSkip, managers.Settlement{Verb: managers.Skip}},
		"cause":      {context.Canceled, managers.Settlement{Verb: managers.Nak, Reason: "context canceled: the time is over"}},
		"long":       {errors.New(strings.Repeat("é", 9<<10)), managers.Settlement{Verb: managers.Nak, Reason: strings.Repeat("é", 4<<10)}},
		"no text":    {errors.New("\xff"), managers.Settlement{Verb: managers.Nak, Reason: "\uFFFD"}},
	} {
		got := settled(t, late, d, func(context.Context, []byte) (managers.Effects, error) {
			return managers.Emit("s", "t", 1), test.err
		})
		if got.Verb != test.want.Verb || got.Reason != test.want.Reason || got.Delay != test.want.Delay || len(got.Effects.Appends) > 0 {
			t.Errorf("%s: got %+v, want %+v", name, got, test.want)
		}
	}
}
