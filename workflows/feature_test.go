package workflows_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

func TestParallelSteps(t *testing.T) {
	slow := workflows.NewStep("slow", func(ctx context.Context, d time.Duration) (string, error) {
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(d):
			return d.String(), nil
		}
	})
	flow := workflows.Define("parallel", 1, func(ctx workflows.Context, _ struct{}) (string, error) {
		began := workflows.Now(ctx)
		three, two, one := slow.Start(ctx, 3*time.Second), slow.Start(ctx, 2*time.Second), slow.Start(ctx, time.Second)
		first, err := workflows.First(ctx, three, two, one)
		if err != nil {
			return "", err
		}
		twoOf, err := workflows.FirstN(ctx, 2, three, two, one)
		if err != nil {
			return "", err
		}
		if err := workflows.All(ctx, three, two, one); err != nil {
			return "", err
		}
		a, _ := three.Get(ctx)
		return fmt.Sprint(first, twoOf, a, workflows.Now(ctx).Sub(began).Round(time.Second)), nil
	})
	inWorld(t, func(w *world) {
		w.start("parallel", "r", nil)
		if got, want := completed[string](w, "r"), "2 [1 2]3s3s"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}, flow)
}

func TestSleepNeedsNoWorker(t *testing.T) {
	flow := workflows.Define("sleeper", 1, func(ctx workflows.Context, d time.Duration) (time.Duration, error) {
		began := workflows.Now(ctx)
		if err := workflows.Sleep(ctx, d); err != nil {
			return 0, err
		}
		return workflows.Now(ctx).Sub(began), nil
	})
	inWorld(t, func(w *world) {
		w.start("sleeper", "r", 48*time.Hour)
		time.Sleep(time.Hour)
		w.stop()
		time.Sleep(24 * time.Hour)
		w.work()
		if got := completed[time.Duration](w, "r"); got != 48*time.Hour {
			t.Errorf("slept %v", got)
		}
		if want := []string{"started", "timer.set", "timer.fired", "completed"}; !slices.Equal(w.kinds("r"), want) {
			t.Errorf("history %q", w.kinds("r"))
		}
	}, flow)
}

