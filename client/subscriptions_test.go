package client

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/api/edriv1/edriv1connect"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers"
)

// firstTime makes one call of a procedure end so, and the others be executed.
func (c *fakeCluster) firstTime(v verdict) {
	done := false
	c.with(func() {
		c.router.judgeChange = func(string) verdict {
			if done {
				return execute
			}
			done = true
			return v
		}
	})
}

func fullSubscription() event.Subscription {
	return event.Subscription{
		Name:        "sub",
		Filter:      event.Filter{All: []event.Filter{{Exact: map[string]string{"type": "order.placed"}}, {Not: &event.Filter{Prefix: map[string]string{"source": "/test"}}}}},
		OrderingKey: "/order/id", AckWait: time.Second, MaxDeliver: 3, Backoff: []time.Duration{time.Second, 0},
		MaxInFlight: 4, MaxPending: 5, Priority: -6, DeadLetterStream: "dead", Description: "what it is for", Version: 7,
		MaxHoldAge: time.Hour, MaxHoldBytes: 8 << 20,
	}
}

func TestSubscriptionsTravelWhole(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 1)
	c, ctx := cluster.client(t, Config{}), testContext(t)
	want := fullSubscription()
	made, err := c.CreateSubscription(ctx, want, managers.Start{Position: 9})
	if err != nil || !reflect.DeepEqual(made.Subscription, want) || made.Generation != 1 {
		t.Fatalf("got %+v, %v, want %+v", made, err, want)
	}
	_, err = c.CreateSubscription(ctx, want, managers.Start{})
	wantCode(t, err, event.CodeExists)
	changed := event.Subscription{Name: "sub"}
	if err := c.Subscribe(ctx, changed, managers.Start{First: true}); err != nil {
		t.Errorf("subscribe: %v", err)
	}
	if got, err := c.Subscription(ctx, "sub", Linearizable); err != nil || !reflect.DeepEqual(got.Subscription, changed) {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := c.UpdateSubscription(ctx, want, false); err != nil || !reflect.DeepEqual(got.Subscription, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := c.PauseSubscription(ctx, "sub", "why"); err != nil || !got.Paused || got.Note != "why" {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := c.ResumeSubscription(ctx, "sub"); err != nil || got.Paused || got.Note != "" {
		t.Errorf("got %+v, %v", got, err)
	}
	at := time.Unix(1, 2)
	if got, err := c.SeekSubscription(ctx, "sub", managers.Start{Time: at}); err != nil || got.Generation != 2 {
		t.Errorf("got %+v, %v", got, err)
	}
	if err := c.DeleteSubscription(ctx, "sub"); err != nil {
		t.Errorf("delete: %v", err)
	}
	wantCode(t, c.DeleteSubscription(ctx, "sub"), event.CodeNotFound)
	_, err = c.Subscription(ctx, "sub", Stale)
	wantCode(t, err, event.CodeNotFound)
	_, err = c.CreateSubscription(ctx, event.Subscription{Name: "sub", MaxDeliver: -1}, managers.Start{})
	wantCode(t, err, event.CodeInvalid)

	starts := cluster.router.creates
	if len(starts) != 3 || starts[0].Start.GetPosition() != 9 || !starts[1].Start.GetNow() || !starts[2].Start.GetFirst() ||
		!starts[2].Ensure || starts[1].Ensure || cluster.router.seeks[0].Start.GetTime() != at.UnixNano() {
		t.Errorf("sent %v and %v", starts, cluster.router.seeks)
	}
}

func TestAnswersThatAreLostAreNotMisreported(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 1)
	c, ctx := cluster.client(t, Config{}), testContext(t)
	s := fullSubscription()
	for _, v := range []verdict{dropAfter, loseOutcome} {
		cluster.firstTime(v)
		if _, err := c.CreateSubscription(ctx, s, managers.Start{}); err != nil {
			t.Errorf("create: %v", err)
		}
		cluster.firstTime(v)
		if err := c.DeleteSubscription(ctx, "sub"); err != nil {
			t.Errorf("delete: %v", err)
		}
	}
	// What is there is another's.
	cluster.subscribe("sub", 0)
	cluster.firstTime(dropBefore)
	_, err := c.CreateSubscription(ctx, s, managers.Start{})
	wantCode(t, err, event.CodeExists)
	// Not there is not deleted, where nothing was lost.
	cluster.firstTime(sayUnavailable)
	wantCode(t, c.DeleteSubscription(ctx, "nothing"), event.CodeNotFound)
}

func TestSeekAndRedriveAreNotRepeatedAfterALostAnswer(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 1)
	cluster.subscribe("sub", 0)
	c, ctx := cluster.client(t, Config{}), testContext(t)
	for _, v := range []verdict{dropAfter, dropBefore, loseOutcome} {
		cluster.firstTime(v)
		_, err := c.SeekSubscription(ctx, "sub", managers.Start{First: true})
		wantCode(t, err, event.CodeOutcomeUnknown)
		cluster.firstTime(v)
		_, err = c.Redrive(ctx, "sub", 1)
		wantCode(t, err, event.CodeOutcomeUnknown)
	}
	if seeks, redrives := len(cluster.router.seeks), cluster.router.redrives; seeks != 2 || redrives != 2 {
		t.Errorf("%d seeks and %d redrives were executed, want 2 of each: those whose answer was lost", seeks, redrives)
	}
	for _, v := range []verdict{sayUnavailable, sayOverloaded} {
		cluster.firstTime(v)
		if _, err := c.SeekSubscription(ctx, "sub", managers.Start{First: true}); err != nil {
			t.Errorf("seek after a refusal: %v", err)
		}
		cluster.firstTime(v)
		if n, err := c.Redrive(ctx, "sub", 1, 2); err != nil || n != 2 {
			t.Errorf("redrive after a refusal: %d, %v", n, err)
		}
	}
}

