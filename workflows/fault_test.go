package workflows_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
	"github.com/edri-io/edri/workflows/workflowstest"
)

// blocked waits a minute and returns why a run is blocked.
func (w *world) blockedBy(id string) (reason, details string) {
	w.Helper()
	time.Sleep(time.Minute)
	r, err := w.Look(id)
	if err != nil {
		w.Fatal(err)
	}
	if r.Blocked == nil {
		w.Fatalf("run %s is not blocked: %+v", id, r)
	}
	return r.Blocked.Reason, string(r.Blocked.Details)
}

func TestAPanicBlocksTheRun(t *testing.T) {
	broken := true
	flow := workflows.Define("panics", 1, func(ctx workflows.Context, _ struct{}) (int, error) {
		n, err := workflows.NewStep("one", add(1)).Do(ctx, 1)
		if broken {
			workflows.After(ctx, time.Hour) // never recorded, as it was followed by a panic
			panic("oh no")
		}
		return n, err
	})
	inWorld(t, func(w *world) {
		w.start("panics", "r", nil)
		reason, details := w.blockedBy("r")
		if reason != "panic" || !strings.Contains(details, "oh no") || !strings.Contains(details, "fault_test.go") {
			t.Errorf("blocked by %s: %s", reason, details)
		}
		if got := w.kinds("r"); !slices.Equal(got, []string{"started", "step.completed", "paused"}) {
			t.Errorf("history %q", got)
		}
		broken = false
		_ = w.Retry("r")
		if got := completed[int](w, "r"); got != 2 {
			t.Errorf("got %d", got)
		}
	}, flow)
}

// Nothing has come for a run that is resumed; its code is called nevertheless.
func TestARunThatWasBlockedIsResumed(t *testing.T) {
	broken := true
	flow := workflows.Define("panics", 1, func(ctx workflows.Context, _ struct{}) (int, error) {
		n, err := workflows.NewStep("one", add(1)).Do(ctx, 1)
		if broken {
			panic("oh no")
		}
		return n, err
	})
	inWorld(t, func(w *world) {
		w.start("panics", "r", nil)
		if reason, _ := w.blockedBy("r"); reason != "panic" {
			w.Fatalf("blocked by %s", reason)
		}
		if err := w.Resume("r"); err != nil {
			w.Fatal(err)
		}
		if reason, _ := w.blockedBy("r"); reason != "panic" {
			w.Fatalf("blocked again by %s", reason)
		}
		broken = false
		if err := w.Resume("r"); err != nil {
			w.Fatal(err)
		}
		if got := completed[int](w, "r"); got != 2 {
			w.Errorf("got %d", got)
		}
	}, flow)
}

func TestAPanicFailsTheRunByPolicy(t *testing.T) {
	flow := workflows.Define("panics", 1, func(workflows.Context, struct{}) (int, error) {
		panic("oh no")
	}, workflows.Options{PanicFails: true})
	inWorld(t, func(w *world) {
		w.start("panics", "r", nil)
		if got := w.wait("r"); got.Status != workflows.Failed || got.Err.Type != workflows.ErrorPanic {
			t.Errorf("got %+v", got)
		}
	}, flow)
}

func TestCodeThatDoesNotGiveWayBlocksTheRun(t *testing.T) {
	release := make(chan chan struct{}, 1)
	var cleaned atomic.Bool
	flow := workflows.Define("stuck", 1, func(ctx workflows.Context, _ struct{}) (int, error) {
		workflows.Go(ctx, func(ctx workflows.Context) (int, error) {
			defer cleaned.Store(true)
			return 0, workflows.Sleep(ctx, time.Hour)
		})
		if err := workflows.Sleep(ctx, time.Second); err != nil {
			return 0, err
		}
		hold := make(chan struct{})
		release <- hold
		<-hold
		_ = workflows.Sleep(ctx, time.Second)
		panic("never")
	})
	inWorld(t, func(w *world) {
		w.start("stuck", "r", nil)
		reason, details := w.blockedBy("r")
		if reason != "stuck" || !strings.Contains(details, "TestCodeThatDoesNotGiveWay") {
			t.Errorf("blocked by %s: %s", reason, details)
		}
		if got := w.runner.Stats(); got.Stuck != 1 || got.Held != 0 {
			t.Errorf("stats %+v", got)
		}
		close(<-release)
		synctest.Wait()
		if got := w.runner.Stats(); got.Stuck != 0 || !cleaned.Load() {
			t.Errorf("stats once it gave way %+v, cleaned %v", got, cleaned.Load())
		}
		if got := w.kinds("r"); slices.Contains(got, "failed") || !slices.Contains(got, "timer.fired") {
			t.Errorf("history %q", got)
		}
	}, flow)
}

