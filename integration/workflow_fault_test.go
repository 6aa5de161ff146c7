package integration

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/integration/cluster"
	"github.com/edri-io/edri/workflows"
)

// flowTest is a cluster with a client.
type flowTest struct {
	*testing.T
	ctx context.Context
	c   *cluster.Cluster
	api *client.Client
}

func newFlowTest(t *testing.T, nodes int) *flowTest {
	t.Helper()
	c := start(t, nodes)
	f := &flowTest{T: t, ctx: within(t, time.Minute), c: c, api: connect(t, c.URLs()...)}
	_, err := f.api.EnsureBucket(f.ctx, flowCounts, client.BucketConfig{})
	must(t, err)
	return f
}

func (f *flowTest) worker(name, role string) *cluster.Process {
	f.Helper()
	return flowWorker(f.T, f.c, name, role)
}

func (f *flowTest) run(typ, id string, input any) client.RunID {
	f.Helper()
	awaitDefined(f.T, f.ctx, f.api, typ, 1)
	data, err := json.Marshal(input)
	must(f.T, err)
	run, _, err := f.api.StartRun(f.ctx, workflows.Start{ID: id, Type: typ, Input: data})
	must(f.T, err)
	return run
}

func (f *flowTest) ended(run client.RunID) client.RunOutcome {
	f.Helper()
	o, err := f.api.WaitRun(f.ctx, run)
	if err != nil {
		r, _ := f.api.Run(context.WithoutCancel(f.ctx), run, client.Stale)
		f.Fatalf("run %v does not end: %v: %+v", run, err, r)
	}
	return o
}

// results waits for a run's end and for its result.
func (f *flowTest) results(run client.RunID, want string) {
	f.Helper()
	if o := f.ended(run); o.Status != workflows.Completed || string(o.Result) != want {
		f.Errorf("run %s is %s with %s, %v; want %s", run.ID, o.Status, o.Result, o.Err, want)
	}
}

// awaitBegan waits until attempts of a run's step have begun.
func (f *flowTest) awaitBegan(run client.RunID, times uint64) {
	f.Helper()
	for _, err := range f.api.Tail(f.ctx, client.Query{Stream: began(run.ID), Limit: times}) {
		must(f.T, err)
	}
}

// begun returns how many attempts have.
func (f *flowTest) begun(run client.RunID) (n int) {
	f.Helper()
	for _, err := range f.api.Read(f.ctx, client.Query{Stream: began(run.ID), Consistency: client.Linearizable}) {
		must(f.T, err)
		n++
	}
	return n
}

// oneEffect holds a run of slow to one effect.
func (f *flowTest) oneEffect(run client.RunID) {
	f.Helper()
	n := 0
	for e, err := range f.api.Read(f.ctx, client.Query{Type: flowEffect, Correlation: run.ID, Consistency: client.Linearizable}) {
		must(f.T, err)
		if decoded[effected](f.T, e.Data).Run == run.ID {
			n++
		}
	}
	k, err := f.api.ReadKey(f.ctx, flowCounts, run.ID+"/slow")
	if err != nil || string(k.Value) != "1" || n != 1 {
		f.Errorf("run %s: %d events, and its key says %q: %v; want one", run.ID, n, k.Value, err)
	}
	checkHistory(f.T, f.ctx, f.api, run.ID, 1)
}

type takes map[string]string

func TestAWorkerKilledInAStepCountsAnAttempt(t *testing.T) {
	t.Parallel()
	f := newFlowTest(t, 1)
	first := f.worker("first", "slow")
	run := f.run("slow", "r", takes{"1": "1h"})
	f.awaitBegan(run, 1)
	f.worker("other", "slow")
	must(t, first.Kill())
	killed := time.Now()
	f.results(run, "2")
	atMost(t, "until another worker has done the step", time.Since(killed), 4*time.Second)
	f.oneEffect(run)
}

// Between the end of a step and the commit of its result, nobody is there to commit it.
func TestALeaderOrAllNodesKilledBetweenStepAndJournal(t *testing.T) {
	for name, kill := range map[string]func(f *flowTest){
		"leader":    func(f *flowTest) { must(f.T, leader(f.T, f.c).Kill()) },
		"all nodes": func(f *flowTest) { must(f.T, f.c.KillAll()) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFlowTest(t, 3)
			f.worker("w", "slow")
			run := f.run("slow", "r", takes{"1": "500ms", "2": "500ms"})
			f.awaitBegan(run, 1)
			kill(f)
			if name == "all nodes" {
				time.Sleep(time.Second) // so that the step ends meanwhile
			}
			must(t, f.c.StartAll(f.ctx))
			if o := f.ended(run); o.Status != workflows.Completed {
				t.Errorf("run is %s: %v", o.Status, o.Err)
			}
			f.oneEffect(run)
			t.Logf("the step began %d times", f.begun(run))
		})
	}
}

// A worker that stands still for longer than its session comes back in the middle of a
// step that another has done.
func TestTwoWorkersHaveARunAfterAPause(t *testing.T) {
	t.Parallel()
	f := newFlowTest(t, 1)
	first := f.worker("first", "slow")
	run := f.run("slow", "r", takes{"1": "1s"})
	f.awaitBegan(run, 1)
	must(t, first.Pause())
	other := f.worker("other", "slow")
	f.results(run, "2")
	must(t, first.Resume())
	// Only it is there for another run, so that it has said what it had to.
	must(t, other.Kill())
	f.results(f.run("slow", "next", takes{}), "1")
	f.oneEffect(run)
	if n := f.begun(run); n != 2 {
		t.Errorf("the step began %d times, want 2", n)
	}
}

