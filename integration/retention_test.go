package integration

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/integration/cluster"
	"github.com/edri-io/edri/integration/ledger"
	"github.com/edri-io/edri/integration/workload"
)

// Retention goes on while nodes are killed, the leader and others in turn. What is
// left begins at the same position everywhere, is whole, and is all that takes
// space; so it is in a backup, and in a cluster that grows from the restored node.
func TestRetentionUnderKills(t *testing.T) {
	t.Parallel()
	c := start(t, 3, "--segment-bytes", "512KiB")
	ctx := within(t, 2*time.Minute)
	const kept = 500
	setRetention(t, c, "--events", fmt.Sprint(kept))
	w, l := load(t, c, 16)
	for range 2 {
		killed := leader(t, c)
		for _, n := range []*cluster.Node{killed, c.Followers(killed)[0]} {
			before := firstLeft(t, ctx, c)
			must(t, n.Kill())
			must(t, w.WaitFor(ctx, 5000))
			waitUntil(t, ctx, func() bool { return firstLeft(t, ctx, c) > before })
			must(t, n.Start())
			must(t, n.WaitReady(ctx))
		}
	}
	stop(t, w)
	first := waitFirst(t, ctx, c, event.Position(lastPosition(t, c))-kept+1)
	check(t, c, l)
	for _, n := range c.Nodes() {
		// The one that is written, the one that first stands in, and one between.
		waitUntil(t, ctx, func() bool { return len(filesLike(t, n.DataDir, "*.seg")) <= 3 })
		ended(t, n, first-1, first)
	}

	backup := filepath.Join(t.TempDir(), "kept.edri")
	takeBackup(t, c, notLeader(t, c), backup)
	r := prepare(t, 1)
	n := r.Nodes()[0]
	out := edri(t, "", nil, "restore", backup, "--data-dir", n.DataDir, "--node-id", n.Name, "--raft-advertise", n.Raft, "--quiet")
	if out.code != 0 {
		t.Fatalf("restore: exit code %d, %s", out.code, out.stderr)
	}
	must(t, r.StartAll(ctx))
	must(t, r.WaitReady(ctx))
	ended(t, n, first-1, first)
	check(t, r, l)
	for range 2 {
		_, err := r.Join()
		must(t, err)
	}
	again, err := workload.Start(t.Context(), workload.Config{Servers: r.URLs(), Writers: 8, Ledger: l})
	must(t, err)
	waitVoters(t, ctx, r, 3)
	must(t, again.WaitFor(ctx, 1000))
	must(t, n.Kill()) // who was restored is not needed any more
	must(t, again.WaitFor(ctx, 1000))
	must(t, n.Start())
	must(t, r.WaitReady(ctx))
	stop(t, again)
	waitFirst(t, ctx, r, event.Position(lastPosition(t, r))-kept+1)
	check(t, r, l)
}

// A follower was away until all that it lacks was ended: it is brought up by a
// snapshot that begins where the history does.
func TestFollowerComesBackAfterWhatItLacksWasEnded(t *testing.T) {
	t.Parallel()
	c := start(t, 3, "--snapshot-log-bytes", "1MiB", "--trailing-log-bytes", "1MiB", "--segment-bytes", "1MiB")
	ctx := within(t, 2*time.Minute)
	l := ledger.New()
	appendLarge(t, c, l, "before", 5)
	leading := leader(t, c)
	away := c.Followers(leading)[0]
	must(t, away.Kill())
	appendLarge(t, c, l, "meanwhile", 200)
	setRetention(t, c, "--events", "20")
	waitUntil(t, ctx, func() bool { return firstLeft(t, ctx, c) == 186 && truncations(t, leading) > 0 })
	must(t, away.Start())
	must(t, away.WaitReady(ctx))
	check(t, c, l)
	ended(t, away, 6, 186) // it never had that
	must(t, away.Kill())
	must(t, away.Start())
	must(t, away.WaitReady(ctx))
	check(t, c, l)
}

// A reader that is slower than retention is told what it has missed: up to there
// it has seen every event.
func TestSlowTailIsToldOfWhatItMissed(t *testing.T) {
	t.Parallel()
	c := start(t, 3, "--segment-bytes", "1MiB")
	ctx := within(t, time.Minute)
	slow, err := client.New(client.Config{Servers: c.URLs()})
	must(t, err)
	defer slow.Close()
	l := ledger.New()
	appendLarge(t, c, l, "seen", 1)
	tail := slow.OpenTail(ctx, client.Query{From: 1})
	defer tail.Close()
	if !tail.Next() {
		t.Fatalf("no first event: %v", tail.Err())
	}
	const many = 800 // 40 MB, more than what stands between the reader and the journal
	appendLarge(t, c, l, "missed", many)
	setRetention(t, c, "--events", "5")
	waitUntil(t, ctx, func() bool { return firstLeft(t, ctx, c) == many-3 })
	seen := event.Position(1)
	for tail.Next() {
		if seen++; tail.Event().Position != seen {
			t.Fatalf("after position %d comes %d, without an error", seen-1, tail.Event().Position)
		}
	}
	e := (*event.Error)(nil)
	if !errors.As(tail.Err(), &e) || e.Code != event.CodeCompacted || e.First != many-3 {
		t.Fatalf("after position %d the tail ends with %v, want compacted with first %d", seen, tail.Err(), many-3)
	}
	t.Logf("compacted after position %d", seen)
	// It may go on where the history begins now.
	tail = slow.OpenTail(ctx, client.Query{From: e.First})
	defer tail.Close()
	if !tail.Next() || tail.Event().Position != e.First {
		t.Errorf("from %d on: %v, %v", e.First, tail.Event().Position, tail.Err())
	}
}

func setRetention(t *testing.T, c *cluster.Cluster, bounds ...string) {
	t.Helper()
	if out := edri(t, strings.Join(c.URLs(), ","), nil, append([]string{"retention", "set"}, bounds...)...); out.code != 0 {
		t.Fatalf("set retention: exit code %d, %s", out.code, out.stderr)
	}
}

// firstLeft is the first position of the history, as the cluster has agreed on.
func firstLeft(t *testing.T, ctx context.Context, c *cluster.Cluster) event.Position {
	t.Helper()
	asking, err := client.New(client.Config{Servers: c.URLs()})
	must(t, err)
	defer asking.Close()
	r, err := asking.Retention(ctx, client.Linearizable)
	must(t, err)
	return r.First
}

// waitFirst waits until the history begins at a position on every node.
func waitFirst(t *testing.T, ctx context.Context, c *cluster.Cluster, want event.Position) event.Position {
	t.Helper()
	for _, n := range c.Nodes() {
		asking, err := client.New(client.Config{Servers: []string{n.URL()}})
		must(t, err)
		defer asking.Close()
		waitUntil(t, ctx, func() bool {
			r, err := asking.Retention(ctx, client.Stale)
			return err == nil && r.First == want
		})
	}
	return want
}

// ended checks that a node refuses a position that retention has ended.
func ended(t *testing.T, n *cluster.Node, position, first event.Position) {
	t.Helper()
	out := edri(t, n.URL(), nil, "events", "get", fmt.Sprint(position))
	if want := fmt.Sprintf("the journal begins at %d", first); out.code != 1 || !strings.Contains(out.stderr, want) {
		t.Errorf("position %d of %s: exit code %d, %s; want %q", position, n.Name, out.code, out.stderr, want)
	}
}