func TestAForeignGoroutineIsFound(t *testing.T) {
	for name, flow := range map[string]workflows.Defined{
		"while the code waits": workflows.Define("foreign", 1, func(ctx workflows.Context, _ struct{}) (int, error) {
			go func() {
				time.Sleep(time.Second)
				_, _ = workflows.NewStep("s", add(1)).Do(ctx, 1)
			}()
			return 0, workflows.Sleep(ctx, time.Hour)
		}),
		"while the code runs": workflows.Define("foreign", 1, func(ctx workflows.Context, _ struct{}) (int, error) {
			done := make(chan struct{})
			go func() {
				defer close(done)
				_ = workflows.Now(ctx)
			}()
			<-done
			return 0, workflows.Sleep(ctx, time.Hour)
		}),
		"a step": workflows.Define("foreign", 1, func(ctx workflows.Context, _ struct{}) (int, error) {
			return workflows.NewStep("s", func(context.Context, int) (int, error) {
				return 0, workflows.Sleep(ctx, time.Hour)
			}).Do(ctx, 1)
		}),
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.start("foreign", "r", nil)
				reason, details := w.blockedBy("r")
				if reason != "panic" || !strings.Contains(details, "goroutine that is not the run's") || !strings.Contains(details, "TestAForeignGoroutineIsFound.func") ||
					strings.Contains(details, "(*machine)") {
					t.Errorf("blocked by %s: %s", reason, details)
				}
			}, flow)
		})
	}
}

func TestEvictionGetsNothingDone(t *testing.T) {
	var deferred atomic.Int32
	undo := workflows.NewStep("undo", add(1))
	flow := workflows.Define("evicted", 1, func(ctx workflows.Context, n int) (int, error) {
		defer func() {
			deferred.Add(1)
			if _, err := undo.Do(workflows.WithoutCancel(ctx), n); err != nil {
				t.Error(err)
			}
		}()
		_, err := workflows.Signals[int](ctx, "go").Receive(ctx)
		return n, err
	})
	inWorld(t, func(w *world) {
		w.stop()
		w.cfg.CacheSize = 4
		w.work()
		for i := range 20 {
			w.start("evicted", fmt.Sprint("r", i), i)
		}
		time.Sleep(time.Minute)
		if got := w.runner.Stats(); got.Held > 4 {
			t.Errorf("holds %d", got.Held)
		}
		if deferred.Load() < 16 {
			t.Errorf("%d deferred functions ran", deferred.Load())
		}
		for i := range 20 {
			id := fmt.Sprint("r", i)
			if got := w.kinds(id); !slices.Equal(got, []string{"started"}) {
				t.Fatalf("history %q", got)
			}
			_ = w.Signal(id, "go", 1)
			if got := completed[int](w, id); got != i {
				t.Errorf("got %d", got)
			}
		}
	}, flow)
}

func TestTwoWorkersWithTheSameRun(t *testing.T) {
	for first := range 2 {
		t.Run(fmt.Sprint("worker ", first+1, " is first"), func(t *testing.T) {
			var calls atomic.Int32
			var hold [2]chan struct{}
			step := workflows.NewStep("slow", func(ctx context.Context, _ struct{}) (int, error) {
				n := int(calls.Add(1)) - 1
				workflows.Effects(ctx).Emit("ledger", "charged", n)
				<-hold[n]
				return n, nil
			})
			flow := workflows.Define("two", 1, func(ctx workflows.Context, _ struct{}) (int, error) {
				return step.Do(ctx, struct{}{})
			})
			inWorld(t, func(w *world) {
				hold = [2]chan struct{}{make(chan struct{}), make(chan struct{})}
				w.start("two", "r", nil)
				synctest.Wait()
				stopFirst := w.stop
				w.work()
				w.StealFrom("r") // and the one that has it goes on
				time.Sleep(time.Second)
				if calls.Load() != 2 {
					t.Fatalf("%d calls", calls.Load())
				}
				close(hold[first])
				synctest.Wait()
				close(hold[1-first])
				if got := completed[int](w, "r"); got != first {
					t.Errorf("got %d", got)
				}
				time.Sleep(time.Minute)
				if got := w.Stream("ledger"); len(got) != 1 || string(got[0].Data) != fmt.Sprint(first) {
					t.Errorf("effects %v", got)
				}
				stopFirst()
			}, flow)
		})
	}
}

