package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/integration/cluster"
	"github.com/edri-io/edri/managers"
)

const workersConfig = `workers:
  - {name: tasks, command: [%q], env: ["` + workerEnv + `=%s"], instances: 2, timeout: 2s}
  - {name: poison, command: [%q], env: ["` + workerEnv + `=%s"], timeout: 2s}
`

// startWithWorkers starts nodes that run the worker of runWorker for two subscriptions,
// and returns the folder with the ids of its processes.
func startWithWorkers(t *testing.T, nodes int) (c *cluster.Cluster, api *client.Client, pids string) {
	t.Helper()
	pids = t.TempDir()
	path := filepath.Join(t.TempDir(), "workers.yaml")
	program, err := filepath.Abs(os.Args[0])
	must(t, err)
	must(t, os.WriteFile(path, fmt.Appendf(nil, workersConfig, program, pids, program, pids), 0o600))
	c = start(t, nodes, "--config", path)
	api = connect(t, c.URLs()...)
	return c, api, pids
}

func connect(t *testing.T, servers ...string) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{Servers: servers})
	must(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// subscribeType makes a subscription of a type that is its name, with a little patience.
func subscribeType(t *testing.T, ctx context.Context, c *client.Client, s event.Subscription) {
	t.Helper()
	s.Filter = event.Filter{Exact: map[string]string{"type": s.Name}}
	s.Backoff = []time.Duration{50 * time.Millisecond}
	must(t, c.Subscribe(ctx, s, managers.Start{First: true}))
}

func appendTask(t *testing.T, ctx context.Context, c *client.Client, typ, subject string, data any) event.Position {
	t.Helper()
	encoded, err := json.Marshal(data)
	must(t, err)
	a, err := c.Append(ctx, "", event.ExpectAny, event.Event{
		ID: string(encoded) + subject, Source: "/" + typ, Type: typ, Subject: subject, Data: encoded, DataContentType: "application/json",
	})
	must(t, err)
	return a.Position
}

// awaitOnce follows a stream until it has an event for each number, and reports those
// that are there twice. It returns the numbers in their order.
func awaitOnce(t *testing.T, ctx context.Context, c *client.Client, stream string, numbers ...int) (order []int) {
	t.Helper()
	for e, err := range c.Tail(ctx, client.Query{Stream: stream}) {
		if err != nil {
			t.Fatalf("%v of %v in %q: %v", order, numbers, stream, err)
		}
		var done struct {
			N int `json:"n"`
		}
		must(t, json.Unmarshal(e.Data, &done))
		if slices.Contains(order, done.N) || !slices.Contains(numbers, done.N) {
			t.Errorf("%d is there twice or should not be", done.N)
		}
		if order = append(order, done.N); len(order) >= len(numbers) {
			break
		}
	}
	return order
}

func sequence(first, last int) (list []int) {
	for n := first; n <= last; n++ {
		list = append(list, n)
	}
	return list
}

// Whatever a worker of the configuration file does, and however often it is killed, the
// node lives on and each event takes effect once; at the node's end no process is left.
func TestANodeOutlivesItsWorkers(t *testing.T) {
	t.Parallel()
	c, api, pids := startWithWorkers(t, 1)
	ctx := within(t, time.Minute)
	node := c.Nodes()[0]
	subscribeType(t, ctx, api, event.Subscription{Name: "tasks", MaxDeliver: 100})
	subscribeType(t, ctx, api, event.Subscription{Name: "poison", MaxDeliver: 5, OrderingKey: event.OrderBySubject})
	bad := []string{doGarbage, doFlood, doChatter, doHang, doFork, doExit, ""}
	const tasks = 70
	for n := range tasks {
		times := 0
		if n < len(bad) {
			times = 1 // each would cost its time again
		}
		appendTask(t, ctx, api, "tasks", strconv.Itoa(n), task{N: n, Do: bad[n%len(bad)], Times: times})
	}
	for range 4 {
		killSome(t, ctx, pids)
	}
	awaitOnce(t, ctx, api, "tasks", sequence(0, tasks-1)...)

	// One that always ends its process is given up, with a reason for each attempt, and
	// holds up nothing but its key, nor takes along what its process has beside it.
	const last = 140
	var poison event.Position
	for n := 100; n <= last; n++ {
		if n == 110 {
			poison = appendTask(t, ctx, api, "poison", "a", task{N: n, Do: doExit, Times: 100})
			appendTask(t, ctx, api, "poison", "a", task{N: n + 1})
			n++
			continue
		}
		appendTask(t, ctx, api, "poison", strconv.Itoa(n), task{N: n, Do: doTakeTime, Times: 100})
	}
	done := slices.Concat(sequence(0, tasks-1), sequence(100, 109), sequence(111, last))
	if got := awaitOnce(t, ctx, api, "tasks", done...); len(got) != len(done) {
		t.Errorf("%d tasks are done", len(got))
	}
	expectDead(t, ctx, api, "poison", poison, 5, "exit status 3")

	if n := len(living(t, pids)); n == 0 {
		t.Error("no process of the workers is found while the node lives")
	}
	if code, err := node.Terminate(ctx); code != 0 || err != nil {
		t.Fatalf("stop: exit code %d, %v", code, err)
	}
	waitUntil(t, ctx, func() bool { return len(living(t, pids)) == 0 })
}

// A killed node takes its workers with it.
func TestNoWorkerOutlivesAKilledNode(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("only Linux kills them")
	}
	c, api, pids := startWithWorkers(t, 1)
	ctx := within(t, 30*time.Second)
	subscribeType(t, ctx, api, event.Subscription{Name: "tasks"})
	subscribeType(t, ctx, api, event.Subscription{Name: "poison"})
	waitUntil(t, ctx, func() bool { return len(living(t, pids)) == 3 })
	must(t, c.Nodes()[0].Kill())
	waitUntil(t, ctx, func() bool { return len(living(t, pids)) == 0 })
}

