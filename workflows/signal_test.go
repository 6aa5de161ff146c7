package workflows_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edri-io/edri/workflows"
)

// A run that is canceled while it waits for a signal with a deadline hears of that, and
// not that the time has passed.
func TestACanceledWaitForASignalIsNotOver(t *testing.T) {
	flow := workflows.Define("waits", 1, func(ctx workflows.Context, _ struct{}) (bool, error) {
		_, ok, err := workflows.Signals[string](ctx, "word").ReceiveFor(ctx, time.Hour)
		return ok, err
	})
	inWorld(t, func(w *world) {
		w.start("waits", "later", nil)
		time.Sleep(time.Minute)
		w.start("waits", "at once", nil)
		for _, id := range []string{"later", "at once"} {
			if err := w.Cancel(id, "enough"); err != nil {
				w.Fatal(err)
			}
			if r := w.wait(id); r.Status != workflows.Canceled || r.Err == nil || r.Err.Type != workflows.ErrorCanceled {
				w.Errorf("%s is %s: %v %s", id, r.Status, r.Err, r.Result)
			}
		}
	}, flow)
}

// counts waits for a number. What it does about input that is none is on.
func counts(on func(ctx workflows.Context, err error) error) *workflows.Function[struct{}, int] {
	return workflows.Define("counts", 1, func(ctx workflows.Context, _ struct{}) (int, error) {
		workflows.Compensate(ctx, func(ctx workflows.Context) error { return workflows.Sleep(ctx, time.Hour) })
		for {
			n, err := workflows.Signals[int](ctx, "n").Receive(ctx)
			if err == nil {
				return n, nil
			}
			if err := on(ctx, err); err != nil {
				return 0, err
			}
		}
	})
}

// Whoever sends a signal with input of another type does not end the run by it: the code is
// told and may go on, and where it does not the run waits for a person.
func TestASignalOfAnotherTypeDoesNotEndTheRun(t *testing.T) {
	as := func(_ workflows.Context, err error) error { return err }
	for name, on := range map[string]func(workflows.Context, error) error{
		"as it is": as,
		"wrapped":  func(_ workflows.Context, err error) error { return fmt.Errorf("count: %w", err) },
		"by another coroutine": func(ctx workflows.Context, err error) error {
			_, err = workflows.Go(ctx, func(workflows.Context) (int, error) { return 0, fmt.Errorf("count: %w", err) }).Get(ctx)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			flow := counts(on)
			inWorld(t, func(w *world) {
				w.start("counts", "r", nil)
				if err := w.Signal("r", "n", "seven"); err != nil {
					t.Fatal(err)
				}
				reason, details := w.blockedBy("r")
				if reason != "invalid signal" || !strings.Contains(details, "input of signal n: is a text, and not a whole number") {
					t.Fatalf("blocked by %s: %s", reason, details)
				}
				if got := w.kinds("r"); !slices.Equal(got, []string{"started", "signal.received", "paused"}) {
					t.Errorf("history %q", got) // and nothing was compensated
				}
				if err := w.Signal("r", "n", 8); err != nil {
					t.Fatal(err)
				}
				if err := w.Resume("r"); err != nil { // to no avail
					t.Fatal(err)
				}
				if reason, _ := w.blockedBy("r"); reason != "invalid signal" {
					t.Errorf("blocked by %s", reason)
				}
				// Code that passes over it goes on with the next.
				w.stop()
				w.flows = []workflows.Defined{counts(func(workflows.Context, error) error { return nil })}
				w.work()
				if err := w.Resume("r"); err != nil {
					t.Fatal(err)
				}
				if got := completed[int](w, "r"); got != 8 {
					t.Errorf("got %d", got)
				}
			}, flow)
		})
	}
}

// What the code makes of it is the code's: an error of its own fails the run.
func TestAnErrorOfTheCodesOwnFailsTheRunForASignal(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("counts", "r", nil)
		_ = w.Signal("r", "n", "seven")
		if r := w.wait("r"); r.Status != workflows.Failed || r.Err.Type != "no number" {
			t.Errorf("%s: %v", r.Status, r.Err)
		}
	}, counts(func(_ workflows.Context, err error) error { return workflows.NewError("no number", err.Error(), nil) }))
}

// A run that has failed by such a signal, before it was paused by one, replays.
func TestARunThatFailedByASignalReplays(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("counts", "r", nil)
		_ = w.Signal("r", "n", "seven")
		w.wait("r")
		r, _ := w.Look("r")
		if err := workflows.Check(counts(func(_ workflows.Context, err error) error { return err }), w.Recorded(r.Number)); err != nil {
			t.Errorf("a replay: %v", err)
		}
	}, counts(func(workflows.Context, error) error { return errors.New("as it was") }))
}
