package integration

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers"
)

// A member that knows a follower alone is served by the leader, through it, and goes on
// when another node leads.
func TestAMemberOfAFollowerOutlivesTheLeader(t *testing.T) {
	t.Parallel()
	c := start(t, 3)
	ctx := within(t, time.Minute)
	leads := leader(t, c)
	follower := c.Followers(leads)[0]
	api := connect(t, c.URLs()...)
	must(t, api.Subscribe(ctx, event.Subscription{
		Name: "asked", Filter: event.Filter{Exact: map[string]string{"type": "asked"}}, OrderingKey: event.OrderBySubject,
	}, managers.Start{First: true}))
	at := connect(t, follower.URL())
	consuming, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		ended <- at.Consume(consuming, "asked", managers.Consumer{Member: "at " + follower.Name, Concurrency: 4,
			Handle: func(_ context.Context, d managers.Delivery) managers.Settlement {
				return managers.Settlement{Effects: managers.Effects{Appends: []managers.Append{{
					Stream: "answered", Expected: event.ExpectAny,
					Event: event.Event{ID: fmt.Sprint(d.EffectID(), "/", d.Attempt), Source: "/test", Type: "answered", Data: d.Data},
				}}}}
			}})
	}()
	const batch = 200
	for n := range 2 * batch {
		if n == batch {
			must(t, leads.Kill())
		}
		appendTask(t, ctx, api, "asked", strconv.Itoa(n%8), task{N: n})
	}
	order := awaitOnce(t, ctx, api, "answered", sequence(0, 2*batch-1)...)
	last := map[int]int{}
	for _, n := range order {
		if before, ok := last[n%8]; ok && before > n {
			t.Errorf("of one key %d came before %d", before, n)
		}
		last[n%8] = n
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("consume: %v", err)
	}
}

// Who asked is killed, and the leader too: whoever attaches, at whatever node, gets the
// response.
func TestARequestOutlivesWhoAskedAndTheLeader(t *testing.T) {
	t.Parallel()
	c := start(t, 3)
	ctx := within(t, time.Minute)
	servers := strings.Join(c.URLs(), ",")
	api := connect(t, c.URLs()...)
	if got := edri(t, servers, nil, "request", "call", "--type", "price", "--data", `{"n":1}`); got.code == 0 || !strings.Contains(got.stderr, "no_responder") {
		t.Errorf("a call without a subscription: exit code %d, %s", got.code, got.stderr)
	}
	subscribeType(t, ctx, api, event.Subscription{Name: "price"})
	caller := exec.Command(filepath.Join(binaries, "edri"), "request", "call", "--type", "price", "--data", `{"n":2}`, "--within", "50s")
	caller.Env = append(os.Environ(), "EDRI_URL="+servers)
	must(t, caller.Start())
	var request event.Position
	for e, err := range api.Tail(ctx, client.Query{Type: "price"}) {
		must(t, err)
		request = e.Position
		break
	}
	must(t, caller.Process.Kill())
	_ = caller.Wait() // it was killed
	leads := leader(t, c)
	others := c.Followers(leads)
	must(t, leads.Kill())

	outcome, err := connect(t, others[0].URL()).RequestOutcome(ctx, request)
	if err != nil || outcome.State != client.RequestOpen {
		t.Errorf("before it is answered: %+v, %v", outcome, err)
	}
	consuming, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		ended <- api.Consume(consuming, "price", managers.Consumer{Handle: func(_ context.Context, d managers.Delivery) managers.Settlement {
			return managers.Settlement{Effects: managers.Effects{Response: &event.Event{
				ID: d.EffectID(), Source: "/test", Type: "price.response", Data: []byte("42"), DataContentType: "application/json",
			}}}
		}})
	}()
	for _, n := range others {
		response, err := connect(t, n.URL()).Attach(ctx, request)
		if err != nil || string(response.Data) != "42" {
			t.Errorf("attached at %s: %s, %v", n.Name, response.Data, err)
		}
	}
	if got := edri(t, others[1].URL(), nil, "request", "attach", fmt.Sprint(request)); got.code != 0 || strings.TrimSpace(got.stdout) != "42" {
		t.Errorf("edri request attach: exit code %d, %q, %s", got.code, got.stdout, got.stderr)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("consume: %v", err)
	}
}

// versioned is a configuration file with a version of a worker's definition.
const versioned = `workers:
  - name: rolling
    filter: {any: [%s]}
    ordering-key: subject
    version: %d
    command: [%q]
    env: ["` + workerEnv + `=%s"]
`

// Node by node the file gets a newer version of a worker, which selects more. Members of
// the older one leave; each event is handled once, those of the new type included.
func TestANewerVersionOfAWorkerTakesOver(t *testing.T) {
	t.Parallel()
	pids, path := t.TempDir(), filepath.Join(t.TempDir(), "workers.yaml")
	program, err := filepath.Abs(os.Args[0])
	must(t, err)
	define := func(version int, types ...string) {
		var filter []string
		for _, typ := range types {
			filter = append(filter, fmt.Sprintf("{exact: {type: %s}}", typ))
		}
		must(t, os.WriteFile(path, fmt.Appendf(nil, versioned, strings.Join(filter, ", "), version, program, pids), 0o600))
	}
	define(1, "old")
	c := start(t, 3, "--config", path)
	ctx := within(t, time.Minute)
	api := connect(t, c.URLs()...)
	waitSubscription(t, ctx, api, "rolling", func(s client.SubscriptionInfo) bool { return s.Version == 1 && s.Members == 3 })
	next := 0
	appendSome := func(typ string) {
		for range 20 {
			appendTask(t, ctx, api, typ, strconv.Itoa(next%4), task{N: next})
			next++
		}
	}
	appendSome("old")
	define(2, "old", "new")
	for i, n := range c.Nodes() {
		restart(t, ctx, n)
		// The others' members are superseded: they are told, and leave.
		waitSubscription(t, ctx, api, "rolling", func(s client.SubscriptionInfo) bool { return s.Version == 2 && s.Members == i+1 })
		appendSome("old")
		appendSome("new")
	}
	awaitOnce(t, ctx, api, "tasks", sequence(0, next-1)...)
	waitLogged(t, ctx, c.Nodes()[2], "a newer version of the manager runs elsewhere")
}

// waitSubscription waits until a subscription is as it should be, as the leader says.
func waitSubscription(t *testing.T, ctx context.Context, c *client.Client, name string, holds func(client.SubscriptionInfo) bool) {
	t.Helper()
	var info client.SubscriptionInfo
	var err error
	defer func() {
		if t.Failed() {
			t.Logf("the subscription is %+v, %v", info, err)
		}
	}()
	waitUntil(t, ctx, func() bool {
		info, err = c.Subscription(ctx, name, client.Linearizable)
		return err == nil && holds(info)
	})
}
