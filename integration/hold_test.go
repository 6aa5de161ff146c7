package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers"
)

// A paused subscription holds retention back. After max_hold retention goes on, one
// event says what is lost, and what came later is delivered.
func TestPausedSubscriptionHoldsRetentionBackNoLongerThanItMay(t *testing.T) {
	t.Parallel()
	c := start(t, 3)
	ctx := within(t, 2*time.Minute)
	api, err := client.New(client.Config{Servers: c.URLs()})
	must(t, err)
	defer api.Close()
	const held = 10
	const hold = 6 * time.Second
	_, err = api.CreateSubscription(ctx, event.Subscription{
		Name: "slow", Filter: event.Filter{Exact: map[string]string{"type": "order"}}, MaxHoldAge: hold,
	}, managers.Start{First: true})
	must(t, err)
	_, err = api.PauseSubscription(ctx, "slow", "on holiday")
	must(t, err)
	var orders []client.Op
	for n := range held {
		orders = append(orders, client.AppendOp("orders", event.ExpectAny, event.Event{ID: fmt.Sprint(n), Source: "/shop", Type: "order"}))
	}
	_, err = api.Commit(ctx, orders...) // of one age
	must(t, err)
	told := tailLosses(ctx, api)
	began := time.Now()
	setRetention(t, c, "--age", "1s")
	for time.Since(began) < hold-2*time.Second {
		if first := firstLeft(t, ctx, c); first != 1 {
			t.Fatalf("the history begins at %d after %v", first, time.Since(began))
		}
		time.Sleep(100 * time.Millisecond)
	}
	waitUntil(t, ctx, func() bool { return firstLeft(t, ctx, c) > held })

	info, err := api.ResumeSubscription(ctx, "slow")
	must(t, err)
	if info.Cursor < held || info.Pending != 0 {
		t.Errorf("cursor %d, %d pending", info.Cursor, info.Pending)
	}
	var lost loss
	select {
	case lost = <-told:
	case <-ctx.Done():
		t.Fatal("no event says what is lost")
	}
	if lost.Subscription != "slow" || lost.From != "1" || lost.To != fmt.Sprint(held) {
		t.Errorf("lost %+v", lost)
	}
	later, err := api.Append(ctx, "orders", event.ExpectAny, event.Event{ID: "later", Source: "/shop", Type: "order"})
	must(t, err)
	consuming, stopConsuming := context.WithCancel(ctx)
	var got event.Position
	err = api.Consume(consuming, "slow", managers.Consumer{Concurrency: 1, Handle: func(_ context.Context, d managers.Delivery) managers.Settlement {
		got = d.Position
		stopConsuming()
		return managers.Settlement{}
	}})
	if stopConsuming(); got != later.Position {
		t.Errorf("delivered %d, want %d; %v", got, later.Position, err)
	}
	select {
	case more := <-told:
		t.Errorf("a second event says that %+v is lost", more)
	default:
	}
}

// loss is the data of an event that says what a subscription lost.
type loss struct{ Subscription, From, To string }

// tailLosses follows the events that say what is lost: retention ends them too.
func tailLosses(ctx context.Context, c *client.Client) <-chan loss {
	told := make(chan loss, 100)
	go func() {
		for e, err := range c.Tail(ctx, client.Query{Type: "edri.subscription.lost"}) {
			var l loss
			if err != nil || json.Unmarshal(e.Data, &l) != nil {
				return // the test ended, or does not find what it waits for
			}
			told <- l
		}
	}()
	return told
}
