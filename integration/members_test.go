package integration

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/integration/cluster"
	"github.com/edri-io/edri/integration/ledger"
	"github.com/edri-io/edri/integration/workload"
)

// membershipPause is the longest that clients may wait for an acknowledgement while
// members come and go.
const membershipPause = 2 * time.Second

// From one node to three, to five, and back to three, among them the first, while
// clients write.
func TestClusterGrowsAndShrinksUnderLoad(t *testing.T) {
	t.Parallel()
	c := start(t, 1)
	ctx := within(t, 2*time.Minute)
	w, l := load(t, c, 8)
	for _, size := range []int{3, 5} {
		for len(c.Nodes()) < size {
			_, err := c.Join()
			must(t, err)
		}
		waitVoters(t, ctx, c, size)
		must(t, w.WaitFor(ctx, 300))
	}
	for range 2 { // n1, which may lead, and n2
		removeFirst(t, ctx, c)
		must(t, w.WaitFor(ctx, 300))
	}
	waitVoters(t, ctx, c, 3)
	stop(t, w)
	check(t, c, l)
	atMost(t, "longest pause of writes", w.LongestPause(), membershipPause)
}

// removeFirst takes the first node out, which must end by itself.
func removeFirst(t *testing.T, ctx context.Context, c *cluster.Cluster) {
	t.Helper()
	gone := c.Nodes()[0]
	if out := edri(t, strings.Join(c.URLs()[1:], ","), nil, "cluster", "remove", gone.Name, "--timeout", "30s"); out.code != 0 {
		t.Fatalf("remove %s: exit code %d, %s", gone.Name, out.code, out.stderr)
	}
	if code, err := gone.WaitExit(ctx); err != nil || code != 14 {
		t.Fatalf("the removed %s: exit code %d, %v; want 14", gone.Name, code, err)
	}
	if log := string(tail(gone.LogPath)); !strings.Contains(log, "was removed from the cluster") {
		t.Errorf("the removed %s does not say why it stops:\n%s", gone.Name, log)
	}
	c.Forget(gone)
}

// waitVoters waits until the cluster has this many voters, and nothing is being
// changed.
func waitVoters(t *testing.T, ctx context.Context, c *cluster.Cluster, want int) {
	t.Helper()
	asking, err := client.New(client.Config{Servers: c.URLs()})
	must(t, err)
	defer asking.Close()
	waitUntil(t, ctx, func() bool {
		for _, url := range c.URLs() {
			s, err := asking.StatusOf(ctx, url)
			if err != nil || !s.Ready || s.Change != nil || len(s.Replacements) > 0 || len(s.Members) != want {
				return false
			}
			for _, m := range s.Members {
				if !m.Voter || m.APIURL == "" {
					return false
				}
			}
		}
		return true
	})
}

func TestAllAddressesChangeAtOnce(t *testing.T) {
	t.Parallel()
	c := start(t, 3)
	ctx := within(t, 2*time.Minute)
	_, err := c.Join()
	must(t, err)
	waitVoters(t, ctx, c, 4)
	w, l := load(t, c, 4)
	must(t, w.WaitFor(ctx, 200))
	stop(t, w)
	must(t, c.KillAll())
	must(t, c.Move(3))
	must(t, c.StartAll(ctx))
	must(t, c.WaitReady(ctx))
	again, err := workload.Start(t.Context(), workload.Config{Servers: c.URLs(), Writers: 4, Ledger: l})
	must(t, err)
	must(t, again.WaitFor(ctx, 200))
	stop(t, again)
	check(t, c, l)
	waitUntil(t, ctx, func() bool { // every node tells where the others are now
		out := edri(t, c.URLs()[3], nil, "cluster", "status", "--output", "json")
		for _, n := range c.Nodes() {
			if strings.Count(out.stdout, n.URL()+"\"") < 4 || strings.Count(out.stdout, n.Raft+"\"") < 4 {
				return false
			}
		}
		return true
	})
}

// The disk of a follower is gone: it is refused, and one command later it comes
// back by itself, while clients write and the leader is killed in between.
func TestWipedNodeIsRefusedThenReplacedUnderLoad(t *testing.T) {
	t.Parallel()
	c := start(t, 3)
	ctx := within(t, 2*time.Minute)
	w, l := load(t, c, 8)
	must(t, w.WaitFor(ctx, 300))
	wiped := c.Followers(leader(t, c))[0]
	must(t, wiped.Kill())
	must(t, os.RemoveAll(wiped.DataDir))
	must(t, wiped.Start())
	if code, err := wiped.WaitExit(ctx); err != nil || code != 1 {
		t.Fatalf("a wiped node: exit code %d, %v; want 1", code, err)
	}
	if log := string(tail(wiped.LogPath)); !strings.Contains(log, "edri cluster replace "+wiped.Name) {
		t.Errorf("the refusal does not name the command:\n%s", log)
	}
	if out := edri(t, strings.Join(c.URLs(), ","), nil, "cluster", "replace", wiped.Name); out.code != 0 {
		t.Fatalf("replace: exit code %d, %s", out.code, out.stderr)
	}
	must(t, wiped.Start())
	waitUntil(t, ctx, func() bool { // it is on its way in, or in
		out := edri(t, strings.Join(c.URLs(), ","), nil, "cluster", "status", "--output", "json")
		return strings.Contains(out.stdout, "replaces") || !strings.Contains(out.stdout, "replacements")
	})
	killed := leader(t, c)
	must(t, killed.Kill())
	must(t, killed.Start()) // of three, the wiped one is gone: without it there is no quorum
	waited, err := w.First(ctx)
	must(t, err)
	t.Logf("first acknowledgement %v after the leader was killed within the replacement", waited.Round(time.Millisecond))
	waitVoters(t, ctx, c, 3)
	must(t, w.WaitFor(ctx, 300))
	stop(t, w)
	check(t, c, l)
}

// Changes that are asked for while another is under way wait for their turn: two
// nodes join, one after the other, and one is removed.
func TestChangesOfMembersWaitForEachOther(t *testing.T) {
	t.Parallel()
	c := start(t, 3)
	ctx := within(t, 2*time.Minute)
	l := ledger.New()
	appendLarge(t, c, l, "before", 300)
	watched, unwatch := context.WithCancel(ctx)
	defer unwatch()
	most := watchJoining(t, watched, c.URLs())
	for range 2 {
		_, err := c.Join()
		must(t, err)
	}
	removeFirst(t, ctx, c)
	waitVoters(t, ctx, c, 4)
	unwatch()
	if n := <-most; n > 1 {
		t.Errorf("%d members were about to become voters at once", n)
	}
	check(t, c, l)
}

// watchJoining tells at the end of its context how many members there were at most
// at a time that did not vote.
func watchJoining(t *testing.T, ctx context.Context, urls []string) <-chan int {
	t.Helper()
	asking, err := client.New(client.Config{Servers: urls})
	must(t, err)
	result := make(chan int, 1)
	go func() {
		defer asking.Close()
		most := 0
		for ctx.Err() == nil {
			for _, url := range urls {
				s, err := asking.StatusOf(ctx, url)
				if err != nil {
					continue
				}
				joining := 0
				for _, m := range s.Members {
					if !m.Voter {
						joining++
					}
				}
				most = max(most, joining)
			}
		}
		result <- most
	}()
	return result
}
