package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers"
	"github.com/edri-io/edri/workflows"
)

// stepFlow is a workflow of one step, whose error is its result.
func stepFlow[In, Out any](name string, step workflows.Step[In, Out], in In) workflows.Defined {
	return workflows.Define(name, 1, func(ctx workflows.Context, _ struct{}) (string, error) {
		began := workflows.Now(ctx)
		out, err := step.Do(ctx, in)
		took := workflows.Now(ctx).Sub(began)
		var e *workflows.Error
		if errors.As(err, &e) {
			return fmt.Sprintf("%s %s after %v", e.Type, e.Details, took), nil
		}
		return fmt.Sprintf("%v after %v", out, took), err
	})
}

func TestRetriesAndTimeouts(t *testing.T) {
	exact := workflows.Retry{Initial: time.Second, Jitter: workflows.NoJitter, Attempts: 4}
	with := func(change func(*workflows.StepOptions)) workflows.StepOptions {
		o := workflows.StepOptions{Retry: exact}
		change(&o)
		return o
	}
	fails := func(ctx context.Context, _ struct{}) (int, error) { return 0, workflows.NewError("bad", "", nil) }
	hangs := func(ctx context.Context, _ struct{}) (int, error) { <-ctx.Done(); return 0, ctx.Err() }
	deaf := func(ctx context.Context, _ struct{}) (int, error) { time.Sleep(time.Hour); return 7, nil }
	none := func(*workflows.StepOptions) {}
	for name, c := range map[string]struct {
		step    func(context.Context, struct{}) (int, error)
		options workflows.StepOptions
		want    string
	}{
		"backoff doubles":       {fails, with(none), "bad  after 7s"},
		"backoff has a longest": {fails, with(func(o *workflows.StepOptions) { o.Retry.Max = time.Second }), "bad  after 3s"},
		"factor":                {fails, with(func(o *workflows.StepOptions) { o.Retry.Factor = 3 }), "bad  after 13s"},
		"types that are final":  {fails, with(func(o *workflows.StepOptions) { o.Retry.NonRetryable = []string{"bad"} }), "bad  after 0s"},
		"errors that are final": {func(context.Context, struct{}) (int, error) { return 0, workflows.Final(errors.New("x")) }, with(none), "error  after 0s"},
		"second attempt succeeds": {func(ctx context.Context, _ struct{}) (int, error) {
			if workflows.Attempt(ctx) < 2 {
				return 0, errors.New("x")
			}
			return 5, nil
		}, with(none), "5 after 1s"},
		"start to close": {hangs, with(func(o *workflows.StepOptions) { o.StartToClose = time.Minute; o.Retry.Attempts = 2 }),
			`edri.timeout {"timeout":"start_to_close"} after 2m1s`},
		"start to close of a function that does not look": {deaf, with(func(o *workflows.StepOptions) { o.StartToClose = time.Minute; o.Retry.Attempts = 2 }),
			`edri.timeout {"timeout":"start_to_close"} after 2m1s`},
		"schedule to close": {hangs, with(func(o *workflows.StepOptions) { o.ScheduleToClose = time.Minute; o.StartToClose = 25 * time.Second }),
			`edri.timeout {"timeout":"schedule_to_close"} after 1m0s`},
		"schedule to close in a wait": {fails, with(func(o *workflows.StepOptions) { o.ScheduleToClose = 2 * time.Second }),
			`edri.timeout {"timeout":"schedule_to_close","last":{"type":"bad","message":""}} after 1s`},
		"heartbeat": {func(ctx context.Context, _ struct{}) (int, error) {
			for i := range 5 {
				_ = workflows.Heartbeat(ctx, i)
				time.Sleep(20 * time.Second)
			}
			<-ctx.Done()
			return 0, ctx.Err()
		}, with(func(o *workflows.StepOptions) { o.Heartbeat = 30 * time.Second; o.Retry.Attempts = 1 }),
			`edri.timeout {"timeout":"heartbeat","heartbeat":4} after 1m50s`},
		"panic": {func(context.Context, struct{}) (int, error) { panic("oh") }, with(func(o *workflows.StepOptions) { o.Retry.Attempts = 1 }), "edri.panic {"},
		"goexit": {func(context.Context, struct{}) (int, error) { runtime.Goexit(); return 0, nil },
			with(func(o *workflows.StepOptions) { o.Retry.Attempts = 1 }), "edri.panic {"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.start("step", "r", nil)
				if got := completed[string](w, "r"); !strings.HasPrefix(got, c.want) || strings.HasSuffix(c.want, "s") && got != c.want {
					t.Errorf("got  %s\nwant %s", got, c.want)
				}
				time.Sleep(3 * time.Hour) // of functions that do not look
			}, stepFlow("step", workflows.NewStep("s", c.step, c.options), struct{}{}))
		})
	}
}

