package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestClosedLoopCountsOnlyTheMeasuredTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		started := 0
		out := closedLoop(t.Context(), 1, time.Second, 2*time.Second, func(context.Context, int, int) error {
			started++
			time.Sleep(10 * time.Millisecond) // bubble time
			return nil
		})
		if out.answered < 199 || out.answered > 201 {
			t.Errorf("counted %d, want 200", out.answered)
		}
		if started < 300 || started > 302 {
			t.Errorf("ran %d operations, want 300 with the warm-up", started)
		}
		if rate := out.figure.PerSecond; rate < 99 || rate > 101 {
			t.Errorf("rate %.1f, want 100", rate)
		}
	})
}

func TestClosedLoopKeepsOneOperationPerProducer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var busy [3]bool
		next := [3]int{}
		closedLoop(t.Context(), 3, 0, time.Second, func(_ context.Context, p, n int) error {
			if busy[p] || n != next[p] {
				t.Errorf("producer %d began operation %d, busy %v, want operation %d", p, n, busy[p], next[p])
			}
			busy[p] = true
			time.Sleep(time.Duration(p+1) * time.Millisecond) // bubble time
			busy[p] = false
			next[p]++
			return nil
		})
	})
}

func TestClosedLoopCountsErrorsApart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		refused := errors.New("refused")
		out := closedLoop(t.Context(), 1, 0, time.Second, func(_ context.Context, _, n int) error {
			if n%2 == 1 {
				return refused
			}
			time.Sleep(10 * time.Millisecond) // bubble time
			return nil
		})
		if out.answered < 49 || out.answered > 51 || out.errors < 49 || out.errors > 51 {
			t.Errorf("%d answers and %d errors, want 50 of each", out.answered, out.errors)
		}
		if !errors.Is(out.firstError, refused) {
			t.Errorf("first error: %v", out.firstError)
		}
	})
}

func TestMeasureInterleavesAndTakesMedians(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, open := memoryFiles(time.Millisecond, time.Millisecond, time.Millisecond)
		disk := newDiskLimit(open, 1<<20, 100)
		cfg, err := AppendConfig{Servers: []string{"unused"}, Producers: []int{1, 4}, Duration: time.Second, Warmup: 100 * time.Millisecond}.normalize()
		if err != nil {
			t.Fatal(err)
		}
		var order []int
		slow := []time.Duration{4, 4, 2, 2, 3, 3} // of the calls, two levels a round
		levels, err := measure(t.Context(), cfg, func(k int) operation {
			wait := slow[len(order)] * time.Millisecond
			order = append(order, k)
			return func(context.Context, int, int) error { time.Sleep(wait); return nil } // bubble time
		}, disk)
		if err != nil {
			t.Fatalf("measure: %v", err)
		}
		if want := []int{1, 4, 1, 4, 1, 4}; len(order) != len(want) || order[0] != 1 || order[1] != 4 || order[2] != 1 {
			t.Errorf("measured levels %v, want %v", order, want)
		}
		if got := levels[0].Append.P50; got != 3*time.Millisecond {
			t.Errorf("p50 at 1 producer: %v, want the median round's 3ms", got)
		}
		if got := levels[0].Ratio; got < 0.32 || got > 0.35 {
			t.Errorf("ratio at 1 producer: %.3f, want a third of the disk's 1000/s", got)
		}
		if got := levels[1].Append.PerSecond; got < 1320 || got > 1345 {
			t.Errorf("4 producers at 3ms: %.0f/s, want 1333", got)
		}
		if err := disk.close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestMeasureStopsWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	cfg, err := AppendConfig{Servers: []string{"unused"}}.normalize()
	if err != nil {
		t.Fatal(err)
	}
	_, err = measure(ctx, cfg, func(int) operation {
		return func(context.Context, int, int) error { cancel(); return nil }
	}, nil)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

// An operation that outlives the measured time and fails is the reason why nothing
// was answered.
func TestMeasureFailsWhereNothingIsAnswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gone := errors.New("no server")
		cfg, err := AppendConfig{Servers: []string{"unused"}}.normalize()
		if err != nil {
			t.Fatal(err)
		}
		_, err = measure(t.Context(), cfg, func(int) operation {
			return func(context.Context, int, int) error {
				time.Sleep(cfg.GiveUpAfter) // bubble time
				return gone
			}
		}, nil)
		if !errors.Is(err, gone) {
			t.Errorf("got %v, want %v", err, gone)
		}
	})
}

func TestSettingsOutOfBoundsAreRefused(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]AppendConfig{
		"no server":       {},
		"no producer":     {Servers: []string{"s"}, Producers: []int{0}},
		"too many":        {Servers: []string{"s"}, Producers: []int{maxProducers + 1}},
		"event too large": {Servers: []string{"s"}, EventBytes: 1<<20 + 1},
		"two limit dirs":  {Servers: []string{"s"}, LimitDirs: []string{"a", "b"}},
		"negative rounds": {Servers: []string{"s"}, Rounds: -1},
	} {
		if _, err := cfg.normalize(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := (ReadConfig{}).normalize(); err == nil {
		t.Error("read without a server: accepted")
	}
}

func TestMedianAndQuantile(t *testing.T) {
	t.Parallel()
	if got := median([]float64{5, 1, 3}); got != 3 {
		t.Errorf("median of three: %v", got)
	}
	if got := median([]float64{4, 1}); got != 2.5 {
		t.Errorf("median of two: %v", got)
	}
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(i + 1)
	}
	for q, want := range map[float64]time.Duration{0.5: 50, 0.99: 99, 1: 100, 0: 1} {
		if got := quantile(hundred, q); got != want {
			t.Errorf("quantile %v: got %v, want %v", q, got, want)
		}
	}
	if quantile(nil, 0.5) != 0 || median[float64](nil) != 0 {
		t.Error("of nothing: want 0")
	}
}

func TestReportsPrintEveryFigure(t *testing.T) {
	t.Parallel()
	limit := Figure{PerSecond: 4000, P50: 250 * time.Microsecond, P99: time.Millisecond}
	r := AppendReport{EventBytes: 256, WireBytes: 320, Rounds: 3, Levels: []Level{
		{Producers: 64, Append: Figure{PerSecond: 1234, P50: 2 * time.Millisecond, P99: 9 * time.Millisecond}, Limit: &limit, Ratio: 0.31},
		{Producers: 256, Append: Figure{PerSecond: 5678}, Errors: 2, FirstError: "unavailable: no leader"},
	}}
	var text, line bytes.Buffer
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1234", "2ms", "9ms", "4000", "0.31", "5678", "unavailable: no leader"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in:\n%s", want, &text)
		}
	}
	if err := r.WriteJSON(&line); err != nil {
		t.Fatal(err)
	}
	var back AppendReport
	if err := json.Unmarshal(line.Bytes(), &back); err != nil || back.Levels[0].Ratio != 0.31 || *back.Levels[0].Limit != limit {
		t.Errorf("JSON did not come back: %+v, %v", back, err)
	}
}