func TestACallThatReachedNobodyIsUnavailable(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 1)
	cluster.nodes[0].stop()
	c := cluster.client(t, Config{GiveUpAfter: 30 * time.Millisecond})
	_, err := c.SeekSubscription(testContext(t), "sub", managers.Start{})
	wantCode(t, err, event.CodeUnavailable)
	_, err = c.PauseSubscription(testContext(t), "sub", "")
	wantCode(t, err, event.CodeUnavailable)
}

func TestListsGoOverPages(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 1)
	want := []string{"a/1", "a/2", "a/3", "a/4", "a/5"}
	for _, name := range append(want, "b") {
		cluster.subscribe(name, 0)
	}
	c, ctx := cluster.client(t, Config{}), testContext(t)
	var got []string
	for s, err := range c.Subscriptions(ctx, "a/", Stale) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, s.Name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	cluster.with(func() {
		s := cluster.router.subscriptions["b"]
		s.dead[3], s.dead[4], s.dead[8] = "three", "four", "eight"
	})
	var dead []DeadLetter
	for d, err := range c.DeadLetters(ctx, "b", Linearizable) {
		if err != nil {
			t.Fatal(err)
		}
		dead = append(dead, d)
	}
	if len(dead) != 3 || dead[0].Position != 3 || dead[0].Event.ID != "1" || dead[1].Event != nil || dead[2].Attempts[0].Reason != "eight" {
		t.Errorf("got %+v", dead)
	}
	for _, err := range c.DeadLetters(ctx, "nothing", Stale) {
		wantCode(t, err, event.CodeNotFound)
	}
	cluster.with(func() {
		cluster.router.subscriptions["b"].config.Config = &edriv1.SubscriptionConfig{Filter: `{"regex":{}}`}
		cluster.router.judgeChange = func(procedure string) verdict {
			if procedure == edriv1connect.SubscriptionsListProcedure {
				return execute
			}
			return sayUnavailable
		}
	})
	for _, err := range c.Subscriptions(ctx, "b", Stale) {
		wantCode(t, err, event.CodeInternal) // a filter of a later version
	}
}
