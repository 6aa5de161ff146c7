package workflows_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
	"github.com/edri-io/edri/workflows/workflowstest"
)

// heartbeats returns the details of the heartbeats that a run's history has, as events of
// their own.
func (w *world) heartbeats(id string) (details []string) {
	w.Helper()
	r, err := w.Look(id)
	if err != nil {
		w.Fatal(err)
	}
	for _, e := range w.Recorded(r.Number) {
		var s workflows.StepRecord
		if e.Type != workflows.HistoryPrefix+workflows.KindStepHeartbeat {
			continue
		}
		if err := json.Unmarshal(e.Data, &s); err != nil {
			w.Fatal(err)
		}
		details = append(details, string(s.Heartbeat))
	}
	return details
}

// told is what an attempt is told of those before it.
func told(ctx context.Context) string {
	n, ok := workflows.HeartbeatDetails[int](ctx)
	return fmt.Sprint(workflows.Attempt(ctx), ":", n, ok)
}

// However an attempt ends in a worker that lives, the next one has what it said last, and
// it costs no commit.
func TestTheNextAttemptHasTheDetailsOfTheOneBefore(t *testing.T) {
	ends := func(context.Context) (int, error) { return 0, errors.New("once more") }
	hangs := func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() }
	lives := func(*world) {}
	for name, c := range map[string]struct {
		end     func(context.Context) (int, error)
		options workflows.StepOptions
		during  func(*world)
		told    []string
		history string
	}{
		"error": {ends, workflows.StepOptions{}, lives, []string{"1:0 false", "2:3 true"},
			"started step.failed timer.fired step.completed completed"},
		"panic": {func(context.Context) (int, error) { panic("oh") }, workflows.StepOptions{}, lives, []string{"1:0 false", "2:3 true"},
			"started step.failed timer.fired step.completed completed"},
		"effects are refused": {func(ctx context.Context) (int, error) {
			e := workflows.Effects(ctx)
			e.Emit("taken", "taken", 1)
			e.Appends[0].Expected = 7
			return 0, nil
		}, workflows.StepOptions{}, lives, []string{"1:0 false", "2:3 true"},
			"started step.failed timer.fired step.completed completed"},
		"heartbeat timeout": {hangs, workflows.StepOptions{Heartbeat: 5 * time.Second}, lives, []string{"1:0 false", "2:3 true"},
			"started step.failed timer.fired step.completed completed"},
		"start to close": {hangs, workflows.StepOptions{StartToClose: 9 * time.Second}, lives, []string{"1:0 false", "2:3 true"},
			"started step.failed timer.fired step.completed completed"},
		"retried by a person": {ends, workflows.StepOptions{Retry: workflows.Retry{Attempts: 1, Exhausted: workflows.Pause}},
			func(w *world) { w.blockedBy("r"); _ = w.Retry("r") }, []string{"1:0 false", "1:3 true"},
			"started step.started step.failed paused retry.requested step.started step.completed completed"},
		"another worker after the failure": {ends, workflows.StepOptions{Retry: workflows.Retry{Initial: time.Hour}},
			func(w *world) { time.Sleep(time.Minute); w.crash() }, []string{"1:0 false", "2:3 true"},
			"started step.failed timer.fired step.completed completed"},
		// It is not in the result of the attempt, so that it takes an event.
		"graceful stop": {hangs, workflows.StepOptions{},
			func(w *world) { time.Sleep(3 * time.Second); w.stop(); w.work() }, []string{"1:0 false", "1:3 true"},
			"started step.heartbeat step.completed completed"},
	} {
		var got []string
		step := workflows.NewStep("s", func(ctx context.Context, _ struct{}) (int, error) {
			got = append(got, told(ctx))
			if len(got) == len(c.told) {
				return 0, nil
			}
			for i := range 4 {
				if err := workflows.Heartbeat(ctx, i); err != nil {
					return 0, err
				}
			}
			if err := workflows.Heartbeat(ctx, nil); err != nil { // and what was said stays
				return 0, err
			}
			return c.end(ctx)
		}, c.options)
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.start("details", "r", nil)
				c.during(w)
				completed[string](w, "r")
				if !slices.Equal(got, c.told) {
					t.Errorf("the attempts were told %q, want %q", got, c.told)
				}
				if kinds := strings.Join(w.kinds("r"), " "); kinds != c.history {
					t.Errorf("history %s\nwant    %s", kinds, c.history)
				}
			}, stepFlow("details", step, struct{}{}))
		})
	}
}