func TestStepsWaitForASlot(t *testing.T) {
	var running, most atomic.Int32
	step := workflows.NewStep("s", func(ctx context.Context, _ struct{}) (int, error) {
		most.Store(max(most.Load(), running.Add(1)))
		defer running.Add(-1)
		time.Sleep(time.Minute)
		return 0, nil
	}, workflows.StepOptions{ScheduleToStart: 90 * time.Second, Retry: workflows.Retry{Attempts: 1}})
	flow := workflows.Define("slots", 1, func(ctx workflows.Context, _ struct{}) (late int, err error) {
		var all []*workflows.Future[int]
		for range 10 {
			all = append(all, step.Start(ctx, struct{}{}))
		}
		for _, f := range all {
			_, err := f.Get(ctx)
			var e *workflows.Error
			if errors.As(err, &e) && string(e.Details) == `{"timeout":"schedule_to_start"}` {
				late++
			}
		}
		return late, nil
	})
	inWorld(t, func(w *world) {
		w.stop()
		w.cfg.Steps = 3
		w.work()
		w.start("slots", "r", nil)
		if got := completed[int](w, "r"); got != 4 || most.Load() != 3 {
			t.Errorf("%d were late, at most %d ran", got, most.Load())
		}
	}, flow)
}

func TestAStepOutOfAttemptsPausesTheRun(t *testing.T) {
	broken := true
	var attempts []int
	step := workflows.NewStep("s", func(ctx context.Context, _ struct{}) (int, error) {
		attempts = append(attempts, workflows.Attempt(ctx))
		if broken {
			return 0, errors.New("broken")
		}
		return 1, nil
	}, workflows.StepOptions{Retry: workflows.Retry{Attempts: 2, Exhausted: workflows.Pause}})
	inWorld(t, func(w *world) {
		w.start("pauses", "r", nil)
		for range 2 {
			reason, details := w.blockedBy("r")
			if reason != "step failed" || !strings.Contains(details, `"seq":1`) {
				t.Fatalf("blocked by %s: %s", reason, details)
			}
			if err := w.Retry("r"); err != nil {
				t.Fatal(err)
			}
		}
		w.blockedBy("r")
		w.stop() // and a worker that was not there for it goes on
		w.work()
		broken = false
		if err := w.Retry("r"); err != nil {
			t.Fatal(err)
		}
		if got := completed[string](w, "r"); !strings.HasPrefix(got, "1 after") {
			t.Errorf("got %s", got)
		}
		if want := []int{1, 2, 1, 2, 1, 2, 1}; !slices.Equal(attempts, want) {
			t.Errorf("attempts %v, want %v", attempts, want)
		}
	}, stepFlow("pauses", step, struct{}{}))
}

func TestAtMostOnceStepOfALostWorker(t *testing.T) {
	for name, leave := range map[string]func(*world){
		"crash":         (*world).crash,
		"graceful stop": func(w *world) { w.stop(); w.work() },
	} {
		calls := 0
		step := workflows.NewStep("once", func(ctx context.Context, _ struct{}) (int, error) {
			calls++
			<-ctx.Done()
			return 0, ctx.Err()
		}, workflows.StepOptions{Retry: workflows.Retry{Attempts: 1}})
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.start("once", "r", nil)
				time.Sleep(time.Minute)
				if got := w.kinds("r"); !slices.Equal(got, []string{"started", "step.started"}) {
					t.Fatalf("history before it ran: %q", got)
				}
				leave(w)
				if got := completed[string](w, "r"); !strings.HasPrefix(got, "edri.outcome_unknown") || calls != 1 {
					t.Errorf("got %s, %d calls", got, calls)
				}
			}, stepFlow("once", step, struct{}{}))
		})
	}
}

func TestALostWorkerCountsAnAttempt(t *testing.T) {
	var attempts []int
	var mu sync.Mutex
	step := workflows.NewStep("s", func(ctx context.Context, _ struct{}) (int, error) {
		mu.Lock()
		attempts = append(attempts, workflows.Attempt(ctx))
		mu.Unlock()
		<-ctx.Done()
		return 0, ctx.Err()
	}, workflows.StepOptions{Retry: workflows.Retry{Attempts: 3}})
	inWorld(t, func(w *world) {
		w.start("lost", "r", nil)
		for range 3 {
			time.Sleep(time.Minute)
			w.crash()
		}
		if got := completed[string](w, "r"); !strings.HasPrefix(got, "edri.worker_lost") {
			t.Errorf("got %s", got)
		}
		if !slices.Equal(attempts, []int{1, 2, 3}) {
			t.Errorf("attempts %v", attempts)
		}
	}, stepFlow("lost", step, struct{}{}))
}

