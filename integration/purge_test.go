package integration

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/integration/cluster"
)

// A stream is purged again and again under load, while the leader is killed. On every
// node it begins where it was purged last, also on one that joins and on one that is
// restored from a backup; no other stream lacks anything.
func TestPurgeUnderKills(t *testing.T) {
	t.Parallel()
	c := start(t, 3, "--snapshot-log-bytes", "1MiB", "--trailing-log-bytes", "1MiB", "--segment-bytes", "512KiB")
	ctx := within(t, 2*time.Minute)
	w, _ := load(t, c, 4)
	purging, err := client.New(client.Config{Servers: c.URLs()})
	must(t, err)
	defer purging.Close()
	const stream, batch = "purged", 50
	first := event.Revision(1)
	for round := range 6 {
		for i := range batch {
			_, err := purging.Append(ctx, stream, event.ExpectAny, event.Event{ID: fmt.Sprint(round, "-", i), Source: "/integration/purge", Type: "test.purged"})
			must(t, err)
		}
		killed := leader(t, c)
		if round%2 == 0 {
			must(t, killed.Kill())
		}
		first = event.Revision(round*batch + 30)
		// Whether a purge was executed is not known when the leader dies: it may be repeated.
		waitUntil(t, ctx, func() bool { return purging.PurgeStream(ctx, stream, first) == nil })
		if !killed.Running() {
			must(t, killed.Start())
			must(t, killed.WaitReady(ctx))
		}
	}
	_, err = c.Join()
	must(t, err)
	waitVoters(t, ctx, c, 4)
	must(t, c.KillAll())
	must(t, c.StartAll(ctx))
	must(t, c.WaitReady(ctx))
	must(t, w.WaitFor(ctx, 200))
	done := stop(t, w)
	last := event.Revision(6 * batch)
	for _, n := range c.Nodes() {
		streamSpans(t, ctx, n, stream, first, last)
		if got := written(t, ctx, n); got < done.Acknowledged || got > done.Acknowledged+done.Unknown {
			t.Errorf("%s: %d events of the writers, want %d", n.Name, got, done.Acknowledged)
		}
	}

	backup := filepath.Join(t.TempDir(), "purged.edri")
	takeBackup(t, c, notLeader(t, c), backup)
	r := prepare(t, 1)
	n := r.Nodes()[0]
	out := edri(t, "", nil, "restore", backup, "--data-dir", n.DataDir, "--node-id", n.Name, "--raft-advertise", n.Raft, "--quiet")
	if out.code != 0 {
		t.Fatalf("restore: exit code %d, %s", out.code, out.stderr)
	}
	must(t, r.StartAll(ctx))
	must(t, r.WaitReady(ctx))
	streamSpans(t, ctx, n, stream, first, last)
}

// streamSpans checks that a node's reads of a stream return these revisions and no
// others.
func streamSpans(t *testing.T, ctx context.Context, n *cluster.Node, stream string, first, last event.Revision) {
	t.Helper()
	reading, err := client.New(client.Config{Servers: []string{n.URL()}})
	must(t, err)
	defer reading.Close()
	next := first
	for e, err := range reading.Read(ctx, client.Query{Stream: stream, Consistency: client.Linearizable}) {
		must(t, err)
		if e.Revision != next {
			t.Fatalf("%s: after revision %d of %s comes %d", n.Name, next-1, stream, e.Revision)
		}
		next++
	}
	if next != last+1 {
		t.Errorf("%s: the last revision of %s is %d, want %d", n.Name, stream, next-1, last)
	}
}

// written counts what a node has of the writers.
func written(t *testing.T, ctx context.Context, n *cluster.Node) (count int) {
	t.Helper()
	reading, err := client.New(client.Config{Servers: []string{n.URL()}})
	must(t, err)
	defer reading.Close()
	for _, err := range reading.Read(ctx, client.Query{Source: "/integration/writer", Consistency: client.Linearizable}) {
		must(t, err)
		count++
	}
	return count
}
