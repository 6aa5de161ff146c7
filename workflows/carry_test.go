package workflows_test

import (
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

// keeper goes on once with what it has not received, and returns that then.
var keeper = workflows.Define("keeper", 1, func(ctx workflows.Context, again bool) ([]string, error) {
	if !again {
		if _, err := workflows.Signals[string](ctx, "go").Receive(ctx); err != nil {
			return nil, err
		}
		// One in the middle is received, and does not go on.
		_, _, _ = workflows.Signals[string](ctx, "mine").TryReceive(ctx)
		return nil, workflows.ContinueAsNew(true)
	}
	var got []string
	for {
		s, ok, err := workflows.Signals[string](ctx, "s").ReceiveFor(ctx, time.Minute)
		if !ok || err != nil {
			return got, err
		}
		got = append(got, s[:4])
	}
})

// Signals that are too many for the end go ahead of it, each once and in their order,
// whatever becomes of the worker or the answer between. Those that come in between follow.
func TestSignalsGoAheadOfAContinuation(t *testing.T) {
	const signals, size = 40, 60 << 10
	for name, fate := range map[string]func(nth int) workflowstest.Fate{
		"nothing happens":  func(int) (f workflowstest.Fate) { return f },
		"answers are lost": func(n int) (f workflowstest.Fate) { f.LoseAnswer = n%2 == 1; return f },
		"before the first": func(n int) (f workflowstest.Fate) { f.LoseBefore = n == 1; return f },
		"after the second": func(n int) (f workflowstest.Fate) { f.LoseAfter = n == 2; return f },
		"twice":            func(n int) (f workflowstest.Fate) { f.LoseAfter = n == 2; f.LoseBefore = n == 4; return f },
		"before the end":   func(n int) (f workflowstest.Fate) { f.LoseBefore = n == 6; return f },
		"after the end":    func(n int) (f workflowstest.Fate) { f.LoseAfter = n == 6; return f },
		"no node has room": func(n int) (f workflowstest.Fate) {
			if n == 3 {
				f.Refuse = event.Errorf(event.CodeNoSpace, "no space")
			}
			return f
		},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				nth, ends := 0, 0
				lost := make(chan struct{}, 1)
				w.OnAdvance(func(a *workflows.Advance) (f workflowstest.Fate) {
					end := slices.ContainsFunc(a.Records, func(r workflows.Record) bool { return r.Kind == workflows.KindContinued })
					if !end && len(a.Carry) == 0 {
						return f
					}
					if n := carried(a.Carry); n > 700<<10 || len(a.Carry) > 0 && len(a.Records) > 0 {
						t.Errorf("%d bytes go ahead, with %d records", n, len(a.Records))
					}
					if end {
						ends++
					}
					nth++
					if f = fate(nth); f.LoseBefore || f.LoseAfter {
						lost <- struct{}{}
					}
					return f
				})
				w.start("keeper", "r", false)
				var want []string
				for i := range signals {
					if i == signals/2 {
						_ = w.Signal("r", "mine", "x")
					}
					s := fmt.Sprintf("%04d", i)
					_ = w.Signal("r", "s", s+strings.Repeat("x", size))
					want = append(want, s)
				}
				time.Sleep(time.Second)
				_ = w.Signal("r", "go", "")
				for i := range 20 { // while they go
					s := fmt.Sprintf("%04d", signals+i)
					if err := w.Signal("r", "s", s+strings.Repeat("x", i)); err != nil {
						t.Fatal(err)
					}
					want = append(want, s)
					select {
					case <-lost:
						w.crash()
					case <-time.After(50 * time.Millisecond):
					}
				}
				if got := completed[[]string](w, "r"); !slices.Equal(got, want) {
					t.Errorf("got %q", got)
				}
				if nth < 6 || ends == 0 {
					t.Errorf("%d advances, %d ends", nth, ends)
				}
			}, keeper)
		})
	}
}

func carried(list []workflows.Signal) (n int) {
	for _, s := range list {
		n += len(s.Input)
	}
	return n
}

// A few go with the end, in one commit.
func TestFewSignalsGoWithTheEnd(t *testing.T) {
	inWorld(t, func(w *world) {
		w.OnAdvance(func(a *workflows.Advance) (f workflowstest.Fate) {
			if len(a.Carry) > 0 {
				t.Errorf("%d signals go ahead", len(a.Carry))
			}
			return f
		})
		w.start("keeper", "r", false)
		var want []string
		for i := range 400 {
			s := fmt.Sprintf("%04d", i)
			_ = w.Signal("r", "s", s)
			want = append(want, s)
		}
		_ = w.Signal("r", "go", "")
		if got := completed[[]string](w, "r"); !slices.Equal(got, want) {
			t.Errorf("got %d", len(got))
		}
	}, keeper)
}

// The cluster is told how much the code has not received.
func TestAdvancesTellWhatWasNotReceived(t *testing.T) {
	inWorld(t, func(w *world) {
		var told [2]atomic.Int64
		w.OnAdvance(func(a *workflows.Advance) (f workflowstest.Fate) {
			told[0].Store(int64(a.Unreceived))
			told[1].Store(int64(a.UnreceivedBytes))
			return f
		})
		w.start("keeper", "r", false)
		for i, name := range []string{"s", "mine", "s", "other"} {
			_ = w.Signal("r", name, "12345")
			time.Sleep(time.Second)
			if signals, bytes := told[0].Load(), told[1].Load(); signals != int64(i+1) || bytes < 7*signals || bytes > 40*signals {
				t.Errorf("%d signals of %d bytes", signals, bytes)
			}
		}
		w.crash()
		_ = w.Signal("r", "s", "12345")
		time.Sleep(time.Minute)
		if signals := told[0].Load(); signals != 5 {
			t.Errorf("%d signals after a crash", signals)
		}
		_ = w.Signal("r", "go", "")
		time.Sleep(time.Second)
		if got := completed[[]string](w, "r"); len(got) != 3 || told[0].Load() != 1 {
			t.Errorf("got %q, left %d", got, told[0].Load())
		}
	}, keeper)
}

// The code of the next run has some of them from its begin, though it waits for none, as far
// as there is room beside its input.
func TestSomeSignalsAreThereAtTheBegin(t *testing.T) {
	const signals, size = 40, 30 << 10
	for input, want := range map[int]int{10: 8, maxPayload - 32<<10 - size*3: 2, maxPayload - 32<<10: 0} {
		flow := workflows.Define("counts", 1, func(ctx workflows.Context, in string) (int, error) {
			ch := workflows.Signals[string](ctx, "s")
			if in != "" {
				n := ch.Len()
				for ch.Len() < signals { // the others come
					if err := workflows.Sleep(ctx, time.Second); err != nil {
						return 0, err
					}
				}
				return n, nil
			}
			if _, err := workflows.Signals[string](ctx, "go").Receive(ctx); err != nil {
				return 0, err
			}
			return 0, workflows.ContinueAsNew(payload(input))
		})
		t.Run(fmt.Sprint(input), func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.start("counts", "r", "")
				for range signals {
					_ = w.Signal("r", "s", payload(size))
				}
				_ = w.Signal("r", "go", "")
				if got := completed[int](w, "r"); got != want {
					t.Errorf("%d signals at the begin, want %d", got, want)
				}
			}, flow)
		})
	}
}