// A worker that was given a run meets an advance of the one that had it, which goes then.
func TestARunDoesNotStayWithAWorkerThatDroppedIt(t *testing.T) {
	step := workflows.NewStep("slow", func(ctx context.Context, _ struct{}) (int, error) {
		if err := workflows.Heartbeat(ctx, "half"); err != nil {
			return 0, err
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(time.Minute):
			return 1, nil
		}
	})
	flow := workflows.Define("two", 1, func(ctx workflows.Context, _ struct{}) (int, error) {
		return step.Do(ctx, struct{}{})
	})
	inWorld(t, func(w *world) {
		w.start("two", "r", nil)
		time.Sleep(5 * time.Second)
		stopFirst := w.stop
		w.work()
		w.StealFrom("r") // and the one that has it goes on
		time.Sleep(15 * time.Second)
		if got := w.heartbeats("r"); len(got) == 0 {
			t.Fatal("nothing is recorded")
		}
		stopFirst()
		if got := completed[int](w, "r"); got != 1 {
			t.Errorf("got %d", got)
		}
	}, flow)
}

func TestAnEndWithUnreadEntriesLooksAgain(t *testing.T) {
	for name, c := range map[string]struct {
		take bool
		want string
	}{
		"and takes them": {true, "late"},
		"or does not":    {false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			calls := 0
			flow := workflows.Define("end", 1, func(ctx workflows.Context, _ struct{}) (string, error) {
				_, err := workflows.NewStep("s", func(context.Context, struct{}) (int, error) {
					calls++
					time.Sleep(time.Second)
					return 1, nil
				}).Do(ctx, struct{}{})
				if !c.take {
					return "", err
				}
				word, _, err := workflows.Signals[string](ctx, "word").TryReceive(ctx)
				return word, err
			})
			inWorld(t, func(w *world) {
				// The signal comes while the end is on its way.
				sent := false
				w.OnAdvance(func(a *workflows.Advance) workflowstest.Fate {
					if !sent {
						sent = true
						go func() { _ = w.Signal("r", "word", "late") }()
						return workflowstest.Fate{Refuse: event.Errorf(event.CodeCheckFailed, "entries were not consumed")}
					}
					return workflowstest.Fate{}
				})
				w.start("end", "r", nil)
				if got := completed[string](w, "r"); got != c.want || calls != 1 {
					t.Errorf("got %q after %d calls", got, calls)
				}
				if got := w.kinds("r"); !slices.Equal(got, []string{"started", "signal.received", "step.completed", "completed"}) {
					t.Errorf("history %q", got)
				}
			}, flow)
		})
	}
}

func TestAnEndInsists(t *testing.T) {
	flow := workflows.Define("end", 1, func(ctx workflows.Context, _ struct{}) (int, error) {
		_, err := workflows.Signals[int](ctx, "go").Receive(ctx)
		return 0, err
	})
	inWorld(t, func(w *world) {
		w.stop()
		w.start("end", "r", nil)
		for range 3 {
			_ = w.Signal("r", "go", 1)
		}
		sent := 0
		w.OnAdvance(func(*workflows.Advance) (f workflowstest.Fate) { sent++; return f })
		w.work()
		completed[int](w, "r")
		if got := w.kinds("r"); !slices.Equal(got, []string{"started", "signal.received", "completed", "unhandled", "unhandled"}) {
			t.Errorf("history %q", got)
		}
		if sent != 1 {
			t.Errorf("%d advances, though it was known that entries were there", sent)
		}
	}, flow)
}

