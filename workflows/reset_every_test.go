package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
	"github.com/edri-io/edri/workflows/workflowstest"
)

// manifold has all that can be open at a reset, several at a time, so that there are cuts
// between an input and what the code asked for after it, and within that.
var manifold = workflows.Define("manifold", 1, func(ctx workflows.Context, _ struct{}) (string, error) {
	once := workflows.NewStep("once", func(_ context.Context, n int) (int, error) {
		time.Sleep(time.Duration(n) * time.Second)
		return n, nil
	}, workflows.StepOptions{Retry: workflows.Retry{Attempts: 1}})
	flaky := workflows.NewStep("flaky", func(ctx context.Context, n int) (int, error) {
		if workflows.Attempt(ctx) == 1 {
			return 0, errors.New("once more")
		}
		return n, nil
	}, workflows.StepOptions{Retry: workflows.Retry{Initial: time.Minute}})
	ask := workflows.NewRequest[string, string]("asked", workflows.RequestOptions{Timeout: 5 * time.Second, Retry: workflows.Retry{Initial: time.Second, Attempts: 3}})

	a, b, c := once.Start(ctx, 1), flaky.Start(ctx, 2), once.Start(ctx, 3)
	first, second := workflows.After(ctx, 2*time.Second), workflows.After(ctx, 4*time.Second)
	request := ask.Start(ctx, "x")
	child := workflows.StartChildNamed[int](ctx, "three", 1, workflows.ChildOptions{})
	kept := workflows.StartChildNamed[int](ctx, "kept", nil, workflows.ChildOptions{OnClose: workflows.CloseAbandon})
	limited, cancel := workflows.WithCancel(ctx)
	never := workflows.NextEvent(limited, workflows.Match{Type: "never"})
	stopped := workflows.StartChildNamed[int](limited, "waits", nil, workflows.ChildOptions{OnClose: workflows.CloseAbandon})
	beside := workflows.Go(ctx, func(ctx workflows.Context) (string, error) {
		return workflows.Signals[string](ctx, "word").Receive(ctx)
	})
	if err := workflows.All(ctx, a, b, c, first, second, request, child, beside); err != nil {
		return "", err
	}
	workflows.Upsert(ctx, map[string]any{"in": "x"})
	if workflows.Version(ctx, "more", 0, 1) != 1 {
		return "", errors.New("is not marked")
	}
	cancel()
	_, stop := stopped.Get(ctx)
	_, gone := never.Get(ctx)
	if !errors.Is(stop, &workflows.Error{Type: workflows.ErrorCanceled}) || !errors.Is(gone, &workflows.Error{Type: workflows.ErrorCanceled}) {
		return "", fmt.Errorf("the child ended by %v, the wait by %v", stop, gone)
	}
	paid := workflows.NextEvent(ctx, workflows.Match{Type: "paid"})
	if err := workflows.All(ctx, paid, kept); err != nil {
		return "", err
	}
	word, err := beside.Get(ctx)
	if err == nil {
		err = workflows.Sleep(ctx, time.Second)
	}
	return word + workflows.NewID(ctx), err
})

var kept = workflows.Define("kept", 1, func(ctx workflows.Context, _ struct{}) (int, error) {
	return 0, workflows.Sleep(ctx, time.Minute)
})

func TestARunCanBeResetToEachOfItsRevisions(t *testing.T) {
	t.Parallel()
	for n := 1; ; n++ {
		last := false
		for _, crash := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				w := &world{T: t, Cluster: workflowstest.NewCluster(), flows: []workflows.Defined{manifold, kept, threeSteps, waits}}
				last = resetTo(w, n, crash)
			})
			if t.Failed() {
				t.Fatalf("after %d events, crash %v", n, crash)
			}
		}
		if last {
			if n < 30 {
				t.Fatalf("the history has %d events", n)
			}
			return
		}
	}
}

// resetTo resets a run of manifold that has ended to the first n events of its history, and
// what comes of that to one more, twice. It reports whether n can be no larger.
func resetTo(w *world, n int, crash bool) (last bool) {
	asked := 0
	w.Handle("asked", func(event.Event) (any, error) {
		asked++
		if asked%2 == 1 {
			return nil, errors.New("not yet")
		}
		return "answer", nil
	})
	w.work()
	defer func() { w.stop() }()
	done := make(chan struct{})
	defer close(done)
	go func() {
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			case <-time.After(time.Minute):
			}
			w.Append("payments", event.Event{ID: fmt.Sprint(n), Source: "/bank", Type: "paid"})
		}
	}()
	w.start("manifold", "r", nil)
	if err := w.Signal("r", "word", "hello"); err != nil {
		w.Fatal(err)
	}
	want := completed[string](w, "r")
	r, _ := w.Look("r")
	history := w.Recorded(r.Number)
	last = n == len(history)-1
	for i := range 3 {
		if n >= len(history) {
			break
		}
		number, err := w.Reset("r", history[n-1].Revision)
		if err != nil {
			w.Fatal(err)
		}
		time.Sleep(time.Duration(n%5) * time.Second)
		if crash {
			time.Sleep(4 * time.Second) // steps that run at most once have ended
			w.crash()
		}
		if i != 1 { // the second time it is reset while it is under way
			if got := completed[string](w, "r"); got != want {
				w.Errorf("the run has the result %q, want %q", got, want)
			}
		}
		history = w.Recorded(number)
		if err := workflows.Check(manifold, history); err != nil {
			w.Errorf("%v\n%s", err, strings.Join(w.kinds("r"), " "))
		}
		n++
	}
	time.Sleep(2 * time.Hour)
	if numbers, ended := w.Runs(); ended != len(numbers) {
		w.Errorf("%d of %d runs have ended", ended, len(numbers))
	}
	return last
}
