package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

// workflowClient has a node, and a worker of workflow "order": it takes, waits for the
// signal "go" and ships.
func workflowClient(t *testing.T) (context.Context, *client.Client) {
	t.Helper()
	step := func(name string) workflows.Step[string, string] {
		return workflows.NewStep(name, func(_ context.Context, s string) (string, error) { return s + " " + name, nil })
	}
	order := workflows.Define("order", 1, func(ctx workflows.Context, s string) (string, error) {
		s, err := step("take").Do(ctx, s)
		if err != nil {
			return "", err
		}
		how, err := workflows.Signals[string](ctx, "go").Receive(ctx)
		if err != nil {
			return "", err
		}
		return step("ship").Do(ctx, s+" "+how)
	}, workflows.Options{Attributes: map[string]workflows.AttributeType{"total": workflows.TypeNumber}})
	return workerOf(t, order)
}

// workerOf has a node, and a worker of a workflow.
func workerOf(t *testing.T, flow workflows.Defined) (context.Context, *client.Client) {
	t.Helper()
	return workerAt(t, node(t), workflows.Config{Name: "w"}, flow)
}

// workerAt has a worker of workflows at a node.
func workerAt(t *testing.T, url string, cfg workflows.Config, flows ...workflows.Defined) (context.Context, *client.Client) {
	t.Helper()
	c, err := client.New(client.Config{Servers: []string{url}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	r, err := workflows.NewRunner(cfg, flows...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx, c) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	until(t, ctx, func() bool {
		list, err := c.Definitions(ctx)
		return err == nil && len(list) == len(flows)
	})
	return ctx, c
}

// until waits until something holds.
func until(t *testing.T, ctx context.Context, holds func() bool) {
	t.Helper()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for !holds() {
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatal("it does not come to hold")
		}
	}
}

func begin(t *testing.T, ctx context.Context, c *client.Client, id string, total int) client.RunID {
	t.Helper()
	run, _, err := c.StartRun(ctx, workflows.Start{
		ID: id, Type: "order", Input: []byte(`"x"`), Attributes: map[string]any{"total": total},
	})
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func TestListRunsGoesOverPages(t *testing.T) {
	t.Parallel()
	ctx, c := workflowClient(t)
	var want []string
	for i := range 7 {
		begin(t, ctx, c, fmt.Sprint("o-", i), i)
		if i >= 2 {
			want = append([]string{fmt.Sprint("o-", i)}, want...)
		}
	}
	var got []string
	for r, err := range c.ListRuns(ctx, `type = "order" and total >= 2`, client.ListOptions{Page: 2, Consistency: client.Linearizable}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, r.ID)
		if r.Attributes["total"] == nil || r.Status != workflows.Running {
			t.Errorf("run %+v", r)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("runs %q, want %q", got, want)
	}
	for _, err := range c.ListRuns(ctx, `total = "a"`, client.ListOptions{}) {
		if event.CodeOf(err) != event.CodeInvalid || !strings.Contains(err.Error(), "column 9") {
			t.Errorf("error %v", err)
		}
	}
	for _, err := range c.ListRuns(ctx, ``, client.ListOptions{Page: 1001}) {
		if event.CodeOf(err) != event.CodeInvalid {
			t.Errorf("error %v", err)
		}
	}
}

func TestResetRunGoesOnFromAStep(t *testing.T) {
	t.Parallel()
	ctx, c := workflowClient(t)
	first := begin(t, ctx, c, "o-1", 1)
	begin(t, ctx, c, "o-2", 1)
	begin(t, ctx, c, "o-3", 1)
	// Before the first step there is the start alone, and the signal comes again.
	for id, to := range map[string]client.Reset{
		"o-1": {Step: "take", Reason: "again"}, "o-2": {Seq: 1}, "o-3": {Revision: 1},
	} {
		run := client.RunID{ID: id}
		if err := c.SignalRun(ctx, run, workflows.Signal{Name: "go", Input: []byte(`"fast"`)}); err != nil {
			t.Fatal(err)
		}
		o, err := c.WaitRun(ctx, run)
		if err != nil || string(o.Result) != `"x take fast ship"` {
			t.Fatalf("outcome %s, %v", o.Result, err)
		}
		next, err := c.ResetRun(ctx, run, to)
		if err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		r, err := c.Run(ctx, next, client.Linearizable)
		if err != nil {
			t.Fatal(err)
		}
		if h := r.History; len(h) < 2 || h[0].From != 1 || h[0].To != 1 {
			t.Errorf("%s: history %v", id, h)
		}
	}
	for name, want := range map[string]struct {
		run client.RunID
		to  client.Reset
		event.Code
	}{
		"no step":    {client.RunID{ID: "o-1"}, client.Reset{Step: "pack"}, event.CodeNotFound},
		"two points": {client.RunID{ID: "o-1"}, client.Reset{Step: "take", Seq: 1}, event.CodeInvalid},
		"no point":   {client.RunID{ID: "o-1"}, client.Reset{}, event.CodeInvalid},
		"beyond":     {client.RunID{ID: "o-1"}, client.Reset{Revision: 1000}, event.CodeInvalid},
		"not last":   {first, client.Reset{Revision: 1}, event.CodeCheckFailed},
		"no run":     {client.RunID{ID: "o-9"}, client.Reset{Revision: 1}, event.CodeNotFound},
	} {
		_, err := c.ResetRun(ctx, want.run, want.to)
		if event.CodeOf(err) != want.Code {
			t.Errorf("%s: %v, want %s", name, err, want.Code)
		}
		if name == "beyond" && !strings.Contains(err.Error(), "the history of run o-1/") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBatchDoesEachRunOnce(t *testing.T) {
	t.Parallel()
	ctx, c := workflowClient(t)
	for i := range 9 {
		begin(t, ctx, c, fmt.Sprint("o-", i), i)
	}
	const filter = `type = "order" and total < 7`
	var at, most, done atomic.Int32
	cursor := ""
	for page, err := range c.Batch(ctx, filter, client.BatchOptions{Page: 3, Concurrency: 2}, func(ctx context.Context, run client.RunID) error {
		if n := at.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer at.Add(-1)
		done.Add(1)
		if run.ID == "o-5" {
			return event.Errorf(event.CodeInvalid, "not this one")
		}
		return c.TerminateRun(ctx, run, "enough")
	}) {
		if err != nil || len(page.Results) != 3 {
			t.Fatalf("%d results, %v", len(page.Results), err)
		}
		for _, r := range page.Results {
			if (r.Err != nil) != (r.Run.ID == "o-5") {
				t.Errorf("run %s: %v", r.Run.ID, r.Err)
			}
		}
		cursor = page.Cursor
		break // interrupted
	}
	if done.Load() != 3 || most.Load() > 2 {
		t.Fatalf("%d done, %d at a time", done.Load(), most.Load())
	}
	for page, err := range c.Batch(ctx, filter, client.BatchOptions{Cursor: cursor}, func(ctx context.Context, run client.RunID) error {
		done.Add(1)
		return c.TerminateRun(ctx, run, "enough")
	}) {
		if err != nil || page.Cursor != "" {
			t.Fatalf("cursor %q, %v", page.Cursor, err)
		}
	}
	if done.Load() != 7 {
		t.Errorf("%d done, want 7", done.Load())
	}
	var left []string
	for r, err := range c.ListRuns(ctx, `status = "running"`, client.ListOptions{Consistency: client.Linearizable}) {
		if err != nil {
			t.Fatal(err)
		}
		left = append(left, r.ID)
	}
	if want := []string{"o-8", "o-7", "o-5"}; !slices.Equal(left, want) {
		t.Errorf("running %q, want %q", left, want)
	}
	// When the context ends, what was not done says so.
	ended, cancel := context.WithCancel(ctx)
	for page := range c.Batch(ended, filter, client.BatchOptions{Concurrency: 1}, func(context.Context, client.RunID) error {
		cancel()
		return nil
	}) {
		failed := 0
		for _, r := range page.Results {
			if r.Err != nil {
				failed++
			}
		}
		if len(page.Results) > 0 && failed != len(page.Results)-1 {
			t.Errorf("%d of %d failed", failed, len(page.Results))
		}
	}
	cancel()
}

// That no worker is there is the server's answer to a query: not that the time is over, which
// the error says too. Where no server could be asked, it is not known.
func TestAQueryWithoutAWorkerIsUnavailable(t *testing.T) {
	t.Parallel()
	c, err := client.New(client.Config{Servers: []string{node(t)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.Define(t.Context(), workflows.Definition{Name: "order", Version: 1}); err != nil {
		t.Fatal(err)
	}
	run, _, err := c.StartRun(t.Context(), workflows.Start{ID: "q-1", Type: "order"})
	if err != nil {
		t.Fatal(err)
	}
	query := func(c *client.Client) error {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, err := c.QueryRun(ctx, run, "value", nil)
		return err
	}
	err = query(c)
	if event.CodeOf(err) != event.CodeUnavailable || !errors.Is(err, context.DeadlineExceeded) ||
		!strings.HasPrefix(err.Error(), "unavailable: no worker of workflow order, version 1, is there to ask") {
		t.Errorf("without a worker: %v", err)
	}
	if last := client.LastTry(err); last == nil || last.Code != event.CodeUnavailable {
		t.Errorf("last try %v", last)
	}
	nowhere, err := client.New(client.Config{Servers: []string{"http://127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nowhere.Close() })
	if err := query(nowhere); event.CodeOf(err) != event.CodeDeadlineExceeded {
		t.Errorf("without a server: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := c.UpdateRun(ctx, run, "u-1", "add", nil); event.CodeOf(err) != event.CodeOutcomeUnknown {
		t.Errorf("an update without a worker: %v", err)
	}
}

// Whoever waits for a run until a deadline hears of the run, and not that no server answers.
func TestAWaitThatIsGivenUpSaysThatItIsForTheRun(t *testing.T) {
	t.Parallel()
	ctx, c := workflowClient(t)
	run := begin(t, ctx, c, "o-1", 1)
	waiter := c.RunWaiter()
	defer waiter.Close()
	for name, wait := range map[string]func(context.Context, client.RunID) (client.RunOutcome, error){"alone": c.WaitRun, "many": waiter.Wait} {
		short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		_, err := wait(short, run)
		cancel()
		if event.CodeOf(err) != event.CodeDeadlineExceeded || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "the end of run o-1 was not heard of") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
