package workflows_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edri-io/edri/workflows"
	"github.com/edri-io/edri/workflows/workflowstest"
)

// world is a cluster in memory with a worker, in a bubble of virtual time.
type world struct {
	*testing.T
	*workflowstest.Cluster
	cfg    workflows.Config
	flows  []workflows.Defined
	runner *workflows.Runner
	stop   func() // the worker, and waits for it
}

// inWorld calls f with a worker of workflows that runs, and ends it after.
func inWorld(t *testing.T, f func(w *world), flows ...workflows.Defined) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, Cluster: workflowstest.NewCluster(), flows: flows}
		w.cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
		w.work()
		f(w)
		w.stop()
	})
}

// work starts a worker; the one before must have been stopped, or goes on beside it.
func (w *world) work() {
	w.Helper()
	runner, err := workflows.NewRunner(w.cfg, w.flows...)
	if err != nil {
		w.Fatal(err)
	}
	w.runner = runner
	ctx, cancel := context.WithCancel(w.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := runner.Run(ctx, w.Cluster); err != nil {
			w.Errorf("Run: %v", err)
		}
	})
	w.stop = sync.OnceFunc(func() {
		cancel()
		wg.Wait()
	})
	synctest.Wait()
}

// crash ends the worker as if its process had died, and starts another.
func (w *world) crash() {
	w.LoseWorkers()
	w.stop()
	w.work()
}

// start starts a run.
func (w *world) start(flow, id string, input any) {
	w.Helper()
	data, err := json.Marshal(input)
	if err != nil {
		w.Fatal(err)
	}
	if _, err := w.Start(workflows.Start{ID: id, Type: flow, Input: data}); err != nil {
		w.Fatal(err)
	}
}

// wait waits for the end of a run, up to 1000 hours.
func (w *world) wait(id string) workflowstest.Result {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), 1000*time.Hour)
	defer cancel()
	r, err := w.Wait(ctx, id)
	if err != nil {
		look, _ := w.Look(id)
		w.Fatalf("run %s does not end: %v; %+v", id, err, look)
	}
	return r
}

// completed waits for the end of a run and decodes its result.
func completed[T any](w *world, id string) (out T) {
	w.Helper()
	r := w.wait(id)
	if r.Status != workflows.Completed {
		w.Fatalf("run %s is %s: %v", id, r.Status, r.Err)
	}
	if err := json.Unmarshal(r.Result, &out); err != nil {
		w.Fatalf("result %q: %v", r.Result, err)
	}
	return out
}

// kinds returns the kinds of the events of a run's history.
func (w *world) kinds(id string) (kinds []string) {
	r, err := w.Look(id)
	if err != nil {
		w.Fatal(err)
	}
	for _, e := range w.Recorded(r.Number) {
		kinds = append(kinds, e.Type[len(workflows.HistoryPrefix):])
	}
	return kinds
}
