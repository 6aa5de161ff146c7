package integration

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/integration/cluster"
	"github.com/edri-io/edri/workflows"
)

// A worker that stands still for so long has lost its session, and its runs are others'.
const longPause = 12 * time.Second

// flowFaults are what happens to those who take part.
var flowFaults = []struct {
	name string
	do   func(t *testing.T, c *cluster.Cluster, workers []*cluster.Process, random *rand.Rand)
}{
	{"kill the leader", func(t *testing.T, c *cluster.Cluster, _ []*cluster.Process, _ *rand.Rand) {
		must(t, leader(t, c).Kill())
	}},
	{"pause a worker for long", func(t *testing.T, _ *cluster.Cluster, workers []*cluster.Process, random *rand.Rand) {
		w := workers[random.IntN(len(workers))]
		must(t, w.Pause())
		time.Sleep(longPause)
		must(t, w.Resume())
	}},
	{"kill a worker", func(t *testing.T, _ *cluster.Cluster, workers []*cluster.Process, random *rand.Rand) {
		rerun(t, workers[random.IntN(len(workers))])
	}},
	{"kill all nodes", func(t *testing.T, c *cluster.Cluster, _ []*cluster.Process, _ *rand.Rand) {
		must(t, c.KillAll())
	}},
	{"kill the leader and all workers", func(t *testing.T, c *cluster.Cluster, workers []*cluster.Process, _ *rand.Rand) {
		must(t, leader(t, c).Kill())
		for _, w := range workers {
			rerun(t, w)
		}
	}},
	{"kill a follower", func(t *testing.T, c *cluster.Cluster, _ []*cluster.Process, random *rand.Rand) {
		must(t, c.Followers(leader(t, c))[random.IntN(2)].Kill())
	}},
}

// Leader, followers, all nodes and workers are killed at random, and workers stand still
// beyond their sessions. In the end each run has its result and each effect once.
func TestEachRunEndsAndHasItsEffectsOnceWhoeverIsKilled(t *testing.T) {
	t.Parallel()
	rounds, batch := len(flowFaults), 84 // 500 runs
	if soak() {
		rounds = 25
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	c := start(t, 3)
	ctx := within(t, time.Duration(rounds)*25*time.Second)
	api := connect(t, c.URLs()...)
	_, err := api.EnsureBucket(ctx, flowCounts, client.BucketConfig{})
	must(t, err)
	var workers []*cluster.Process
	for i := range 3 {
		workers = append(workers, flowWorker(t, c, fmt.Sprint("w", i), "trial"))
	}
	awaitDefined(t, ctx, api, "trial", 1)
	runs := &trialRuns{api: api, waiter: api.RunWaiter()}
	defer runs.waiter.Close()
	var order []int
	for round := range rounds {
		if len(order) == 0 {
			order = random.Perm(len(flowFaults))
		}
		fault := flowFaults[order[0]]
		order = order[1:]
		t.Logf("round %d: %s", round, fault.name)
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			for range batch {
				runs.start(ctx, t)
				time.Sleep(time.Second / time.Duration(batch)) // beside the fault
			}
		}()
		time.Sleep(time.Duration(random.IntN(500)) * time.Millisecond)
		fault.do(t, c, workers, random)
		time.Sleep(time.Duration(random.IntN(1000)) * time.Millisecond) // without who is gone
		must(t, c.StartAll(ctx))
		must(t, c.WaitReady(ctx))
		<-stopped
	}
	runs.ended.Wait()
	awaitMembers(t, ctx, api, "doubler", len(workers))
	checkEffects(t, ctx, api, runs.ids())
	for _, id := range runs.ids() {
		checkHistory(t, ctx, api, id, len(trialEffects)-1)
	}
	t.Logf("%d runs ended, each with %d effects, no more and no less", runs.n, len(trialEffects))
}

// awaitMembers waits until a subscription has all its members: each finds the leader again
// after what happened to it.
func awaitMembers(t *testing.T, ctx context.Context, api *client.Client, name string, n int) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; {
		s, err := api.Subscription(ctx, name, client.Linearizable)
		must(t, err)
		if s.Members == n {
			return
		}
		if time.Now().After(end) {
			t.Errorf("%d members, want %d: %+v", s.Members, n, s)
			return
		}
		time.Sleep(20 * time.Millisecond) // nothing announces it
	}
}

