package integration

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/integration/ledger"
)

// A tail that follows all nodes goes on over any of them being killed: nothing is
// left out and nothing comes twice.
func TestTailFollowsOverKilledNodes(t *testing.T) {
	t.Parallel()
	c := start(t, 3)
	ctx := within(t, 2*time.Minute)
	w, l := load(t, c, 8)

	reader, err := client.New(client.Config{Servers: c.URLs()})
	must(t, err)
	defer reader.Close()
	enough := errors.New("followed far enough")
	following, stopFollowing := context.WithCancelCause(ctx)
	followed := make(chan []event.Recorded, 1)
	go func() {
		var events []event.Recorded
		for e, err := range reader.Tail(following, client.Query{From: 1}) {
			if err != nil {
				break // at the end of the context
			}
			events = append(events, e)
			if e.Type == "test.last" {
				stopFollowing(enough)
			}
		}
		followed <- events
	}()

	for _, n := range c.Nodes() {
		must(t, w.WaitFor(ctx, 300))
		must(t, n.Kill())
		must(t, w.WaitFor(ctx, 300))
		must(t, n.Start())
		must(t, n.WaitReady(ctx))
	}
	stop(t, w)
	last := event.Event{ID: "last", Source: "/integration/tail", Type: "test.last"}
	l.Sent(last)
	done, err := reader.Append(ctx, "last", event.ExpectAny, last)
	must(t, err)
	l.Acknowledged(ledger.Key{Source: last.Source, ID: last.ID}, done.Position, done.Revision)

	events := <-followed
	if !errors.Is(context.Cause(following), enough) {
		t.Errorf("the tail ended early: %v", context.Cause(following))
	}
	if report := l.Check(ledger.History{Node: "the tail", Events: events}); !report.OK() {
		t.Errorf("what was followed does not hold:\n%s", report)
	}
	check(t, c, l)
}

// The node that a tail follows stands still. No connection breaks by that.
func TestTailGoesOnWhenItsNodeStandsStill(t *testing.T) {
	t.Parallel()
	c := start(t, 3)
	ctx := within(t, time.Minute)
	leading := leader(t, c)
	still := c.Followers(leading)[0]
	reader, err := client.New(client.Config{Servers: append([]string{still.URL()}, c.URLs()...)})
	must(t, err)
	defer reader.Close()
	writer, err := client.New(client.Config{Servers: []string{leading.URL()}})
	must(t, err)
	defer writer.Close()
	add := func(id string) {
		t.Helper()
		_, err := writer.Append(ctx, "s", event.ExpectAny, event.Event{ID: id, Source: "/integration/tail", Type: "test.written"})
		must(t, err)
	}
	add("before")
	tail := reader.OpenTail(ctx, client.Query{From: 1})
	defer tail.Close()
	if !tail.Next() {
		t.Fatalf("no first event: %v", tail.Err())
	}
	must(t, still.Pause())
	began := time.Now()
	add("meanwhile")
	if !tail.Next() || tail.Event().ID != "meanwhile" {
		t.Fatalf("got %q, %v", tail.Event().ID, tail.Err())
	}
	t.Logf("the tail went on after %v", time.Since(began).Round(time.Millisecond))
	must(t, still.Resume())
	add("after")
	if !tail.Next() || tail.Event().ID != "after" {
		t.Errorf("got %q, %v", tail.Event().ID, tail.Err())
	}
}