func TestAdvancesThatCannotBeAreBlocked(t *testing.T) {
	for _, code := range []event.Code{event.CodeTooLarge, event.CodeQuotaExceeded, event.CodeInvalid} {
		t.Run(string(code), func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.OnAdvance(func(a *workflows.Advance) (f workflowstest.Fate) {
					if len(a.Records) > 0 {
						f.Refuse = event.Errorf(code, "too much of it")
					}
					return f
				})
				w.start("three", "r", 1)
				if reason, details := w.blockedBy("r"); reason != string(code) || !strings.Contains(details, "too much of it") {
					t.Errorf("blocked by %s: %s", reason, details)
				}
				w.OnAdvance(nil)
				_ = w.Retry("r")
				completed[int](w, "r")
			}, threeSteps)
		})
	}
}

// What the code asks for before any input is asked for again by each replay. It is refused
// once, and then waits for a person.
func TestCommandsThatAreRefusedBlockARunOnce(t *testing.T) {
	for name, before := range map[string]int{"in its first turn": 0, "after a step": 1} {
		t.Run(name, func(t *testing.T) {
			flow := workflows.Define("asks", 1, func(ctx workflows.Context, _ struct{}) (int, error) {
				for range before {
					if _, err := workflows.NewStep("one", add(1)).Do(ctx, 1); err != nil {
						return 0, err
					}
				}
				return 7, workflows.Sleep(ctx, time.Hour)
			})
			inWorld(t, func(w *world) {
				refuses, asked := true, 0
				w.OnAdvance(func(a *workflows.Advance) (f workflowstest.Fate) {
					for _, r := range a.Records {
						if _, ok := r.Do.(workflows.SetTimer); ok {
							if asked++; refuses {
								f.Refuse = event.Errorf(event.CodeInvalid, "no such timer")
							}
						}
					}
					return f
				})
				w.start("asks", "r", nil)
				if reason, _ := w.blockedBy("r"); reason != "invalid" {
					t.Errorf("blocked by %s", reason)
				}
				time.Sleep(time.Hour)
				if got := w.kinds("r"); !slices.Equal(got, []string{"started", "paused"}) || asked > 2 {
					t.Errorf("asked %d times, history %q", asked, got)
				}
				refuses = false
				if err := w.Resume("r"); err != nil {
					t.Fatal(err)
				}
				if got := completed[int](w, "r"); got != 7 {
					t.Errorf("got %d", got)
				}
			}, flow)
		})
	}
}

// That something of a step's effects is not there does not mean that the run is not.
func TestEffectsOnWhatIsNotThereFailTheStep(t *testing.T) {
	for _, code := range []event.Code{event.CodeNotFound, event.CodeRunEnded} {
		t.Run(string(code), func(t *testing.T) {
			step := workflows.NewStep("s", func(ctx context.Context, _ struct{}) (int, error) {
				workflows.Effects(ctx).Emit("s", "done", 1)
				return 1, nil
			}, workflows.StepOptions{Retry: workflows.Retry{Attempts: 2}})
			flow := workflows.Define("puts", 1, func(ctx workflows.Context, _ struct{}) (int, error) {
				return step.Do(ctx, struct{}{})
			})
			inWorld(t, func(w *world) {
				w.OnAdvance(func(a *workflows.Advance) (f workflowstest.Fate) {
					if len(a.Effects.Appends) > 0 {
						f.Refuse = event.Errorf(code, "it is not there")
					}
					return f
				})
				w.start("puts", "r", nil)
				if got := w.wait("r"); got.Status != workflows.Failed || !strings.Contains(got.Err.Error(), "it is not there") {
					t.Errorf("got %+v", got)
				}
			}, flow)
		})
	}
}

func TestAdvancesWhoseOutcomeIsNotKnownAreRepeated(t *testing.T) {
	for _, code := range []event.Code{event.CodeOutcomeUnknown, event.CodeUnavailable, event.CodeNotLeader, event.CodeOverloaded} {
		t.Run(string(code), func(t *testing.T) {
			inWorld(t, func(w *world) {
				nonces := make(map[uint64][]uint64)
				w.OnAdvance(func(a *workflows.Advance) (f workflowstest.Fate) {
					nonces[a.Advance] = append(nonces[a.Advance], a.Nonce)
					switch len(nonces[a.Advance]) {
					case 1:
						f.LoseAnswer = true
					case 2:
						f.Refuse = event.Errorf(code, "not now")
					}
					return f
				})
				w.start("three", "r", 1)
				if got := completed[int](w, "r"); got != 112 {
					t.Errorf("got %d", got)
				}
				for n, all := range nonces {
					if slices.Min(all) != slices.Max(all) {
						t.Errorf("advance %d has the nonces %v", n, all)
					}
				}
			}, threeSteps)
		})
	}
}

