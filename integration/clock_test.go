package integration

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/integration/cluster"
	"github.com/edri-io/edri/integration/ledger"
)

// wrongBy is how far the wrong clock is ahead; rightWithin what a stamp may differ
// from this machine's clock, with the way of a request in it.
const (
	wrongBy     = 30 * time.Second
	rightWithin = 2 * time.Second
)

func TestAWrongClockIsAnAlarmAndStampsNothing(t *testing.T) {
	t.Parallel()
	c := prepare(t, 3)
	ctx := within(t, time.Minute)
	wrong := c.Nodes()[2]
	wrong.SetProgram("trial")
	wrong.SetArgs(func(args []string) []string { return append(args, "--trial-clock-ahead", wrongBy.String()) })
	must(t, c.StartAll(ctx))
	must(t, c.WaitReady(ctx))

	// Every node says whose clock it is, the command line and the metrics by how much.
	for _, n := range c.Nodes() {
		waitAlarm(t, ctx, n, "the clock of "+wrong.Name+".")
		s, err := n.Status(ctx)
		must(t, err)
		if len(s.Alarms) != 1 {
			t.Errorf("%s has alarms %q, want the one of %s's clock", n.Name, s.Alarms, wrong.Name)
		}
		clock := metricOf(t, ctx, n, "edri_clock_skew_seconds", wrong.Name+".")
		if clock < (wrongBy-rightWithin).Seconds() || clock > (wrongBy+rightWithin).Seconds() {
			t.Errorf("%s measures %v s of %s's clock, want %v", n.Name, clock, wrong.Name, wrongBy)
		}
		if alarms := metricOf(t, ctx, n, "edri_alarms", ""); alarms != 1 {
			t.Errorf("%s counts %v alarms, want 1", n.Name, alarms)
		}
	}
	status := edri(t, c.URLs()[0], nil, "cluster", "status").stdout
	if !strings.Contains(status, "ALARM: the clock of "+wrong.Name+".") {
		t.Errorf("cluster status does not tell of the clock:\n%s", status)
	}
	t.Logf("edri cluster status:\n%s", status)

	// Whoever leads, events have the time of the majority.
	l := ledger.New()
	expectRightStamp(t, ctx, c, l, "before")
	for range 10 {
		leads := leader(t, c)
		if leads == wrong {
			break
		}
		if code, err := leads.Terminate(ctx); code != 0 || err != nil {
			t.Fatalf("stop %s: exit code %d, %v", leads.Name, code, err)
		}
		must(t, leads.Start())
		must(t, c.WaitReady(ctx))
	}
	if leads := leader(t, c); leads != wrong {
		t.Logf("%s leads, and never %s", leads.Name, wrong.Name)
	}
	expectRightStamp(t, ctx, c, l, "with the wrong clock in the lead")

	// The alarm ends with its reason.
	if code, err := wrong.Terminate(ctx); code != 0 || err != nil {
		t.Fatalf("stop %s: exit code %d, %v", wrong.Name, code, err)
	}
	wrong.SetProgram("edri-server")
	wrong.SetArgs(func(args []string) []string { return args[:len(args)-2] })
	must(t, wrong.Start())
	must(t, c.WaitReady(ctx))
	for _, n := range c.Nodes() {
		waitUntil(t, ctx, func() bool {
			s, err := n.Status(ctx)
			return err == nil && len(s.Alarms) == 0
		})
	}
	check(t, c, l)
}

// expectRightStamp appends an event and compares its stamp with this machine's clock.
func expectRightStamp(t *testing.T, ctx context.Context, c *cluster.Cluster, l *ledger.Ledger, id string) {
	t.Helper()
	cl, err := client.New(client.Config{Servers: c.URLs()})
	must(t, err)
	defer cl.Close()
	e := event.Event{ID: id, Source: "/integration/clock", Type: "test.clock"}
	l.Sent(e)
	before := time.Now()
	done, err := cl.Append(ctx, "clock", event.ExpectAny, e)
	must(t, err)
	l.Acknowledged(ledger.Key{Source: e.Source, ID: e.ID}, done.Position, done.Revision)
	waitUntil(t, ctx, func() bool {
		status, err := cl.Status(ctx)
		if err != nil || status.LastPosition < done.Position {
			return false
		}
		if early, late := before.Add(-rightWithin), time.Now().Add(rightWithin); status.LastStamp.Before(early) || status.LastStamp.After(late) {
			t.Errorf("the stamp of event %q is %v, want %v to %v", id, status.LastStamp, early, late)
		}
		return true
	})
}
