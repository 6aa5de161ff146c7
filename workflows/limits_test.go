package workflows_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

const (
	longestTimer   = 100 * 365 * 24 * time.Hour
	longestRequest = 30 * 24 * time.Hour
)

// asks is a workflow that asks for one thing, and returns the type of its error.
func asks(ask func(workflows.Context) error) *workflows.Function[struct{}, string] {
	return workflows.Define("asks", 1, func(ctx workflows.Context, _ struct{}) (string, error) {
		err := ask(ctx)
		if e := (*workflows.Error)(nil); errors.As(err, &e) {
			return e.Type, nil
		}
		return "", err
	})
}

func requestOf(typ string, options workflows.RequestOptions) func(workflows.Context) error {
	return func(ctx workflows.Context) error {
		_, err := workflows.NewRequest[int, int](typ, options).Do(ctx, 1)
		return err
	}
}

func childOf(typ string, options workflows.ChildOptions) func(workflows.Context) error {
	return func(ctx workflows.Context) error {
		_, err := workflows.StartChildNamed[string](ctx, typ, nil, options).Get(ctx)
		return err
	}
}

// What a cluster would refuse, the code is told, at once: the run goes on, and its history
// replays.
func TestWhatCannotBeAskedForIsToldToTheCode(t *testing.T) {
	request := func(timeout time.Duration) func(workflows.Context) error {
		return requestOf("q", workflows.RequestOptions{Timeout: timeout})
	}
	for name, ask := range map[string]func(workflows.Context) error{
		"sleep": func(ctx workflows.Context) error { return workflows.Sleep(ctx, longestTimer+1) },
		"after": func(ctx workflows.Context) error {
			_, err := workflows.After(ctx, longestTimer+1).Get(ctx)
			return err
		},
		"signal": func(ctx workflows.Context) error {
			_, _, err := workflows.Signals[int](ctx, "s").ReceiveFor(ctx, longestTimer+1)
			return err
		},
		"timeout": func(ctx workflows.Context) error {
			limited, cancel := workflows.WithTimeout(ctx, longestTimer+1)
			defer cancel()
			return workflows.Sleep(limited, time.Hour)
		},
		"deadline": func(ctx workflows.Context) error {
			limited, cancel := workflows.WithDeadline(ctx, workflows.Now(ctx).AddDate(101, 0, 0))
			defer cancel()
			return limited.Err()
		},
		"request of a reserved type":   requestOf("edri.workflow.started", workflows.RequestOptions{}),
		"request to a reserved stream": requestOf("q", workflows.RequestOptions{Stream: "run/r"}),
		"request to a reserved place":  requestOf("q", workflows.RequestOptions{Subject: "run/r"}),

		"child of no type":           childOf("", workflows.ChildOptions{}),
		"child of a long type":       childOf(strings.Repeat("t", event.MaxNameBytes+1), workflows.ChildOptions{}),
		"child whose source is long": childOf(strings.Repeat(" ", event.MaxNameBytes/2), workflows.ChildOptions{}),
		"child with a long id":       childOf("asks", workflows.ChildOptions{ID: strings.Repeat("x", 201)}),
		"child with no id":           childOf("asks", workflows.ChildOptions{ID: "\x00"}),
		"unknown reuse":              childOf("asks", workflows.ChildOptions{Reuse: "sometimes"}),
		"unknown conflict":           childOf("asks", workflows.ChildOptions{Conflict: "duel"}),
		"unknown close":              childOf("asks", workflows.ChildOptions{OnClose: "forget"}),
		"delay of the past":          childOf("asks", workflows.ChildOptions{Delay: -1}),
		"long delay":                 childOf("asks", workflows.ChildOptions{Delay: longestTimer + 1}),
		"timeout of the past":        childOf("asks", workflows.ChildOptions{Timeout: -1}),
		"long timeout":               childOf("asks", workflows.ChildOptions{Timeout: longestTimer + 1}),

		"long request": request(longestRequest + 1), "short request": request(time.Millisecond - 1), "request of the past": request(-1),
	} {
		t.Run(name, func(t *testing.T) {
			flow := asks(ask)
			inWorld(t, func(w *world) {
				w.start("asks", "r", nil)
				began := time.Now()
				if got := completed[string](w, "r"); got != workflows.ErrorInvalid || time.Since(began) > time.Hour {
					t.Errorf("got %q after %v", got, time.Since(began))
				}
				r, _ := w.Look("r")
				if err := workflows.Check(flow, w.Recorded(r.Number)); err != nil {
					t.Errorf("a replay: %v", err)
				}
			}, flow)
		})
	}
}

// The longest that can be asked for can be. And code that asked for more when it was made
// to fit has it in its history, which replays with the same code.
func TestTheLongestIsTakenAndWhatWasShortenedReplays(t *testing.T) {
	timer := func(d time.Duration) workflows.Defined {
		return asks(func(ctx workflows.Context) error { return workflows.Sleep(ctx, d) })
	}
	request := func(d time.Duration) workflows.Defined {
		return asks(requestOf("q", workflows.RequestOptions{Timeout: d}))
	}
	child := func(d time.Duration) workflows.Defined {
		return asks(childOf("asks", workflows.ChildOptions{
			ID: strings.Repeat("x", 200), Delay: d, Timeout: d,
			Reuse: workflows.ReuseIfFailed, Conflict: workflows.ConflictTerminate, OnClose: workflows.CloseCancel,
		}))
	}
	for name, c := range map[string]struct{ taken, shortened workflows.Defined }{
		"timer":         {timer(longestTimer), timer(longestTimer + 1)},
		"request":       {request(longestRequest), request(longestRequest + 1)},
		"short request": {request(time.Millisecond), request(time.Millisecond - 1)},
		"default":       {request(0), request(-1)},
		"child":         {child(longestTimer), child(longestTimer)},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.start("asks", "r", nil)
				time.Sleep(time.Microsecond)
				r, _ := w.Look("r")
				history := w.Recorded(r.Number)
				if len(history) != 2 || r.Status != workflows.Running {
					t.Fatalf("%s, history %q", r.Status, w.kinds("r"))
				}
				if err := workflows.Check(c.shortened, history); err != nil {
					t.Errorf("a replay: %v", err)
				}
				_ = w.Terminate("r", "")
			}, c.taken)
		})
	}
}
