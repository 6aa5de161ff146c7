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
