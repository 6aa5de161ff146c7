package integration

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/integration/cluster"
	"github.com/edri-io/edri/integration/ledger"
	"github.com/edri-io/edri/integration/workload"
)

// slowJoin are settings with which a node that joins needs a snapshot, whose sealed
// segments take it a while to fetch.
var slowJoin = []string{
	"--snapshot-log-bytes", "1MiB", "--trailing-log-bytes", "1MiB", "--segment-bytes", "1MiB", "--catchup-rate", "1MiB",
}

// A leader that dies while a node fetches the history leaves the rest to the next
// one, under load: the node becomes a voter, and the one that it replaces goes.
func TestLeaderIsKilledWhileANodeJoins(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{"joins": nil, "replaces": {"--replace", "n2"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t, 3, slowJoin...)
			ctx := within(t, 2*time.Minute)
			w, l := load(t, c, 4)
			fillAndTruncate(t, ctx, c, l)
			joining, err := c.Join(args...)
			must(t, err)
			killLeaderWithin(t, ctx, c, w, joining)
			want := 4
			if args != nil { // n2 answers: it goes when the other votes
				want = 3
				n2 := c.Nodes()[1]
				if code, err := n2.WaitExit(ctx); err != nil || code != 14 {
					t.Fatalf("the replaced n2: exit code %d, %v; want 14", code, err)
				}
				c.Forget(n2)
			}
			waitVoters(t, ctx, c, want)
			must(t, w.WaitFor(ctx, 200))
			stop(t, w)
			check(t, c, l)
		})
	}
}

// A restored node is alone until others have joined it. It is killed while the first
// of them fetches the history, and who leads then while the second does.
func TestLeaderIsKilledWhileNodesJoinARestoredOne(t *testing.T) {
	t.Parallel()
	c := start(t, 1, slowJoin...)
	ctx := within(t, 2*time.Minute)
	l := ledger.New()
	appendLarge(t, c, l, "before", 100)
	backup := filepath.Join(t.TempDir(), "whole.edri")
	takeBackup(t, c, c.Nodes()[0], backup)

	r := prepare(t, 1, slowJoin...)
	restored := r.Nodes()[0]
	out := edri(t, "", nil, "restore", backup, "--data-dir", restored.DataDir, "--node-id", restored.Name, "--raft-advertise", restored.Raft, "--quiet")
	if out.code != 0 {
		t.Fatalf("restore: exit code %d, %s", out.code, out.stderr)
	}
	must(t, r.StartAll(ctx))
	must(t, r.WaitReady(ctx))
	w, err := workload.Start(t.Context(), workload.Config{Servers: r.URLs(), Writers: 4, Ledger: l})
	must(t, err)
	for _, size := range []int{2, 3} {
		joining, err := r.Join()
		must(t, err)
		killLeaderWithin(t, ctx, r, w, joining)
		waitVoters(t, ctx, r, size)
		must(t, w.WaitFor(ctx, 200))
	}
	must(t, restored.Kill()) // it is not needed any more
	must(t, w.WaitFor(ctx, 200))
	must(t, restored.Start())
	must(t, r.WaitReady(ctx))
	stop(t, w)
	check(t, r, l)
}

// fillAndTruncate makes a history that is not in the leader's Raft log any more.
func fillAndTruncate(t *testing.T, ctx context.Context, c *cluster.Cluster, l *ledger.Ledger) {
	t.Helper()
	appendLarge(t, c, l, "before", 200)
	waitUntil(t, ctx, func() bool { return truncations(t, leader(t, c)) > 0 })
}

// killLeaderWithin kills the leader while a node is on its way in, and starts it
// again.
func killLeaderWithin(t *testing.T, ctx context.Context, c *cluster.Cluster, w *workload.Writers, joining *cluster.Node) {
	t.Helper()
	waitUntil(t, ctx, func() bool { return len(glob(t, joining, "staging", "segments", "*.seg")) >= 1 })
	killed := leader(t, c)
	if !isJoining(t, ctx, c, killed) {
		t.Fatalf("%s is in already: the leader is to be killed before", joining.Name)
	}
	must(t, killed.Kill())
	must(t, killed.Start())
	waited, err := w.First(ctx)
	must(t, err)
	t.Logf("first acknowledgement %v after the leader was killed while %s joined", waited.Round(time.Millisecond), joining.Name)
}

// isJoining reports whether some member does not vote yet, as a node knows.
func isJoining(t *testing.T, ctx context.Context, c *cluster.Cluster, n *cluster.Node) bool {
	t.Helper()
	asking, err := client.New(client.Config{Servers: c.URLs()})
	must(t, err)
	defer asking.Close()
	s, err := asking.StatusOf(ctx, n.URL())
	must(t, err)
	for _, m := range s.Members {
		if !m.Voter {
			return true
		}
	}
	return false
}
