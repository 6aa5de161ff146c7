package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/integration/cluster"
	"github.com/edri-io/edri/managers"
)

// What the members of these tests do: for each event "counted.up" with a number n and
// the lane k it appends one event "counted" to the stream "counts/k", all in the commit
// of the acknowledgement. The effects carry fresh ids, so that nothing but the router
// keeps them from being there twice.
const (
	sourceType   = "counted.up"
	effectType   = "counted"
	subscription = "counter"
	lanes        = 32
)

type counted struct {
	N    int    `json:"n"`
	Lane string `json:"lane"`
	For  string `json:"for"` // the effect id
}

// memberEnv makes the test binary a member: servers, name and how many deliveries it
// takes at a time.
const memberEnv = "EDRI_TEST_MEMBER"

// runMember consumes until it is killed or its input ends.
func runMember(spec string) error {
	var servers []string
	parts := strings.Split(spec, " ")
	servers = strings.Split(parts[0], ",")
	concurrency, err := strconv.Atoi(parts[2])
	if err != nil {
		return err
	}
	c, err := client.New(client.Config{Servers: servers})
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	return c.Consume(ctx, subscription, managers.Consumer{
		Member: parts[1], Concurrency: concurrency,
		Handle: func(_ context.Context, d managers.Delivery) managers.Settlement {
			var in counted
			if err := json.Unmarshal(d.Data, &in); err != nil {
				return managers.Settlement{Verb: managers.Park, Reason: err.Error()}
			}
			in.For = d.EffectID()
			data, err := json.Marshal(in)
			if err != nil {
				return managers.Settlement{Verb: managers.Nak, Reason: err.Error()}
			}
			return managers.Settlement{Effects: managers.Effects{Appends: []managers.Append{{
				Stream: "counts/" + in.Lane, Expected: event.ExpectAny,
				Event: event.Event{ID: fmt.Sprint(rand.Uint64()), Source: "/counter", Type: effectType, Data: data, DataContentType: "application/json"},
			}}}}
		},
	})
}

// process is a member in a process of its own.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
}

func startMember(t *testing.T, c *cluster.Cluster, name string, concurrency int) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %d", memberEnv, strings.Join(c.URLs(), ","), name, concurrency))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	must(t, err)
	must(t, cmd.Start())
	p := &process{cmd: cmd, stdin: stdin}
	t.Cleanup(p.kill)
	return p
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// leave ends the member gracefully.
func (p *process) leave() error {
	_ = p.stdin.Close()
	return p.cmd.Wait()
}