func TestSessionsComeBack(t *testing.T) {
	calls := 0
	step := workflows.NewStep("s", func(ctx context.Context, _ struct{}) (int, error) {
		calls++
		time.Sleep(10 * time.Second)
		return calls, nil
	})
	inWorld(t, func(w *world) {
		w.start("sessions", "r", nil)
		for range 4 {
			time.Sleep(time.Second)
			w.CutSessions()
		}
		completed[string](w, "r")
		if got := w.kinds("r"); calls != 1 || slices.Contains(got, "worker.lost") {
			t.Errorf("%d calls, history %q", calls, got)
		}
	}, stepFlow("sessions", step, struct{}{}))
}

func TestDrain(t *testing.T) {
	step := workflows.NewStep("s", func(ctx context.Context, _ struct{}) (int, error) {
		time.Sleep(10 * time.Second)
		return 1, nil
	})
	flow := workflows.Define("drained", 1, func(ctx workflows.Context, _ struct{}) (int, error) {
		for range 3 {
			if _, err := step.Do(ctx, struct{}{}); err != nil {
				return 0, err
			}
		}
		return 3, nil
	})
	inWorld(t, func(w *world) {
		w.start("drained", "r", nil)
		time.Sleep(time.Second)
		w.Drain("r")
		time.Sleep(10 * time.Second)
		if got := w.kinds("r"); len(got) != 2 || w.runner.Stats().Replays == 0 {
			t.Errorf("history %q, %+v", got, w.runner.Stats())
		}
		completed[int](w, "r")
	}, flow)
}

func TestInputOfTheWrongType(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("three", "r", "text")
		if got := w.wait("r"); got.Status != workflows.Failed || got.Err.Type != workflows.ErrorInvalid {
			t.Errorf("got %+v", got)
		}
	}, threeSteps)
}

func TestVersionsOfAWorkflowWorkTogether(t *testing.T) {
	version := func(n uint32) workflows.Defined {
		return workflows.Define("versions", n, func(ctx workflows.Context, _ struct{}) (uint32, error) {
			return n, workflows.Sleep(ctx, time.Hour)
		})
	}
	inWorld(t, func(w *world) {
		for v := range uint32(4) {
			if _, err := w.Start(workflows.Start{ID: fmt.Sprint(v), Type: "versions", Version: v}); err != nil {
				t.Fatal(err)
			}
		}
		w.start("three", "t", 1)
		for v, want := range map[string]uint32{"0": 3, "1": 1, "2": 2, "3": 3} {
			if got := completed[uint32](w, v); got != want {
				t.Errorf("run of version %s ran on %d", v, got)
			}
		}
		completed[int](w, "t")
	}, version(1), threeSteps, version(3), version(2))
}

func TestRunnersThatCannotBe(t *testing.T) {
	ok := workflows.Define("ok", 1, func(workflows.Context, int) (int, error) { return 0, nil })
	for name, flows := range map[string][]workflows.Defined{
		"none":      {},
		"twice":     {ok, ok},
		"version 0": {workflows.Define("x", 0, func(workflows.Context, int) (int, error) { return 0, nil })},
		"no name":   {workflows.Define("", 1, func(workflows.Context, int) (int, error) { return 0, nil })},
		"no code":   {workflows.Define[int, int]("x", 1, nil)},
	} {
		if _, err := workflows.NewRunner(workflows.Config{}, flows...); event.CodeOf(err) != event.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := workflows.NewRunner(workflows.Config{Steps: -1}, ok); event.CodeOf(err) != event.CodeInvalid {
		t.Errorf("negative: %v", err)
	}
}

// silentCluster answers nothing.
type silentCluster struct{ *workflowstest.Cluster }

func (silentCluster) Define(ctx context.Context, _ workflows.Definition) error {
	<-ctx.Done()
	return ctx.Err()
}

// lines are what was written, each by itself.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

func TestAWorkerSaysThatItIsNotAnswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		said := make(lines, 10)
		flow := workflows.Define("flow", 1, func(workflows.Context, int) (int, error) { return 0, nil })
		r, err := workflows.NewRunner(workflows.Config{Name: "w", Logger: slog.New(slog.NewTextHandler(said, nil))}, flow)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := r.Run(ctx, silentCluster{workflowstest.NewCluster()}); err != nil {
			t.Error(err)
		}
		if got := <-said; len(said) > 0 || !strings.Contains(got, "has not answered") || !strings.Contains(got, "workflow=flow") {
			t.Errorf("it said %q, and %d more", got, len(said))
		}
	})
}