func TestAGracefulStopDoesNot(t *testing.T) {
	var attempts []int
	step := workflows.NewStep("s", func(ctx context.Context, _ struct{}) (int, error) {
		attempts = append(attempts, workflows.Attempt(ctx))
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(time.Minute):
			return 1, nil
		}
	}, workflows.StepOptions{Retry: workflows.Retry{Attempts: 2}})
	inWorld(t, func(w *world) {
		w.start("stopped", "r", nil)
		for range 3 {
			time.Sleep(time.Second)
			w.stop()
			w.work()
		}
		completed[string](w, "r")
		if !slices.Equal(attempts, []int{1, 1, 1, 1}) {
			t.Errorf("attempts %v", attempts)
		}
	}, stepFlow("stopped", step, struct{}{}))
}

func TestAGracefulStopCommitsWhatSteps(t *testing.T) {
	calls := 0
	step := workflows.NewStep("s", func(ctx context.Context, _ struct{}) (int, error) {
		calls++
		time.Sleep(4 * time.Second) // less than the grace
		return calls, nil
	})
	flow := workflows.Define("grace", 1, func(ctx workflows.Context, _ struct{}) (int, error) {
		if _, err := step.Do(ctx, struct{}{}); err != nil {
			return 0, err
		}
		return step.Do(ctx, struct{}{})
	})
	inWorld(t, func(w *world) {
		w.start("grace", "r", nil)
		time.Sleep(time.Second)
		w.stop()
		if got := w.kinds("r"); !slices.Equal(got, []string{"started", "step.completed"}) {
			t.Errorf("history %q", got)
		}
		w.work()
		if got := completed[int](w, "r"); got != 2 {
			t.Errorf("%d calls", got)
		}
	}, flow)
}

func TestEffectsAreCommittedWithTheResult(t *testing.T) {
	var ids []string
	step := workflows.NewStep("s", func(ctx context.Context, n int) (int, error) {
		ids = append(ids, workflows.EffectID(ctx))
		workflows.Effects(ctx).Emit("ledger", "charged", n)
		workflows.Effects(ctx).Put("", fmt.Sprint("order/", n), n)
		if workflows.Attempt(ctx) < 3 {
			return 0, errors.New("not yet")
		}
		return n, nil
	})
	flow := workflows.Define("effects", 1, func(ctx workflows.Context, _ struct{}) (int, error) {
		a, b := step.Start(ctx, 1), step.Start(ctx, 2)
		return 0, workflows.All(ctx, a, b)
	})
	inWorld(t, func(w *world) {
		w.start("effects", "r", nil)
		completed[int](w, "r")
		var got []string
		for _, e := range w.Stream("ledger") {
			correlation := e.Extensions[event.AttrCorrelation].String()
			got = append(got, string(e.Data)+" "+e.Source+" "+e.ID+" "+correlation)
		}
		slices.Sort(got)
		if want := []string{"1 /workflows/effects 1/1/0 r", "2 /workflows/effects 1/2/0 r"}; !slices.Equal(got, want) {
			t.Errorf("effects %q", got)
		}
		if k, ok := w.Key("default", "order/2"); !ok || string(k.Value) != "2" {
			t.Errorf("key %+v", k)
		}
		slices.Sort(ids)
		if got := slices.Compact(ids); !slices.Equal(got, []string{"r/1/1", "r/1/2"}) {
			t.Errorf("effect ids %q", got)
		}
	}, flow)
}

