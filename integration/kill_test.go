package integration

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/edri-io/edri/integration/cluster"
	"github.com/edri-io/edri/integration/workload"
)

// underLoad disturbs three nodes while 16 writers append, and then holds the
// histories of all nodes to what was acknowledged.
func underLoad(t *testing.T, patience time.Duration, disturb func(ctx context.Context, c *cluster.Cluster, w *workload.Writers)) {
	t.Helper()
	c := start(t, 3)
	ctx := within(t, patience)
	w, ledger := load(t, c, 16)
	disturb(ctx, c, w)
	stop(t, w)
	check(t, c, ledger)
}

func TestNothingIsLostWhenAFollowerIsKilled(t *testing.T) {
	t.Parallel()
	underLoad(t, 2*time.Minute, func(ctx context.Context, c *cluster.Cluster, w *workload.Writers) {
		must(t, w.WaitFor(ctx, 500))
		victim := c.Followers(leader(t, c))[0]
		must(t, victim.Kill())
		must(t, w.WaitFor(ctx, 500))
		must(t, victim.Start())
		must(t, victim.WaitReady(ctx))
		must(t, w.WaitFor(ctx, 500))
	})
}

func TestNothingIsLostWhenTheLeaderIsKilled(t *testing.T) {
	t.Parallel()
	underLoad(t, 2*time.Minute, func(ctx context.Context, c *cluster.Cluster, w *workload.Writers) {
		for range 2 {
			must(t, w.WaitFor(ctx, 500))
			victim := leader(t, c)
			must(t, victim.Kill())
			waited, err := w.First(ctx)
			must(t, err)
			t.Logf("first acknowledgement %v after the leader was killed", waited.Round(time.Millisecond))
			must(t, w.WaitFor(ctx, 500))
			must(t, victim.Start())
			must(t, victim.WaitReady(ctx))
		}
	})
}

func TestNothingIsLostWhenAllNodesAreKilled(t *testing.T) {
	t.Parallel()
	underLoad(t, 2*time.Minute, func(ctx context.Context, c *cluster.Cluster, w *workload.Writers) {
		for range 2 {
			must(t, w.WaitFor(ctx, 1000))
			must(t, c.KillAll())
			must(t, c.StartAll(ctx))
			must(t, c.WaitReady(ctx))
		}
		must(t, w.WaitFor(ctx, 100))
	})
}

// A seeded campaign of every fault that the harness knows.
func TestNothingIsLostUnderRandomFaults(t *testing.T) {
	t.Parallel()
	rounds := 4
	if soak() {
		rounds = 150
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	underLoad(t, time.Duration(rounds)*20*time.Second, func(ctx context.Context, c *cluster.Cluster, w *workload.Writers) {
		for round := range rounds {
			must(t, w.WaitFor(ctx, 100+random.IntN(400)))
			fault := faults[random.IntN(len(faults))]
			t.Logf("round %d: %s", round, fault.name)
			fault.do(t, c, random)
			ctx := within(t, 30*time.Second)
			must(t, c.StartAll(ctx))
			must(t, c.WaitReady(ctx))
		}
		must(t, w.WaitFor(ctx, 100))
	})
}

// Each leaves nobody paused, and may leave nodes dead.
var faults = []struct {
	name string
	do   func(t *testing.T, c *cluster.Cluster, random *rand.Rand)
}{
	{"kill the leader", func(t *testing.T, c *cluster.Cluster, _ *rand.Rand) {
		must(t, leader(t, c).Kill())
	}},
	{"kill a follower", func(t *testing.T, c *cluster.Cluster, random *rand.Rand) {
		must(t, c.Followers(leader(t, c))[random.IntN(2)].Kill())
	}},
	{"kill two nodes", func(t *testing.T, c *cluster.Cluster, random *rand.Rand) {
		spared := random.IntN(3)
		for i, n := range c.Nodes() {
			if i != spared {
				must(t, n.Kill())
			}
		}
	}},
	{"kill all nodes", func(t *testing.T, c *cluster.Cluster, _ *rand.Rand) {
		must(t, c.KillAll())
	}},
	{"pause the leader until another leads", func(t *testing.T, c *cluster.Cluster, _ *rand.Rand) {
		paused := leader(t, c)
		must(t, paused.Pause())
		leader(t, c)
		must(t, paused.Resume())
	}},
	{"stop the leader gracefully", func(t *testing.T, c *cluster.Cluster, _ *rand.Rand) {
		_, err := leader(t, c).Terminate(within(t, 10*time.Second))
		must(t, err)
	}},
}