// appendCounted appends events first to last-1, in the order of their numbers in each
// lane, and returns when all are there.
func appendCounted(ctx context.Context, c *client.Client, first, last int) error {
	var wg sync.WaitGroup
	errs := make(chan error, lanes)
	for lane := range lanes {
		wg.Go(func() {
			for n := first + lane; n < last; n += lanes {
				name := strconv.Itoa(lane)
				data, err := json.Marshal(counted{N: n, Lane: name})
				if err == nil {
					_, err = c.Append(ctx, "ups/"+name, event.ExpectAny, event.Event{
						ID: strconv.Itoa(n), Source: "/up", Type: sourceType, Data: data, DataContentType: "application/json",
						Extensions: map[string]event.Value{event.AttrPartitionKey: event.String(name)},
					})
				}
				if err != nil {
					errs <- fmt.Errorf("append %d: %w", n, err)
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	return <-errs
}

// awaitCounted follows the effects until there is one for each number below total, and
// reports what is there twice or out of its lane's order.
func awaitCounted(ctx context.Context, t *testing.T, c *client.Client, total int) {
	t.Helper()
	seen := make(map[int]event.Position, total)
	last := map[string]int{}
	for e, err := range c.Tail(ctx, client.Query{Type: effectType}) {
		if err != nil {
			info, failed := c.Subscription(context.WithoutCancel(ctx), subscription, client.Stale)
			t.Fatalf("%d of %d effects: %v; the subscription is %+v (%v)", len(seen), total, err, info, failed)
		}
		var in counted
		must(t, json.Unmarshal(e.Data, &in))
		if at, ok := seen[in.N]; ok {
			t.Errorf("the effect of %d stands at %d and at %d", in.N, at, e.Position)
		}
		seen[in.N] = e.Position
		if before, ok := last[in.Lane]; ok && before > in.N {
			t.Errorf("in lane %s the effect of %d comes after that of %d", in.Lane, in.N, before)
		}
		last[in.Lane] = in.N
		if len(seen) == total {
			return
		}
	}
}

func subscribeCounter(t *testing.T, ctx context.Context, c *client.Client) {
	t.Helper()
	must(t, c.Subscribe(ctx, event.Subscription{
		Name: subscription, Filter: event.Filter{Exact: map[string]string{"type": sourceType}},
		OrderingKey: event.OrderByPartitionKey, AckWait: 3 * time.Second, MaxDeliver: 100,
		Backoff: []time.Duration{50 * time.Millisecond},
	}, managers.Start{First: true}))
}

// Everything that takes part is killed at random: leader, followers, all nodes, members.
// In the end each event has one effect, in the order of its key.
func TestEachEventHasOneEffectWhoeverIsKilled(t *testing.T) {
	t.Parallel()
	rounds, batch := 6, 400
	if soak() {
		rounds = 100
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	c := start(t, 3)
	ctx := within(t, time.Duration(rounds)*15*time.Second)
	api, err := client.New(client.Config{Servers: c.URLs()})
	must(t, err)
	defer api.Close()
	subscribeCounter(t, ctx, api)
	members := make([]*process, 3)
	for i := range members {
		members[i] = startMember(t, c, fmt.Sprint("m", i), 8)
	}
	total := 0
	for round := range rounds {
		appended := make(chan error, 1)
		go func() { appended <- appendCounted(ctx, api, total, total+batch) }()
		fault := deliveryFaults[(round+random.IntN(2))%len(deliveryFaults)]
		t.Logf("round %d: %s", round, fault.name)
		fault.do(t, c, members, random)
		must(t, c.StartAll(ctx))
		must(t, c.WaitReady(ctx))
		must(t, <-appended)
		total += batch
	}
	awaitCounted(ctx, t, api, total)
	for _, m := range members {
		if err := m.leave(); err != nil {
			t.Errorf("member: %v", err)
		}
	}
	info, err := api.Subscription(ctx, subscription, client.Linearizable)
	must(t, err)
	if info.Pending != 0 || info.Dead != 0 {
		t.Errorf("%d pending and %d dead at the end, want none", info.Pending, info.Dead)
	}
	t.Logf("%d events, %d effects, no more and no less", total, total)
}

var deliveryFaults = []struct {
	name string
	do   func(t *testing.T, c *cluster.Cluster, members []*process, random *rand.Rand)
}{
	{"kill a member", func(t *testing.T, c *cluster.Cluster, members []*process, random *rand.Rand) {
		i := random.IntN(len(members))
		members[i].kill()
		members[i] = startMember(t, c, fmt.Sprint("m", i), 8)
	}},
	{"kill the leader", func(t *testing.T, c *cluster.Cluster, _ []*process, _ *rand.Rand) {
		must(t, leader(t, c).Kill())
	}},
	{"kill all nodes", func(t *testing.T, c *cluster.Cluster, _ []*process, _ *rand.Rand) {
		must(t, c.KillAll())
	}},
	{"kill the leader and all members", func(t *testing.T, c *cluster.Cluster, members []*process, _ *rand.Rand) {
		must(t, leader(t, c).Kill())
		for i := range members {
			members[i].kill()
			members[i] = startMember(t, c, fmt.Sprint("m", i), 8)
		}
	}},
	{"kill a follower", func(t *testing.T, c *cluster.Cluster, _ []*process, random *rand.Rand) {
		must(t, c.Followers(leader(t, c))[random.IntN(2)].Kill())
	}},
	{"stop the leader gracefully", func(t *testing.T, c *cluster.Cluster, _ []*process, _ *rand.Rand) {
		_, err := leader(t, c).Terminate(within(t, 10*time.Second))
		must(t, err)
	}},
}

// A member that was paused beyond its leases comes back when others have done its work:
// what it still sends has no effect.
func TestAPausedMemberIsFenced(t *testing.T) {
	t.Parallel()
	c := start(t, 3)
	ctx := within(t, 2*time.Minute)
	api, err := client.New(client.Config{Servers: c.URLs()})
	must(t, err)
	defer api.Close()
	subscribeCounter(t, ctx, api)
	paused := startMember(t, c, "paused", 16)
	must(t, appendCounted(ctx, api, 0, 2000))
	must(t, paused.cmd.Process.Signal(syscall.SIGSTOP))
	startMember(t, c, "other", 16)
	must(t, appendCounted(ctx, api, 2000, 3000))
	awaitCounted(ctx, t, api, 3000)
	must(t, paused.cmd.Process.Signal(syscall.SIGCONT))
	must(t, appendCounted(ctx, api, 3000, 3500))
	awaitCounted(ctx, t, api, 3500)
	if err := paused.leave(); err != nil {
		t.Errorf("the member that was paused: %v", err)
	}
}