func TestRefusedEffectsFailTheAttempt(t *testing.T) {
	after := 0 // calls of a step that comes after
	step := workflows.NewStep("s", func(ctx context.Context, _ struct{}) (int, error) {
		e := workflows.Effects(ctx)
		e.Emit("taken", "taken", workflows.Attempt(ctx))
		if workflows.Attempt(ctx) < 3 {
			e.Appends[0].Expected = 0 // that it does not exist
		}
		return workflows.Attempt(ctx), nil
	}, workflows.StepOptions{Retry: workflows.Retry{Attempts: 3}})
	next := workflows.NewStep("next", func(_ context.Context, n int) (int, error) { after++; return n, nil })
	flow := workflows.Define("refused", 1, func(ctx workflows.Context, _ struct{}) (int, error) {
		n, err := step.Do(ctx, struct{}{})
		if err != nil {
			return 0, err
		}
		return next.Do(ctx, n)
	})
	failing := workflows.NewStep("s", func(ctx context.Context, _ struct{}) (int, error) {
		workflows.Effects(ctx).Keys = append(workflows.Effects(ctx).Keys, managers.KeyChange{Key: "k", Expected: new(event.Position)})
		return 1, nil
	}, workflows.StepOptions{Retry: workflows.Retry{Attempts: 1}})
	invalid := workflows.NewStep("s", func(ctx context.Context, _ struct{}) (int, error) {
		workflows.Effects(ctx).Emit("s", "t", func() {})
		return 1, nil
	})
	inWorld(t, func(w *world) {
		w.Append("taken", event.Event{ID: "1", Source: "/x", Type: "t"})
		w.start("refused", "r", nil)
		if got := completed[int](w, "r"); got != 3 || after != 1 {
			t.Errorf("attempt %d took effect, the next step ran %d times", got, after)
		}
		if got := len(w.Stream("taken")); got != 2 {
			t.Errorf("%d events", got)
		}
		w.start("key", "a", nil)
		completed[string](w, "a")
		w.start("key", "k", nil)
		if got := completed[string](w, "k"); !strings.HasPrefix(got, `edri.refused {"code":"revision_conflict"`) {
			t.Errorf("got %s", got)
		}
		w.start("invalid", "i", nil)
		if got := completed[string](w, "i"); !strings.HasPrefix(got, `edri.invalid`) {
			t.Errorf("got %s", got)
		}
	}, flow, stepFlow("key", failing, struct{}{}), stepFlow("invalid", invalid, struct{}{}))
}

func TestAResultOfTwoMebibytesFailsTheStep(t *testing.T) {
	calls := 0
	big := workflows.NewStep("big", func(context.Context, struct{}) (string, error) {
		calls++
		return strings.Repeat("x", 2<<20), nil
	})
	bigError := workflows.NewStep("fails", func(context.Context, struct{}) (string, error) {
		long := strings.Repeat("x", 2<<20)
		return "", workflows.Final(workflows.NewError("huge", long, long))
	})
	inWorld(t, func(w *world) {
		w.start("big", "r", nil)
		if got := completed[string](w, "r"); !strings.HasPrefix(got, "edri.too_large") || calls != 1 {
			t.Errorf("got %s after %d calls", got, calls)
		}
		w.start("fails", "f", nil)
		if got := completed[string](w, "f"); len(got) > 100 || !strings.HasPrefix(got, "huge") {
			t.Errorf("got %d bytes: %.100s", len(got), got)
		}
	}, stepFlow("big", big, struct{}{}), stepFlow("fails", bigError, struct{}{}))
}

func TestStepsAreCanceled(t *testing.T) {
	var saw error
	hangs := workflows.NewStep("hangs", func(ctx context.Context, _ struct{}) (int, error) {
		<-ctx.Done()
		saw = context.Cause(ctx)
		return 0, ctx.Err()
	})
	finishes := workflows.NewStep("finishes", func(ctx context.Context, _ struct{}) (int, error) {
		<-ctx.Done()
		return 9, nil
	})
	fails := workflows.NewStep("fails", func(ctx context.Context, _ struct{}) (int, error) { return 0, errors.New("x") },
		workflows.StepOptions{Retry: workflows.Retry{Initial: time.Hour, Jitter: workflows.NoJitter}})
	breaks := workflows.NewStep("breaks", func(ctx context.Context, _ struct{}) (int, error) {
		<-ctx.Done()
		return 0, errors.New("broken")
	})
	flow := workflows.Define("canceled", 1, func(ctx workflows.Context, _ struct{}) ([]string, error) {
		d := breaks.Start(ctx, struct{}{})
		a, b, c := hangs.Start(ctx, struct{}{}), finishes.Start(ctx, struct{}{}), fails.Start(ctx, struct{}{})
		var got []string
		for _, f := range []*workflows.Future[int]{a, b, c, d} {
			n, err := f.Get(ctx)
			got = append(got, fmt.Sprint(n, err))
		}
		_, err := hangs.Do(ctx, struct{}{})
		got = append(got, fmt.Sprint(err))
		return got, nil
	})
	inWorld(t, func(w *world) {
		w.start("canceled", "r", nil)
		time.Sleep(time.Minute)
		_ = w.Cancel("r", "enough")
		got := completed[[]string](w, "r")
		want := []string{"0 edri.canceled: the step was canceled", "9 <nil>", "0 edri.canceled: enough", "0 error: broken", "edri.canceled: enough"}
		if !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
		if saw == nil || saw.Error() != "the step is canceled" {
			t.Errorf("the step saw %v", saw)
		}
	}, flow)
}