// record returns a history that some code made.
func (w *world) record(flow, id string) []event.Recorded {
	w.start(flow, id, nil)
	time.Sleep(time.Hour)
	r, err := w.Look(id)
	if err != nil {
		w.Fatal(err)
	}
	return w.Recorded(r.Number)
}

func TestDivergence(t *testing.T) {
	type code = func(workflows.Context) error
	one, two := workflows.NewStep("one", add(1)), workflows.NewStep("two", add(1))
	once := one.With(workflows.StepOptions{Retry: workflows.Retry{Attempts: 1}})
	do := func(s workflows.Step[int, int]) code {
		return func(ctx workflows.Context) error { _, err := s.Do(ctx, 1); return err }
	}
	sleep := func(ctx workflows.Context) error { return workflows.Sleep(ctx, time.Minute) }
	child := func(name string) code {
		return func(ctx workflows.Context) error {
			workflows.StartChildNamed[int](ctx, name, 1, workflows.ChildOptions{ID: "c"})
			return sleep(ctx)
		}
	}
	both := func(all ...code) code {
		return func(ctx workflows.Context) error {
			for _, f := range all {
				if err := f(ctx); err != nil {
					return err
				}
			}
			return nil
		}
	}
	for name, c := range map[string]struct {
		was, is code
		want    string // of recorded and asked; empty: none
	}{
		"same":                   {both(do(one), sleep, do(two)), both(do(one), sleep, do(two)), ""},
		"another step":           {both(do(one), do(two)), both(do(two), do(one)), `step.completed 1 "one" / step 1 "two"`},
		"a step for a timer":     {both(do(one), do(two)), sleep, `step.completed 1 "one" / timer.set 1`},
		"a timer for a step":     {both(sleep, sleep), both(do(one), sleep), `timer.set 1 / nothing`},
		"a step more at the end": {do(one), both(do(one), do(two)), `completed / nothing`},
		"a step less":            {both(do(one), do(two)), do(one), `step.completed 2 "two" / completed`},
		"a timer more":           {both(do(one), do(two)), both(do(one), sleep, do(two)), `step.completed 2 "two" / timer.set 2`},
		"a timer less":           {both(sleep, do(one)), do(one), `timer.set 1 / nothing`},
		"the length of a timer":  {sleep, func(ctx workflows.Context) error { return workflows.Sleep(ctx, time.Second) }, ""},
		"another child":          {child("x"), child("y"), `child.started 1 "x" "c" / child.started 1 "y" "c"`},
		"at most once":           {do(one), do(once), `step.completed 1 "one" / step.started 1 "one"`},
		"fails":                  {do(one), both(do(one), func(workflows.Context) error { return errors.New("x") }), `completed / failed`},
		"a change with a marker": {both(do(one), do(two)), both(do(one), func(ctx workflows.Context) error {
			if workflows.Version(ctx, "c", 0, 1) == 1 {
				return sleep(ctx)
			}
			return nil
		}, do(two)), ""},
		"a marker taken out": {both(func(ctx workflows.Context) error { workflows.Version(ctx, "c", 0, 1); return nil }, do(two)), do(two), `version.marked "c" / nothing`},
		"a version that is not there": {both(func(ctx workflows.Context) error { workflows.Version(ctx, "c", 0, 1); return nil }, do(two)),
			both(func(ctx workflows.Context) error { workflows.Version(ctx, "c", 2, 3); return nil }, do(two)), `version 1 of change "c" / versions 2 to 3`},
	} {
		t.Run(name, func(t *testing.T) {
			define := func(f code) workflows.Defined {
				return workflows.Define("d", 1, func(ctx workflows.Context, _ struct{}) (int, error) { return 0, f(ctx) })
			}
			inWorld(t, func(w *world) {
				history := w.record("d", "r")
				if err := workflows.Check(w.flows[0], history); err != nil {
					t.Errorf("its own code: %v", err)
				}
				err := workflows.Check(define(c.is), history)
				if c.want == "" {
					if err != nil {
						t.Errorf("diverges: %v", err)
					}
					return
				}
				var d *workflows.Divergence
				if !errors.As(err, &d) {
					t.Fatalf("got %v", err)
				}
				if got := d.Recorded + " / " + d.Asked; !strings.HasPrefix(got, c.want) {
					t.Errorf("got  %s\nwant %s", got, c.want)
				}
			}, define(c.was))
		})
	}
}