func awaitDefined(t *testing.T, ctx context.Context, api *client.Client, name string, version uint32) {
	t.Helper()
	for {
		known, err := api.Definitions(ctx)
		must(t, err)
		for _, d := range known {
			if d.Name == name && d.Version >= version {
				return
			}
		}
		time.Sleep(20 * time.Millisecond) // nothing announces it
	}
}

// trialRuns are runs of trial that are under way.
type trialRuns struct {
	api    *client.Client
	waiter *client.RunWaiter
	n      int
	ended  sync.WaitGroup
}

func (r *trialRuns) ids() (ids []string) {
	for n := range r.n {
		ids = append(ids, fmt.Sprint("r", n))
	}
	return ids
}

// start starts the next run; its result is looked at when it has ended.
func (r *trialRuns) start(ctx context.Context, t *testing.T) {
	n := r.n
	r.n++
	r.ended.Go(func() {
		id := client.RunID{ID: fmt.Sprint("r", n)}
		_, _, err := r.api.StartRun(ctx, workflows.Start{ID: id.ID, Type: "trial", Input: []byte(strconv.Itoa(n))})
		if err == nil {
			time.Sleep(time.Duration(n%7) * 100 * time.Millisecond) // before or after it is waited for
			err = r.api.SignalRun(ctx, id, workflows.Signal{Name: "more", Input: []byte("100")})
		}
		if err != nil {
			t.Errorf("start %s: %v", id.ID, err)
			return
		}
		o, err := r.waiter.Wait(ctx, id)
		if err != nil {
			run, _ := r.api.Run(context.WithoutCancel(ctx), id, client.Stale)
			asked, _ := r.api.Subscription(context.WithoutCancel(ctx), "doubler", client.Stale)
			t.Errorf("%s does not end: %v: %+v; its requests: %+v", id.ID, err, run, asked)
			return
		}
		if want := strconv.Itoa(trialResult(n, 100)); o.Status != workflows.Completed || string(o.Result) != want {
			t.Errorf("%s is %s: %s, %v; want %s", id.ID, o.Status, o.Result, o.Err, want)
		}
	})
}

// checkEffects holds what the steps of runs of trial left in the cluster to what they
// should have.
func checkEffects(t *testing.T, ctx context.Context, api *client.Client, ids []string) {
	t.Helper()
	events := map[string]int{}
	for e, err := range api.Read(ctx, client.Query{Type: flowEffect, Consistency: client.Linearizable}) {
		must(t, err)
		of := decoded[effected](t, e.Data)
		of.Run, _, _ = strings.Cut(of.Run, "/") // a child has its parent's ID/number
		events[of.key()]++
	}
	keys := map[string]string{}
	for k, err := range api.Bucket(flowCounts).List(ctx, "", client.KeyReadOptions{}) {
		must(t, err)
		run, _, _ := strings.Cut(k.Key, "/")
		keys[effected{run, k.Key[strings.LastIndexByte(k.Key, '/')+1:]}.key()] = string(k.Value)
	}
	for _, id := range ids {
		for _, what := range trialEffects {
			of := effected{id, what}.key()
			if events[of] != 1 || keys[of] != "1" {
				t.Errorf("%s has %d events, and its key says %q; want 1 and 1", of, events[of], keys[of])
			}
		}
	}
	if want := len(ids) * len(trialEffects); len(events) != want || len(keys) != want {
		t.Errorf("%d effects and %d keys, want %d", len(events), len(keys), want)
	}
}

// checkHistory holds a run's history to a number of completed steps, each once, one end,
// and nothing after it.
func checkHistory(t *testing.T, ctx context.Context, api *client.Client, id string, steps int) {
	t.Helper()
	completed, ends := map[uint64]int{}, 0
	for e, err := range api.Read(ctx, client.Query{Stream: workflows.HistoryStream(id), Consistency: client.Linearizable}) {
		must(t, err)
		if ends > 0 {
			t.Errorf("%s: %s follows its end", id, e.Type)
		}
		switch strings.TrimPrefix(e.Type, workflows.HistoryPrefix) {
		case workflows.KindStepCompleted:
			completed[decoded[struct{ Seq uint64 }](t, e.Data).Seq]++
		case workflows.KindCompleted:
			ends++
		}
	}
	for seq, n := range completed {
		if n != 1 {
			t.Errorf("%s: step %d is completed %d times", id, seq, n)
		}
	}
	if len(completed) != steps || ends != 1 {
		t.Errorf("%s: %d steps and %d ends, want %d and 1", id, len(completed), ends, steps)
	}
}