// killSome kills the workers that live, once there are any, and waits until others do.
func killSome(t *testing.T, ctx context.Context, pids string) {
	t.Helper()
	var killed []int
	waitUntil(t, ctx, func() bool { killed = living(t, pids); return len(killed) > 0 })
	for _, pid := range killed {
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may be gone
	}
	waitUntil(t, ctx, func() bool {
		return slices.ContainsFunc(living(t, pids), func(pid int) bool { return !slices.Contains(killed, pid) })
	})
}

// expectDead waits for the only dead letter of a subscription, which has a reason for
// each attempt; of these some tell what happened.
func expectDead(t *testing.T, ctx context.Context, c *client.Client, name string, position event.Position, attempts int, reason string) {
	t.Helper()
	var dead []client.DeadLetter
	waitUntil(t, ctx, func() bool {
		dead = nil
		for d, err := range c.DeadLetters(ctx, name, client.Linearizable) {
			must(t, err)
			dead = append(dead, d)
		}
		return len(dead) > 0
	})
	if len(dead) != 1 || dead[0].Position != position || len(dead[0].Attempts) != attempts {
		t.Fatalf("dead letters %+v, want the one at %d after %d attempts", dead, position, attempts)
	}
	for i, a := range dead[0].Attempts {
		t.Logf("attempt %d: %s", i+1, a.Reason)
		if !strings.Contains(a.Reason, reason) {
			t.Errorf("attempt %d: reason %q does not tell %q", i+1, a.Reason, reason)
		}
	}
}

// An event whose handler ends the node in which it runs is given up all the same, on one
// node and on three, and holds up nothing but its key.
func TestAnEventThatKillsItsNodeIsGivenUp(t *testing.T) {
	t.Parallel()
	for _, nodes := range []int{1, 3} {
		t.Run(fmt.Sprint(nodes, " nodes"), func(t *testing.T) {
			t.Parallel()
			c := prepare(t, nodes, "--trial-deadly")
			ctx := within(t, time.Minute)
			for _, n := range c.Nodes() {
				n.SetProgram("trial")
			}
			must(t, c.StartAll(ctx))
			must(t, c.WaitReady(ctx))
			api := connect(t, c.URLs()...)
			order := func(n int, subject string, die bool) event.Position {
				return appendTask(t, ctx, api, "deadly.asked", subject, map[string]any{"n": n, "die": die})
			}
			order(1, "before", false)
			awaitOnce(t, ctx, api, "survived", 1)

			// The nodes are started again whenever they end, as by a service manager.
			nursing, stop := context.WithCancel(ctx)
			nursed := make(chan int, 1)
			go func() { nursed <- nurse(t, nursing, c) }()
			poison := order(2, "key", true)
			order(3, "key", false)
			const others = 9 // each of a key of its own, and some always beside the one that kills
			for n := 4; n <= others; n++ {
				order(n, strconv.Itoa(n), false)
			}
			awaitOnce(t, ctx, api, "survived", slices.Concat([]int{1}, sequence(3, others))...)
			expectDead(t, ctx, api, "deadly", poison, 3, "")
			stop()
			if deaths := <-nursed; deaths < 3 {
				t.Errorf("nodes ended %d times, want 3 times at least", deaths)
			}
		})
	}
}

// nurse starts nodes that have ended, until ctx ends, and returns how many it was.
func nurse(t *testing.T, ctx context.Context, c *cluster.Cluster) (deaths int) {
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return deaths
		case <-again.C:
		}
		for _, n := range c.Nodes() {
			if n.Running() {
				continue
			}
			if deaths++; n.Start() != nil {
				t.Errorf("%s does not start", n.Name)
				return deaths
			}
		}
	}
}

// An event that kills the process of its member, again and again, is given up; those that
// were with the same member each time are not.
func TestAnEventThatKillsItsMemberSparesThoseBesideIt(t *testing.T) {
	t.Parallel()
	c := start(t, 1)
	ctx := within(t, time.Minute)
	api := connect(t, c.URLs()...)
	subscribeType(t, ctx, api, event.Subscription{Name: "mortal", MaxDeliver: 4})
	poison := appendTask(t, ctx, api, "mortal", "p", task{N: 0, Do: doExit})
	for n := 1; n <= 7; n++ {
		appendTask(t, ctx, api, "mortal", strconv.Itoa(n), task{N: n})
	}
	living, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for living.Err() == nil {
			cmd := exec.CommandContext(living, os.Args[0])
			cmd.Env = append(os.Environ(), mortalEnv+"="+c.Nodes()[0].URL())
			_ = cmd.Run() // it is to die
		}
	}()
	expectDead(t, ctx, api, "mortal", poison, 4, "its member's connection broke")
	awaitOnce(t, ctx, api, "tasks", sequence(1, 7)...)
	stop()
	<-ended
	expectDead(t, ctx, api, "mortal", poison, 4, "")
}