func TestSignalsAreKeptUntilTheyAreReceived(t *testing.T) {
	flow := workflows.Define("signals", 1, func(ctx workflows.Context, _ struct{}) ([]string, error) {
		words := workflows.Signals[string](ctx, "word")
		others := workflows.Signals[int](ctx, "number")
		if err := workflows.Sleep(ctx, time.Minute); err != nil {
			return nil, err
		}
		var got []string
		for range 2 {
			word, err := words.Receive(ctx)
			if err != nil {
				return nil, err
			}
			got = append(got, word)
		}
		if _, ok, _ := words.TryReceive(ctx); ok {
			return nil, errors.New("a third word")
		}
		if _, ok, err := words.ReceiveFor(ctx, time.Minute); ok || err != nil {
			return nil, fmt.Errorf("a word in time: %v %v", ok, err)
		}
		n, err := others.Receive(ctx)
		if err != nil {
			return nil, err
		}
		if _, err := words.Receive(ctx); !errors.Is(err, &workflows.Error{Type: workflows.ErrorInvalid}) {
			return nil, fmt.Errorf("input of another type: %v", err)
		}
		return append(got, fmt.Sprint(n)), nil
	})
	inWorld(t, func(w *world) {
		w.start("signals", "r", nil)
		for _, word := range []string{"a", "b"} {
			if err := w.Signal("r", "word", word); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Signal("r", "number", 7); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if err := w.Signal("r", "word", 1); err != nil {
			t.Fatal(err)
		}
		if got, want := completed[[]string](w, "r"), []string{"a", "b", "7"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}, flow)
}

func TestSelectWithTimeout(t *testing.T) {
	flow := workflows.Define("select", 1, func(ctx workflows.Context, _ struct{}) (string, error) {
		a, b := workflows.Signals[string](ctx, "a"), workflows.Signals[string](ctx, "b")
		timer, stop := workflows.WithCancel(ctx)
		late := workflows.After(timer, time.Hour)
		got := ""
		for {
			i, err := workflows.First(ctx, a, b, late)
			if err != nil {
				return "", err
			}
			switch i {
			case 0:
				v, _, _ := a.TryReceive(ctx)
				got += "a" + v
			case 1:
				v, _, _ := b.TryReceive(ctx)
				stop()
				return got + "b" + v, nil
			case 2:
				return got + "late", nil
			}
		}
	})
	inWorld(t, func(w *world) {
		w.start("select", "r", nil)
		_ = w.Signal("r", "a", "1")
		_ = w.Signal("r", "b", "2")
		if got := completed[string](w, "r"); got != "a1b2" {
			t.Errorf("got %q", got)
		}
		w.start("select", "late", nil)
		_ = w.Signal("late", "a", "1")
		if got := completed[string](w, "late"); got != "a1late" {
			t.Errorf("got %q", got)
		}
	}, flow)
}

func TestDeadlineCancelsWhatIsUnderIt(t *testing.T) {
	forever := workflows.NewStep("forever", func(ctx context.Context, _ struct{}) (int, error) {
		<-ctx.Done()
		return 0, context.Cause(ctx)
	})
	flow := workflows.Define("deadline", 1, func(ctx workflows.Context, _ struct{}) ([]string, error) {
		limited, cancel := workflows.WithTimeout(ctx, time.Minute)
		defer cancel()
		var got []string
		_, err := forever.Do(limited, struct{}{})
		got = append(got, err.(*workflows.Error).Type)
		err = workflows.Sleep(limited, time.Hour)
		got = append(got, err.(*workflows.Error).Type)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		// A deadline that is not met costs nothing.
		limited, cancel = workflows.WithDeadline(ctx, workflows.Now(ctx).Add(time.Hour))
		err = workflows.Sleep(limited, time.Minute)
		cancel()
		got = append(got, fmt.Sprint(err, limited.Err() != nil))
		return got, nil
	})
	inWorld(t, func(w *world) {
		w.start("deadline", "r", nil)
		got := completed[[]string](w, "r")
		if want := []string{"edri.canceled", "edri.timeout", "<nil> true"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}, flow)
}

func TestCancelRunsCleanup(t *testing.T) {
	var undone []string
	undo := workflows.NewStep("undo", func(_ context.Context, s string) (struct{}, error) {
		undone = append(undone, s)
		return struct{}{}, nil
	})
	flow := workflows.Define("cleanup", 1, func(ctx workflows.Context, _ struct{}) (int, error) {
		for _, s := range []string{"a", "b"} {
			workflows.Compensate(ctx, func(ctx workflows.Context) error {
				_, err := undo.Do(ctx, s)
				return err
			})
		}
		err := workflows.Sleep(ctx, time.Hour)
		if _, err := undo.Do(workflows.WithoutCancel(ctx), "first"); err != nil {
			return 0, err
		}
		return 0, err
	})
	inWorld(t, func(w *world) {
		w.start("cleanup", "r", nil)
		time.Sleep(time.Minute)
		if err := w.Cancel("r", "not wanted"); err != nil {
			t.Fatal(err)
		}
		if got := w.wait("r"); got.Status != workflows.Canceled || got.Err.Message != "not wanted" {
			t.Errorf("got %+v", got)
		}
		if want := []string{"first", "b", "a"}; !slices.Equal(undone, want) {
			t.Errorf("undone %q", undone)
		}
	}, flow)
}

func TestCompensationOfAFailure(t *testing.T) {
	flow := workflows.Define("saga", 1, func(ctx workflows.Context, _ struct{}) (int, error) {
		workflows.Compensate(ctx, func(workflows.Context) error { return errors.New("cannot be undone") })
		return 0, workflows.NewError("declined", "no money", map[string]int{"missing": 3})
	})
	inWorld(t, func(w *world) {
		w.start("saga", "r", nil)
		got := w.wait("r")
		if got.Status != workflows.Failed || got.Err.Type != "declined" || !strings.Contains(got.Err.Message, "cannot be undone") {
			t.Errorf("got %+v", got)
		}
		var details map[string]int
		if err := got.Err.Decode(&details); err != nil || details["missing"] != 3 {
			t.Errorf("details %v, %v", details, err)
		}
	}, flow)
}

type outOfStock struct{ Item string }

func (e *outOfStock) Error() string { return "out of stock: " + e.Item }

func TestErrorsKeepTheirType(t *testing.T) {
	step := workflows.NewStep("fail", func(_ context.Context, how string) (int, error) {
		switch how {
		case "typed":
			return 0, fmt.Errorf("reserve: %w", &outOfStock{"nail"})
		case "own":
			return 0, fmt.Errorf("reserve: %w", workflows.NewError("gone", "", []int{1}))
		case "edri":
			return 0, event.Errorf(event.CodeDenied, "no")
		}
		return 0, errors.New("plain")
	}, workflows.StepOptions{Retry: workflows.Retry{Attempts: 2, Initial: time.Second}})
	flow := workflows.Define("errors", 1, func(ctx workflows.Context, _ struct{}) ([]string, error) {
		var got []string
		for _, how := range []string{"typed", "own", "edri", "plain"} {
			_, err := step.Do(ctx, how)
			var e *workflows.Error
			if !errors.As(err, &e) {
				return nil, err
			}
			got = append(got, e.Type+"|"+e.Message+"|"+string(e.Details))
		}
		return got, nil
	})
	inWorld(t, func(w *world) {
		w.start("errors", "r", nil)
		want := []string{
			"workflows_test.outOfStock|reserve: out of stock: nail|",
			"gone|reserve: gone|[1]",
			"edri.denied|denied: no|",
			"error|plain|",
		}
		if got := completed[[]string](w, "r"); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}, flow)
}

func TestQueriesAlsoAfterTheEnd(t *testing.T) {
	flow := workflows.Define("queried", 1, func(ctx workflows.Context, _ struct{}) (int, error) {
		n := 0
		workflows.HandleQuery(ctx, "count", func(times int) (int, error) { return n * times, nil })
		workflows.HandleQuery(ctx, "bad", func(struct{}) (int, error) { return 0, workflows.Sleep(ctx, 1) })
		for range 3 {
			if _, err := workflows.Signals[int](ctx, "go").Receive(ctx); err != nil {
				return 0, err
			}
			n++
		}
		return n, nil
	})
	inWorld(t, func(w *world) {
		w.start("queried", "r", nil)
		ask := func(name string, in any) string {
			got, err := w.Query(w.Context(), "r", name, in)
			return fmt.Sprint(string(got), " ", err)
		}
		_ = w.Signal("r", "go", 1)
		time.Sleep(time.Second)
		if got := ask("count", 10); got != "10 <nil>" {
			t.Errorf("got %s", got)
		}
		if got := ask("bad", nil); !strings.Contains(got, "must not change") {
			t.Errorf("got %s", got)
		}
		if got := ask("none", nil); !strings.Contains(got, "edri.not_found") || !strings.Contains(got, "bad, count") {
			t.Errorf("got %s", got)
		}
		if got := ask("count", "x"); !strings.Contains(got, "edri.invalid") {
			t.Errorf("got %s", got)
		}
		_ = w.Signal("r", "go", 1)
		_ = w.Signal("r", "go", 1)
		if got := completed[int](w, "r"); got != 3 {
			t.Errorf("result %d", got)
		}
		if got := ask("count", 1); got != "3 <nil>" {
			t.Errorf("after the end: %s", got)
		}
	}, flow)
}

func TestUpdates(t *testing.T) {
	step := workflows.NewStep("double", func(_ context.Context, n int) (int, error) { return 2 * n, nil })
	flow := workflows.Define("updated", 1, func(ctx workflows.Context, _ struct{}) (int, error) {
		sum := 0
		workflows.HandleUpdate(ctx, "add", func(ctx workflows.Context, n int) (int, error) {
			n, err := step.Do(ctx, n)
			sum += n
			return sum, err
		}, func(n int) error {
			if n < 0 {
				return errors.New("negative")
			}
			return nil
		})
		workflows.HandleUpdate(ctx, "never", func(ctx workflows.Context, _ struct{}) (int, error) {
			return 0, workflows.Sleep(ctx, 1000*time.Hour)
		}, nil)
		return sum, workflows.Await(ctx, func() bool { return sum >= 10 })
	})
	inWorld(t, func(w *world) {
		w.start("updated", "r", nil)
		update := func(name string, in any) string {
			got, err := w.Update(w.Context(), "r", name, in)
			return fmt.Sprint(string(got), " ", err)
		}
		if got := update("add", 2); got != "4 <nil>" {
			t.Errorf("got %s", got)
		}
		before := w.kinds("r")
		for name, in := range map[string]any{"add": -1, "none": 1} {
			if got := update(name, in); !strings.Contains(got, "negative") && !strings.Contains(got, "not_found") {
				t.Errorf("got %s", got)
			}
		}
		if !slices.Equal(before, w.kinds("r")) {
			t.Errorf("updates that were rejected left %q", w.kinds("r")[len(before):])
		}
		never := make(chan string)
		go func() { never <- update("never", nil) }()
		time.Sleep(time.Second)
		if got := update("add", 3); got != "10 <nil>" {
			t.Errorf("got %s", got)
		}
		completed[int](w, "r")
		if got := <-never; !strings.Contains(got, "edri.unhandled") {
			t.Errorf("got %s", got)
		}
		count := make(map[string]int)
		for _, kind := range w.kinds("r") {
			count[kind]++
		}
		if count["update.accepted"] != 3 || count["update.completed"] != 3 {
			t.Errorf("history %v", count)
		}
	}, flow)
}

func TestChildren(t *testing.T) {
	child := workflows.Define("child", 1, func(ctx workflows.Context, n int) (int, error) {
		switch {
		case n < 0:
			return 0, workflows.NewError("negative", "", nil)
		case n > 100:
			return 0, workflows.Sleep(ctx, 1000*time.Hour)
		}
		return 2 * n, workflows.Sleep(ctx, time.Hour)
	})
	flow := workflows.Define("parent", 1, func(ctx workflows.Context, _ struct{}) ([]string, error) {
		var got []string
		n, err := child.RunChild(ctx, 4)
		got = append(got, fmt.Sprint(n, err))
		_, err = child.RunChild(ctx, -1)
		got = append(got, err.Error())
		scope, cancel := workflows.WithCancel(ctx)
		long := child.StartChild(scope, 200)
		if err := workflows.Sleep(ctx, time.Minute); err != nil {
			return nil, err
		}
		cancel()
		_, err = long.Get(ctx)
		got = append(got, err.Error())
		_, err = workflows.StartChildNamed[int](ctx, "nobody", 1, workflows.ChildOptions{}).Get(ctx)
		got = append(got, err.(*workflows.Error).Type)
		_, err = child.RunChild(ctx, 1, workflows.ChildOptions{ID: strings.Repeat("x", 201)})
		got = append(got, err.(*workflows.Error).Type)
		child.StartChild(ctx, 300, workflows.ChildOptions{ID: "left", OnClose: workflows.CloseAbandon})
		child.StartChild(ctx, 300, workflows.ChildOptions{ID: "asked", OnClose: workflows.CloseCancel})
		child.StartChild(ctx, 300, workflows.ChildOptions{ID: "ended"})
		return got, nil
	})
	inWorld(t, func(w *world) {
		w.start("parent", "r", nil)
		got := completed[[]string](w, "r")
		want := []string{"8 <nil>", "negative", "edri.canceled: by the workflow's code", "edri.not_found", "edri.invalid"}
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		time.Sleep(time.Minute)
		for id, want := range map[string]workflows.Status{"left": workflows.Running, "asked": workflows.Canceled, "ended": workflows.Terminated} {
			if got, err := w.Look(id); err != nil || got.Status != want {
				t.Errorf("child %s is %s (%v), want %s", id, got.Status, err, want)
			}
		}
		_ = w.Terminate("left", "")
	}, flow, child)
}

func TestContinueAsNewCarriesSignals(t *testing.T) {
	flow := workflows.Define("loop", 1, func(ctx workflows.Context, n int) (string, error) {
		if n < 3 {
			return "", workflows.ContinueAsNew(n + 1)
		}
		word, err := workflows.Signals[string](ctx, "word").Receive(ctx)
		return fmt.Sprint(n, word), err
	})
	wrong := workflows.Define("wrong", 1, func(ctx workflows.Context, n int) (string, error) {
		return "", workflows.ContinueAsNew("text")
	})
	slow := workflows.Define("slow", 1, func(ctx workflows.Context, n int) (string, error) {
		if err := workflows.Sleep(ctx, time.Hour); err != nil {
			return "", err
		}
		if n == 0 {
			return "", workflows.ContinueAsNew(1)
		}
		word, err := workflows.Signals[string](ctx, "word").Receive(ctx)
		return word, err
	})
	inWorld(t, func(w *world) {
		w.start("loop", "r", 0)
		time.Sleep(time.Second)
		_ = w.Signal("r", "word", "x")
		if got := completed[string](w, "r"); got != "3x" {
			t.Errorf("got %q", got)
		}
		w.start("slow", "s", 0)
		_ = w.Signal("s", "word", "kept")
		if got := completed[string](w, "s"); got != "kept" {
			t.Errorf("got %q", got)
		}
		w.start("wrong", "w", 0)
		if got := w.wait("w"); got.Status != workflows.Failed || got.Err.Type != workflows.ErrorInvalid {
			t.Errorf("got %+v", got)
		}
	}, flow, slow, wrong)
}

func TestRequests(t *testing.T) {
	type in struct{ N int }
	type out struct{ Twice int }
	double := workflows.NewRequest[in, out]("double.wanted", workflows.RequestOptions{
		Stream: "work", Timeout: time.Minute, Retry: workflows.Retry{Attempts: 3, Initial: time.Second},
	})
	flow := workflows.Define("requests", 1, func(ctx workflows.Context, n int) (int, error) {
		got, err := double.Do(ctx, in{n})
		return got.Twice, err
	})
	inWorld(t, func(w *world) {
		var mu sync.Mutex
		var ids []string
		w.Handle("double.wanted", func(e event.Event) (any, error) {
			mu.Lock()
			ids = append(ids, e.ID)
			n := len(ids)
			mu.Unlock()
			if got := e.Extensions[event.AttrCorrelation].String(); got != "a" && got != "b" {
				t.Errorf("request of correlation %q", got)
			}
			var q in
			if err := json.Unmarshal(e.Data, &q); err != nil {
				return nil, err
			}
			switch {
			case q.N == 2 && n == 1:
				return nil, errors.New("not now")
			case q.N == 2 && n == 2:
				time.Sleep(time.Hour) // it expires
			case q.N == 3:
				return nil, errors.New("never")
			}
			return out{2 * q.N}, nil
		})
		w.start("requests", "a", 2)
		if got := completed[int](w, "a"); got != 4 || len(ids) != 3 {
			t.Errorf("got %d after %d requests", got, len(ids))
		}
		if slices.Sort(ids); len(slices.Compact(ids)) != 3 {
			t.Errorf("requests have the ids %q", ids)
		}
		w.start("requests", "b", 3)
		if got := w.wait("b"); got.Err == nil || got.Err.Type != workflows.ErrorProblem || got.Err.Message != "never" {
			t.Errorf("got %+v", got)
		}
		time.Sleep(2 * time.Hour)
	}, flow)
}

func TestWaitForAnEventOfTheJournal(t *testing.T) {
	type paid struct{ Amount int }
	flow := workflows.Define("awaits", 1, func(ctx workflows.Context, order string) (int, error) {
		e, err := workflows.NextEvent(ctx, workflows.Match{
			Type: "paid", Filter: &event.Filter{Prefix: map[string]string{"source": "/bank"}},
			Values: map[string]string{"/order/id": order, "subject": "s"},
		}).Get(ctx)
		if err != nil {
			return 0, err
		}
		var p paid
		return p.Amount + int(e.Position)*0, json.Unmarshal(e.Data, &p)
	})
	amount := workflows.Define("amount", 1, func(ctx workflows.Context, _ struct{}) (int, error) {
		e, err := workflows.NextEvent(ctx, workflows.Match{Type: "paid", Values: map[string]string{"/order/id": "7"}}).Get(ctx)
		if err != nil {
			return 0, err
		}
		var p struct{ Order struct{ Amount int } }
		return p.Order.Amount, errors.Join(json.Unmarshal(e.Data, &p), nil)
	})
	inWorld(t, func(w *world) {
		w.start("awaits", "r", "7")
		w.start("amount", "a", nil)
		time.Sleep(time.Second)
		n := 0
		for _, e := range []event.Event{
			{Source: "/shop", Subject: "s", Data: []byte(`{"order":{"id":"7","amount":1}}`)},
			{Source: "/bank", Subject: "s", Data: []byte(`{"order":{"id":"8","amount":2}}`)},
			{Source: "/bank", Subject: "x", Data: []byte(`{"order":{"id":"7","amount":3}}`)},
		} {
			n++
			e.ID, e.Type, e.DataContentType = fmt.Sprint(n), "paid", "application/json"
			w.Append("payments", e)
		}
		time.Sleep(time.Second)
		if got, _ := w.Look("r"); got.Status != workflows.Running {
			t.Errorf("an event that does not match was taken: %+v", got)
		}
		w.Append("payments", event.Event{ID: "x", Type: "paid", Source: "/bank/1", Subject: "s", DataContentType: "application/json", Data: []byte(`{"order":{"id":"7"}}`)})
		completed[int](w, "r")
		if got := completed[int](w, "a"); got != 1 {
			t.Errorf("amount %d", got)
		}
		// The filter is in the history; those from before it was there are replayed too.
		r, _ := w.Look("r")
		history := w.Recorded(r.Number)
		awaited, filter := &history[1].Event, []byte(`,"filter":{"prefix":{"source":"/bank"}}`)
		if !bytes.Contains(awaited.Data, filter) {
			t.Errorf("%s: %s", awaited.Type, awaited.Data)
		}
		awaited.Data = bytes.Replace(awaited.Data, filter, nil, 1)
		if err := workflows.Check(flow, history); err != nil {
			t.Error(err)
		}
	}, flow, amount)
}

func TestTimeRandomAndIDsAreTheSameOnReplay(t *testing.T) {
	flow := workflows.Define("random", 1, func(ctx workflows.Context, _ struct{}) ([]string, error) {
		got := []string{workflows.NewID(ctx), fmt.Sprint(workflows.Random(ctx).IntN(1000)), workflows.Now(ctx).String()}
		workflows.HandleQuery(ctx, "got", func(struct{}) ([]string, error) { return got, nil })
		if err := workflows.Sleep(ctx, time.Hour); err != nil {
			return nil, err
		}
		return append(got, workflows.NewID(ctx)), nil
	})
	inWorld(t, func(w *world) {
		w.start("random", "r", nil)
		w.start("random", "other", nil)
		time.Sleep(time.Second)
		before, err := w.Query(w.Context(), "r", "got", nil)
		if err != nil {
			t.Fatal(err)
		}
		w.crash()
		after := completed[[]string](w, "r")
		var first []string
		_ = json.Unmarshal(before, &first)
		if !slices.Equal(first, after[:3]) {
			t.Errorf("%q became %q", first, after)
		}
		if other := completed[[]string](w, "other"); other[0] == after[0] || after[0] == after[3] {
			t.Errorf("ids are the same: %q %q", other, after)
		}
	}, flow)
}

func TestGoRunsBesideItsCaller(t *testing.T) {
	flow := workflows.Define("go", 1, func(ctx workflows.Context, _ struct{}) ([]int, error) {
		var order []int
		var futures []workflows.Awaitable
		for i := range 3 {
			futures = append(futures, workflows.Go(ctx, func(ctx workflows.Context) (int, error) {
				order = append(order, i)
				err := workflows.Sleep(ctx, time.Duration(3-i)*time.Minute)
				order = append(order, i)
				return i, err
			}))
		}
		if len(order) > 0 {
			return nil, errors.New("it did not wait for its turn")
		}
		return order, workflows.All(ctx, futures...)
	})
	fixed := workflows.Define("go2", 1, func(ctx workflows.Context, _ struct{}) ([]int, error) {
		var order []int
		a := workflows.Go(ctx, func(ctx workflows.Context) (int, error) {
			order = append(order, 1)
			err := workflows.Sleep(ctx, time.Minute)
			order = append(order, 3)
			return 5, err
		})
		b := workflows.Go(ctx, func(ctx workflows.Context) (struct{}, error) {
			order = append(order, 2)
			return struct{}{}, workflows.NewError("b", "", nil)
		})
		n, err := a.Get(ctx)
		if err != nil {
			return nil, err
		}
		if _, err := b.Get(ctx); !errors.Is(err, &workflows.Error{Type: "b"}) {
			return nil, err
		}
		return append(order, n), nil
	})
	inWorld(t, func(w *world) {
		w.start("go", "r", nil)
		w.wait("r")
		w.start("go2", "s", nil)
		if got := completed[[]int](w, "s"); !slices.Equal(got, []int{1, 2, 3, 5}) {
			t.Errorf("order %v", got)
		}
	}, flow, fixed)
}

func TestAttributesAreSet(t *testing.T) {
	flow := workflows.Define("attributes", 1, func(ctx workflows.Context, _ struct{}) (int, error) {
		workflows.Upsert(ctx, map[string]any{"customer": "c1", "old": nil})
		return 0, nil
	})
	inWorld(t, func(w *world) {
		if _, err := w.Start(workflows.Start{ID: "r", Type: "attributes", Attributes: map[string]any{"old": 1}}); err != nil {
			t.Fatal(err)
		}
		w.wait("r")
		if got := fmt.Sprint(w.Attributes("r")); got != "map[customer:c1]" {
			t.Errorf("attributes %s", got)
		}
	}, flow)
}