func TestAnAttemptThatSaysNothingLeavesTheDetails(t *testing.T) {
	var got []string
	step := workflows.NewStep("s", func(ctx context.Context, _ struct{}) (int, error) {
		got = append(got, told(ctx))
		switch workflows.Attempt(ctx) {
		case 1, 3:
			return 0, errors.Join(workflows.Heartbeat(ctx, workflows.Attempt(ctx)), errors.New("once more"))
		case 2:
			return 0, errors.New("once more")
		}
		return 0, nil
	})
	inWorld(t, func(w *world) {
		w.start("silent", "r", nil)
		completed[string](w, "r")
		if want := []string{"1:0 false", "2:1 true", "3:1 true", "4:3 true"}; !slices.Equal(got, want) {
			t.Errorf("the attempts were told %q, want %q", got, want)
		}
	}, stepFlow("silent", step, struct{}{}))
}

// countEvery is about a second, and such that nothing is said when something is recorded.
const countEvery = 999 * time.Millisecond

// counting is a step that says how far it has counted in all its attempts, to an end.
func counting(end int, began func(told int), options ...workflows.StepOptions) workflows.Step[struct{}, int] {
	return workflows.NewStep("count", func(ctx context.Context, _ struct{}) (int, error) {
		n, _ := workflows.HeartbeatDetails[int](ctx)
		began(n)
		for n < end {
			select {
			case <-ctx.Done():
				return 0, ctx.Err()
			case <-time.After(countEvery):
			}
			n++
			if err := workflows.Heartbeat(ctx, n); err != nil {
				return 0, err
			}
		}
		return n, nil
	}, options...)
}

// A lost worker costs the last ten seconds of a step, and a fiftieth of what it took.
func TestDetailsOutliveTheWorker(t *testing.T) {
	for after, events := range map[time.Duration]int{
		8 * time.Second: 0, 9500 * time.Millisecond: 0, 25 * time.Second: 2, 10 * time.Minute: 40, 24 * time.Hour: 260,
	} {
		t.Run(after.String(), func(t *testing.T) {
			var told []int
			said := int(after / countEvery)
			step := counting(said+2, func(n int) { told = append(told, n) })
			inWorld(t, func(w *world) {
				w.start("lost", "r", nil)
				time.Sleep(after)
				if got := len(w.heartbeats("r")); got > events || got < events*9/10 {
					t.Errorf("%d events, want about %d", got, events)
				}
				w.crash()
				if got := completed[string](w, "r"); !strings.HasPrefix(got, strconv.Itoa(said+2)+" ") {
					t.Errorf("got %s", got)
				}
				least := max(0, said-11-said/50) // ten seconds, and the one before the first is said
				if len(told) != 2 || told[1] < least || told[1] > said {
					t.Errorf("told %v of %d, want at least %d", told, said, least)
				}
			}, stepFlow("lost", step, struct{}{}))
		})
	}
}

// Wherever a crash is beside the commit of details, the next attempt has those that are
// committed, and they are so once.
func TestDetailsAroundACrash(t *testing.T) {
	for name, c := range map[string]struct {
		fate workflowstest.Fate
		dies bool // the worker, and does not come back
		told []int
	}{
		"dead before the commit":       {workflowstest.Fate{LoseBefore: true}, true, []int{0, 11}},
		"dead after the commit":        {workflowstest.Fate{LoseAfter: true}, true, []int{0, 22}},
		"lost before the commit":       {workflowstest.Fate{LoseBefore: true}, false, []int{0, 22}}, // it is sent again
		"lost after the commit":        {workflowstest.Fate{LoseAfter: true}, false, []int{0, 22}},
		"the answer is lost":           {workflowstest.Fate{LoseAnswer: true}, false, []int{0}},
		"refused for now":              {workflowstest.Fate{Refuse: event.Errorf(event.CodeOverloaded, "not now")}, false, []int{0}},
		"refused, and not the results": {workflowstest.Fate{Refuse: event.Errorf(event.CodeInvalid, "no such kind")}, false, []int{0}},
	} {
		t.Run(name, func(t *testing.T) {
			var told []int
			step := counting(40, func(n int) { told = append(told, n) })
			inWorld(t, func(w *world) {
				advances := 0
				met := make(chan struct{})
				w.OnAdvance(func(*workflows.Advance) workflowstest.Fate {
					if advances++; advances == 2 {
						close(met)
						return c.fate
					}
					return workflowstest.Fate{}
				})
				w.start("crash", "r", nil)
				select {
				case <-met:
				case <-time.After(time.Minute):
					t.Fatal("nothing is recorded")
				}
				if c.dies {
					w.stop()
					w.work()
				}
				if got := completed[string](w, "r"); !strings.HasPrefix(got, "40 ") {
					t.Errorf("got %s", got)
				}
				if !slices.Equal(told, c.told) {
					t.Errorf("the attempts were told %v, want %v", told, c.told)
				}
				got := w.heartbeats("r")
				if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
					t.Errorf("details %q", got)
				}
			}, stepFlow("crash", step, struct{}{}))
		})
	}
}

