package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
	"github.com/edri-io/edri/workflows/workflowstest"
)

// payload is JSON text of n bytes.
func payload(n int) string { return strings.Repeat("x", n-2) }

const maxPayload = event.MaxDataBytes - 4096

// The memo goes along to the run that continues: where there is no room for the input
// beside it the run fails, as it does where there is none for the input alone.
func TestContinueAsNewWithoutRoomFailsTheRun(t *testing.T) {
	flow := workflows.Define("grows", 1, func(ctx workflows.Context, in string) (int, error) {
		switch len(in) {
		case 0:
			return 0, workflows.ContinueAsNew("once more")
		case len("once more"):
			var size int
			_, _ = fmt.Sscan(workflows.Info(ctx).ID, &size)
			return 0, workflows.ContinueAsNew(payload(size))
		}
		return len(in), nil
	})
	inWorld(t, func(w *world) {
		memo := []byte(`"` + payload(32<<10) + `"`)
		for size, want := range map[int]workflows.Status{
			maxPayload - 32<<10: workflows.Completed, maxPayload - 32<<10 + 1: workflows.Failed, maxPayload + 1: workflows.Failed,
		} {
			id := fmt.Sprint(size)
			if _, err := w.Start(workflows.Start{ID: id, Type: "grows", Input: []byte(`""`), Memo: memo}); err != nil {
				t.Fatal(err)
			}
			got := w.wait(id)
			if got.Status != want || want == workflows.Failed && got.Err.Type != workflows.ErrorTooLarge {
				t.Errorf("input of %d bytes: %s, %v", size, got.Status, got.Err)
			}
		}
	}, flow)
}

// What a cluster refuses of an advance itself is not the fault of the effects in it: the
// step is not run again and again, but the run waits for a person.
func TestAnAdvanceThatIsRefusedBlocksTheRunAndNotItsStep(t *testing.T) {
	var ran atomic.Int32
	step := workflows.NewStep("s", func(ctx context.Context, _ struct{}) (int, error) {
		workflows.Effects(ctx).Emit("s", "done", ran.Add(1))
		return 1, nil
	})
	flow := workflows.Define("grows", 1, func(ctx workflows.Context, n int) (int, error) {
		if _, err := step.Do(ctx, struct{}{}); err != nil {
			return 0, err
		}
		if n == 1 {
			return n, nil
		}
		return 0, workflows.ContinueAsNew(n + 1)
	})
	inWorld(t, func(w *world) {
		tooLarge := true
		w.OnAdvance(func(a *workflows.Advance) (f workflowstest.Fate) {
			for _, r := range a.Records {
				if end, ok := r.Do.(workflows.End); ok && end.Next != nil && tooLarge {
					f.Refuse = event.TooLarge("input, memo and attributes in bytes", 7, 6)
					f.Refuse.Stream = workflows.HistoryStream(a.Run)
				}
			}
			return f
		})
		w.start("grows", "r", 0)
		reason, details := w.blockedBy("r")
		if reason != "too_large" || !strings.Contains(details, "memo and attributes") {
			t.Errorf("blocked by %s: %s", reason, details)
		}
		time.Sleep(10 * time.Hour)
		if got := w.kinds("r"); ran.Load() != 1 || !slices.Equal(got, []string{"started", "paused"}) {
			t.Errorf("the step ran %d times, history %q", ran.Load(), got)
		}
		tooLarge = false
		if err := w.Resume("r"); err != nil {
			t.Fatal(err)
		}
		if got := completed[int](w, "r"); got != 1 || len(w.Stream("s")) != 2 {
			t.Errorf("got %d, %d events", got, len(w.Stream("s")))
		}
	}, flow)
}