func TestADivergenceBlocksTheRunAndCommitsNothing(t *testing.T) {
	changed := false
	flow := workflows.Define("changes", 1, func(ctx workflows.Context, _ struct{}) (int, error) {
		if changed {
			if err := workflows.Sleep(ctx, time.Minute); err != nil {
				return 0, err
			}
		}
		if _, err := workflows.NewStep("one", add(1)).Do(ctx, 1); err != nil {
			return 0, err
		}
		return workflows.Signals[int](ctx, "go").Receive(ctx)
	})
	inWorld(t, func(w *world) {
		w.start("changes", "r", nil)
		time.Sleep(time.Second)
		before := w.kinds("r")
		changed = true
		w.crash()
		_ = w.Signal("r", "go", 5)
		reason, details := w.blockedBy("r")
		var d workflows.Divergence
		if err := json.Unmarshal([]byte(details), &d); err != nil || reason != "divergence" || d.Seq != 1 || d.Asked != "timer.set 1" {
			t.Errorf("blocked by %s: %s", reason, details)
		}
		if got := w.kinds("r"); !slices.Equal(got, append(before, "paused")) {
			t.Errorf("history %q", got)
		}
		changed = false
		_ = w.Retry("r")
		if got := completed[int](w, "r"); got != 5 {
			t.Errorf("got %d", got)
		}
	}, flow)
}

// Where the entries that a refusal speaks of do not come, the end does not wait for ever.
func TestAnEndThatIsRefusedIsInsistedOn(t *testing.T) {
	inWorld(t, func(w *world) {
		refused := 0
		w.OnAdvance(func(a *workflows.Advance) (f workflowstest.Fate) {
			for _, r := range a.Records {
				if end, ok := r.Do.(workflows.End); ok && !end.Insist {
					refused++
					f.Refuse = event.Errorf(event.CodeCheckFailed, "entries were not consumed")
				}
			}
			return f
		})
		w.start("three", "r", 1)
		if got := completed[int](w, "r"); got != 112 || refused != 1 {
			t.Errorf("got %d, refused %d times", got, refused)
		}
	}, threeSteps)
}

// What the code asks for at once may be more than a commit takes.
func TestManyCommandsAreSeveralAdvances(t *testing.T) {
	flow := workflows.Define("timers", 1, func(ctx workflows.Context, _ struct{}) (int, error) {
		var timers []workflows.Awaitable
		for range 1900 {
			timers = append(timers, workflows.After(ctx, time.Hour))
		}
		n, err := workflows.NewStep("s", func(context.Context, int) (int, error) { return 7, nil }).Do(ctx, 1)
		if err != nil {
			return 0, err
		}
		// 99 more than the timers are allowed.
		for range 200 {
			timers = append(timers, workflows.After(ctx, time.Hour))
		}
		err = workflows.All(ctx, timers...)
		if !errors.Is(err, &workflows.Error{Type: workflows.ErrorQuota}) {
			return 0, fmt.Errorf("too many timers: %v", err)
		}
		return n + workflows.Info(ctx).Events, nil
	})
	inWorld(t, func(w *world) {
		advances := 0
		w.OnAdvance(func(a *workflows.Advance) (f workflowstest.Fate) {
			if advances++; len(a.Records) > 500 {
				t.Errorf("%d records", len(a.Records))
			}
			f.LoseAfter = advances == 2
			return f
		})
		w.start("timers", "r", nil)
		got := completed[int](w, "r")
		// The end is not there yet when the code asks how long the history is.
		if events := len(w.kinds("r")) - 1; got != 7+events {
			t.Errorf("got %d of %d events", got, events)
		}
	}, flow)
}
