package integration

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/integration/ledger"
	"github.com/edri-io/edri/managers"
	"github.com/edri-io/edri/workflows"
)

// A full disk is nobody's failure: what a handler and a step did while nothing could be
// written is committed once there is space, in the first attempt.
func TestWorkWaitsForSpace(t *testing.T) {
	t.Parallel()
	const n = 5
	c := prepare(t, 1, "--disk-reserve", "64MiB", "--segment-bytes", "1MiB")
	smallDisks(t, c.Nodes(), 512)
	ctx := within(t, time.Minute)
	must(t, c.StartAll(ctx))
	must(t, c.WaitReady(ctx))
	api := connect(t, c.URLs()...)

	begun, full := make(chan struct{}, 100), make(chan struct{})
	do := func(ctx context.Context) error {
		begun <- struct{}{}
		select {
		case <-full:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	subscription := event.Subscription{MaxDeliver: 2, Backoff: []time.Duration{10 * time.Millisecond}}
	m, err := managers.New("lamps", managers.Config{Subscription: subscription, Concurrency: n, Start: managers.Start{First: true}})
	must(t, err)
	managers.Handle(m, "lamp.ordered", func(ctx context.Context, lamp int) (managers.Effects, error) {
		return managers.Emit("lamps", "lamp.sent", lamp), do(ctx)
	})
	impatient := workflows.StepOptions{Retry: workflows.Retry{Initial: 10 * time.Millisecond, Attempts: 3}}
	plain := workflows.NewStep("plain", func(ctx context.Context, lamp int) (int, error) { return lamp, do(ctx) }, impatient)
	emits := workflows.NewStep("emits", func(ctx context.Context, lamp int) (int, error) {
		workflows.Effects(ctx).Emit("lamps", "lamp.packed", lamp)
		return lamp, do(ctx)
	}, impatient)
	pack := func(name string, step workflows.Step[int, int]) *workflows.Function[int, int] {
		return workflows.Define(name, 1, func(ctx workflows.Context, lamp int) (int, error) { return step.Do(ctx, lamp) })
	}
	r, err := workflows.NewRunner(workflows.Config{Name: "packer"}, pack("plain", plain), pack("emits", emits))
	must(t, err)
	working, stop := context.WithCancel(ctx)
	ended := make(chan error, 2)
	go func() { ended <- m.Run(working, api) }()
	go func() { ended <- r.Run(working, api) }()
	defer func() {
		stop()
		must(t, <-ended)
		must(t, <-ended)
	}()
	awaitDefined(t, ctx, api, "plain", 1)
	awaitDefined(t, ctx, api, "emits", 1)
	var runs []client.RunID
	for i := range n {
		_, err := api.Append(ctx, "orders", event.ExpectAny, event.Event{ID: strconv.Itoa(i), Source: "/shop", Type: "lamp.ordered", Data: []byte(strconv.Itoa(i))})
		must(t, err)
		for _, typ := range []string{"plain", "emits"} {
			run, _, err := api.StartRun(ctx, workflows.Start{Type: typ, Input: []byte(strconv.Itoa(i))})
			must(t, err)
			runs = append(runs, run)
		}
	}
	for range 3 * n {
		<-begun
	}

	free := fill(t, c.Nodes()[0], 40)
	prober{api, ledger.New()}.awaitRefusal(t, ctx)
	close(full)
	time.Sleep(2 * time.Second) // in which no attempt may fail
	free()

	for _, run := range runs {
		o, err := api.WaitRun(ctx, run)
		must(t, err)
		if o.Status != workflows.Completed {
			t.Errorf("run %s is %s: %s", run.ID, o.Status, o.Err)
		}
	}
	waitUntil(t, ctx, func() bool {
		s, err := api.Subscription(ctx, "lamps", client.Linearizable)
		must(t, err)
		if s.Dead > 0 {
			t.Fatalf("%d events are dead letters", s.Dead)
		}
		return s.Matched > 0 && s.Pending == 0 && s.InFlight == 0
	})
	effects := map[string]int{}
	for e, err := range api.Read(ctx, client.Query{Stream: "lamps"}) {
		must(t, err)
		effects[e.Type+" "+string(e.Data)]++
	}
	for i := range n {
		for _, typ := range []string{"lamp.sent ", "lamp.packed "} {
			if got := effects[typ+strconv.Itoa(i)]; got != 1 {
				t.Errorf("%s%d is there %d times", typ, i, got)
			}
		}
	}
	if again := len(begun); again > 0 {
		t.Errorf("%d attempts more than the first ones", again)
	}
}