// What comes for a run that is blocked so follows what was in the advance: it is not fed
// before the run is resumed.
func TestARunWhoseAdvanceIsRefusedIsBlockedOnce(t *testing.T) {
	step := workflows.NewStep("slow", func(ctx context.Context, _ struct{}) (int, error) {
		time.Sleep(3 * time.Minute) // which the run waits for
		return 1, nil
	}, workflows.StepOptions{StartToClose: time.Hour})
	flow := workflows.Define("takes", 1, func(ctx workflows.Context, _ struct{}) (got []string, err error) {
		slow := step.Start(ctx, struct{}{})
		for range 3 {
			s, err := workflows.Signals[string](ctx, "s").Receive(ctx)
			if err != nil {
				return nil, err
			}
			got = append(got, s)
		}
		_, err = slow.Get(ctx)
		return got, err
	})
	inWorld(t, func(w *world) {
		refuses := true
		w.OnAdvance(func(a *workflows.Advance) (f workflowstest.Fate) {
			if refuses && slices.ContainsFunc(a.Records, func(r workflows.Record) bool { return r.Entry == 2 }) {
				f.Refuse = event.TooLarge("commit in bytes", 7, 6)
			}
			return f
		})
		w.start("takes", "r", nil)
		var want []string
		for i := range 3 {
			time.Sleep(time.Second)
			want = append(want, fmt.Sprint(i))
			if err := w.Signal("r", "s", fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
		if reason, _ := w.blockedBy("r"); reason != "too_large" {
			t.Errorf("blocked by %s", reason)
		}
		time.Sleep(10 * time.Minute)
		if got, want := w.kinds("r"), []string{"started", "signal.received", "paused", "step.completed"}; !slices.Equal(got, want) {
			t.Errorf("history %q, want %q", got, want)
		}
		refuses = false
		if err := w.Resume("r"); err != nil {
			t.Fatal(err)
		}
		if got := completed[[]string](w, "r"); !slices.Equal(got, want) {
			t.Errorf("got %q", got)
		}
	}, flow)
}

// What a child cannot be started with its parent is told.
func TestChildrenThatAreTooLarge(t *testing.T) {
	none := workflows.Define("child", 1, func(workflows.Context, string) (int, error) { return 1, nil },
		workflows.Options{Attributes: map[string]workflows.AttributeType{"a": workflows.TypeString}})
	big := func(n int) map[string]any { return map[string]any{"a": payload(n)} }
	for name, options := range map[string]workflows.ChildOptions{
		"memo": {Memo: payload(32<<10 + 1)}, "attributes": {Attributes: big(32 << 10)}, "attributes that are none": {Attributes: map[string]any{"a": func() {}}},
		"together": {Memo: payload(32 << 10), Attributes: big(30 << 10)},
	} {
		t.Run(name, func(t *testing.T) {
			in := "x"
			if name == "together" {
				in = payload(maxPayload - 62<<10)
			}
			flow := workflows.Define("parent", 1, func(ctx workflows.Context, _ struct{}) (string, error) {
				_, err := none.RunChild(ctx, in, options)
				var e *workflows.Error
				if !errors.As(err, &e) {
					return "", fmt.Errorf("got %w", err)
				}
				_, err = none.RunChild(ctx, "x")
				return e.Type, err
			})
			inWorld(t, func(w *world) {
				w.start("parent", "p", nil)
				want := workflows.ErrorTooLarge
				if name == "attributes that are none" {
					want = workflows.ErrorInvalid
				}
				if got := completed[string](w, "p"); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
				r, _ := w.Look("p")
				if err := workflows.Check(flow, w.Recorded(r.Number)); err != nil {
					t.Errorf("a replay: %v", err)
				}
			}, flow, none)
		})
	}
}

// A child that was started with more than is let through today is in histories.
func TestChildrenThatWereStartedReplay(t *testing.T) {
	child := workflows.Define("child", 1, func(workflows.Context, string) (int, error) { return 1, nil })
	parent := func(memo int) workflows.Defined {
		return workflows.Define("parent", 1, func(ctx workflows.Context, _ struct{}) (int, error) {
			return child.RunChild(ctx, "x", workflows.ChildOptions{Memo: payload(memo)})
		})
	}
	inWorld(t, func(w *world) {
		w.start("parent", "p", nil)
		completed[int](w, "p")
		r, _ := w.Look("p")
		if err := workflows.Check(parent(500<<10), w.Recorded(r.Number)); err != nil {
			t.Errorf("a replay: %v", err)
		}
	}, parent(100), child)
}