// While nothing can be recorded, the last details of a step wait, and no others.
func TestDetailsThatWaitAreTheLast(t *testing.T) {
	step := counting(200, func(int) {})
	inWorld(t, func(w *world) {
		began := time.Now()
		w.OnAdvance(func(*workflows.Advance) (f workflowstest.Fate) {
			if time.Since(began) < 2*time.Minute {
				f.Refuse = event.Errorf(event.CodeOverloaded, "not now")
			}
			return f
		})
		w.start("waits", "r", nil)
		time.Sleep(2*time.Minute + 5*time.Second)
		// The first is on its way all the time, and the other was said when it was due last.
		if got := w.heartbeats("r"); len(got) != 2 || got[0] != "11" || got[1] < "110" || got[1] > "122" {
			t.Errorf("details %q", got)
		}
		completed[string](w, "r")
	}, stepFlow("waits", step, struct{}{}))
}

// A cluster that does not know the kind of event refuses it, and the details of results
// with it: the run goes on without.
func TestRefusedHeartbeatsDoNotBlockARun(t *testing.T) {
	var got []string
	step := workflows.NewStep("s", func(ctx context.Context, _ struct{}) (int, error) {
		got = append(got, told(ctx))
		workflows.Effects(ctx).Emit("ledger", "charged", 1)
		if err := workflows.Heartbeat(ctx, 7); err != nil {
			return 0, err
		}
		time.Sleep(time.Minute)
		if workflows.Attempt(ctx) == 1 {
			return 0, errors.New("once more")
		}
		return 0, nil
	})
	inWorld(t, func(w *world) {
		w.OnAdvance(func(a *workflows.Advance) (f workflowstest.Fate) {
			for _, r := range a.Records {
				if strings.Contains(string(r.Data), `"heartbeat":`) {
					f.Refuse = event.Errorf(event.CodeInvalid, "no heartbeats here")
				}
			}
			return f
		})
		w.start("refused", "r", nil)
		completed[string](w, "r")
		if want := []string{"1:0 false", "2:0 false"}; !slices.Equal(got, want) {
			t.Errorf("the attempts were told %q, want %q", got, want)
		}
		if got := strings.Join(w.kinds("r"), " "); got != "started step.failed timer.fired step.completed completed" {
			t.Errorf("history %s", got)
		}
		if got := len(w.Stream("ledger")); got != 1 {
			t.Errorf("%d effects", got)
		}
	}, stepFlow("refused", step, struct{}{}))
}

// Details that are repeated are recorded once, and those of steps that run at most once
// never.
func TestDetailsThatNobodyNeedsAreNotRecorded(t *testing.T) {
	beats := func(ctx context.Context, _ struct{}) (int, error) {
		for range 100 {
			if err := workflows.Heartbeat(ctx, "alive"); err != nil {
				return 0, err
			}
			time.Sleep(time.Second)
		}
		return 0, nil
	}
	once := workflows.StepOptions{Retry: workflows.Retry{Attempts: 1}}
	inWorld(t, func(w *world) {
		w.start("repeats", "r", nil)
		completed[string](w, "r")
		if got := w.heartbeats("r"); !slices.Equal(got, []string{`"alive"`}) {
			t.Errorf("details %q", got)
		}
		w.start("once", "o", nil)
		completed[string](w, "o")
		if got := w.heartbeats("o"); len(got) > 0 {
			t.Errorf("details %q of a step that runs at most once", got)
		}
	}, stepFlow("repeats", workflows.NewStep("s", beats), struct{}{}), stepFlow("once", workflows.NewStep("s", beats, once), struct{}{}))
}

func TestDetailsThatCannotBeKept(t *testing.T) {
	var got []string
	step := workflows.NewStep("s", func(ctx context.Context, _ struct{}) (int, error) {
		switch workflows.Attempt(ctx) {
		case 1:
			for _, details := range []any{strings.Repeat("x", 64<<10-2), "kept", strings.Repeat("x", 64<<10-1), func() {}} {
				err := workflows.Heartbeat(ctx, details)
				var e *workflows.Error
				if errors.As(err, &e) {
					got = append(got, e.Type)
				} else {
					got = append(got, fmt.Sprint(err))
				}
			}
			return 0, errors.New("once more")
		case 2:
			n, ok := workflows.HeartbeatDetails[int](ctx)
			got = append(got, fmt.Sprint(n, ok))
			s, ok := workflows.HeartbeatDetails[string](ctx)
			got = append(got, s+" "+fmt.Sprint(ok))
			return 0, workflows.Heartbeat(ctx, strings.Repeat("x", 64<<10))
		}
		return 0, nil
	})
	inWorld(t, func(w *world) {
		w.start("large", "r", nil)
		if got := completed[string](w, "r"); !strings.HasPrefix(got, "edri.too_large") {
			t.Errorf("a step that returns the refusal: %s", got)
		}
		want := []string{"<nil>", "<nil>", "edri.too_large", "edri.invalid", "0 false", "kept true"}
		if !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}, stepFlow("large", step, struct{}{}))
}