func TestRunsStayWithTheWorkersOfTheirVersion(t *testing.T) {
	t.Parallel()
	f := newFlowTest(t, 1)
	old := f.worker("old", "v1")
	first, other := f.run("versioned", "first", nil), f.run("versioned", "other", nil)
	f.worker("new", "v2")
	awaitDefined(t, f.ctx, f.api, "versioned", 2)
	second := f.run("versioned", "second", nil)
	send := func(run client.RunID) {
		must(t, f.api.SignalRun(f.ctx, run, workflows.Signal{Name: "go"}))
	}
	send(first)
	send(second)
	f.results(first, "1")
	f.results(second, "2")
	must(t, old.Kill())
	send(other)
	waiting, cancel := context.WithTimeout(f.ctx, 3*time.Second)
	defer cancel()
	if o, err := f.api.WaitRun(waiting, other); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("without a worker of its version a run ends: %+v, %v", o, err)
	}
	must(t, old.Start())
	f.results(other, "1")
}

// Code that panics, that does not give way, or that has its context used by a goroutine,
// has its run paused with the reason. The node, the worker and other runs live on, and
// the run does once the code is mended.
func TestBrokenCodePausesItsRunAlone(t *testing.T) {
	t.Parallel()
	f := newFlowTest(t, 1)
	broken := f.worker("broken", "broken")
	reasons := map[string]string{byPanic: "panic", byBlocking: "stuck", byGoroutine: "panic"}
	runs := map[string]client.RunID{}
	for wrong := range reasons {
		runs[wrong] = f.run("fragile", wrong, wrong)
	}
	for wrong, run := range runs {
		for {
			r, err := f.api.Run(f.ctx, run, client.Linearizable)
			must(t, err)
			if r.Paused {
				if want := reasons[wrong]; r.Note != want || r.Status != workflows.Running {
					t.Errorf("run %s is %s and paused by %q, want %q", run.ID, r.Status, r.Note, want)
				}
				break
			}
			time.Sleep(20 * time.Millisecond) // nothing announces it
		}
	}
	f.results(f.run("fragile", byNothing, byNothing), "3")
	must(t, broken.Kill())
	f.worker("mended", "mended")
	for _, run := range runs {
		must(t, f.api.ResumeRun(f.ctx, run, "mended"))
		f.results(run, "3")
		checkHistory(t, f.ctx, f.api, run.ID, 2)
	}
}

func TestBadInputToRunsIsATypedError(t *testing.T) {
	t.Parallel()
	f := newFlowTest(t, 1)
	f.worker("w", "strict")
	good := f.run("strict", "good", 1)
	f.results(good, "1")
	failed := func(what string, o client.RunOutcome, typ string) {
		t.Helper()
		if o.Status != workflows.Failed || o.Err == nil || o.Err.Type != typ || !o.Err.Final {
			t.Errorf("%s: run is %s: %+v, want %s", what, o.Status, o.Err, typ)
		}
	}
	failed("wrong input type", f.ended(f.run("strict", "wrong", "one")), workflows.ErrorInvalid)
	failed("a result of 2 MiB", f.ended(f.run("large", "large", nil)), workflows.ErrorTooLarge)

	coded := func(what string, err error, codes ...event.Code) {
		t.Helper()
		if !slices.Contains(codes, event.CodeOf(err)) {
			t.Errorf("%s: %v, want %v", what, err, codes)
		}
	}
	start := func(s workflows.Start) error {
		_, _, err := f.api.StartRun(f.ctx, s)
		return err
	}
	coded("unknown workflow", start(workflows.Start{ID: "x", Type: "none"}), event.CodeNotFound)
	coded("input that is no JSON", start(workflows.Start{ID: "x", Type: "strict", Input: []byte("{")}), event.CodeInvalid)
	coded("input of 2 MiB", start(workflows.Start{ID: "x", Type: "strict", Input: make([]byte, 2<<20)}), event.CodeInvalid, event.CodeTooLarge)
	coded("id of an ended run, to be used once", start(workflows.Start{ID: "good", Type: "strict", Reuse: workflows.ReuseNever}), event.CodeExists)
	coded("signal to an ended run", f.api.SignalRun(f.ctx, good, workflows.Signal{Name: "s"}), event.CodeRunEnded)
	coded("signal to no run", f.api.SignalRun(f.ctx, client.RunID{ID: "none"}, workflows.Signal{Name: "s"}), event.CodeNotFound)
	coded("cancel of an ended run", f.api.CancelRun(f.ctx, good, ""), event.CodeRunEnded)
	_, err := f.api.UpdateRun(f.ctx, good, "", "u", nil)
	coded("update of an ended run", err, event.CodeRunEnded)
	_, err = f.api.WaitRun(f.ctx, client.RunID{ID: "none"})
	coded("wait for no run", err, event.CodeNotFound)
	_, err = f.api.QueryRun(f.ctx, good, "none", nil)
	if e := (*workflows.Error)(nil); !errors.As(err, &e) || e.Type != workflows.ErrorNotFound {
		t.Errorf("query that the code does not have: %v", err)
	}
}
