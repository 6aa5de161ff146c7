package workflows_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
	"github.com/edri-io/edri/workflows/workflowstest"
)

// manySteps does as many steps as its input says, one after the other.
var manySteps = workflows.Define("many", 1, func(ctx workflows.Context, n int) (sum int, err error) {
	step := workflows.NewStep("step", add(1))
	for range n {
		if sum, err = step.Do(ctx, sum); err != nil {
			return 0, err
		}
	}
	return sum, nil
})

// historyOf is that of a run of manySteps.
func historyOf(n int) []event.Recorded {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_901_234, time.UTC)
	var history []event.Recorded
	add := func(kind string, data any) {
		encoded, err := json.Marshal(data)
		if err != nil {
			panic(err)
		}
		at = at.Add(time.Millisecond)
		history = append(history, event.Recorded{
			Event:  event.Event{Type: workflows.HistoryPrefix + kind, Time: at, Data: encoded},
			Stream: "run/r", Revision: event.Revision(len(history) + 1),
		})
	}
	add(workflows.KindStarted, workflows.Started{Type: "many", Version: 1, Input: json.RawMessage(fmt.Sprint(n)), Seed: "1"})
	for i := range n {
		add(workflows.KindStepCompleted, workflows.StepRecord{
			Seq: uint64(i + 1), Name: "step", Attempt: 1, Started: at, Result: json.RawMessage(fmt.Sprint(i + 1)),
		})
	}
	add(workflows.KindCompleted, workflows.EndRecord{Result: json.RawMessage(fmt.Sprint(n))})
	return history
}

func BenchmarkReplay10000Steps(b *testing.B) {
	history := historyOf(10_000)
	b.ReportAllocs()
	for b.Loop() {
		if err := workflows.Check(manySteps, history); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkThreeSteps(b *testing.B) {
	for _, inFlight := range []int{1, 64} {
		b.Run(fmt.Sprint(inFlight), func(b *testing.B) {
			c := workflowstest.NewCluster()
			runner, err := workflows.NewRunner(workflows.Config{}, threeSteps)
			if err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(b.Context())
			var worker, runs sync.WaitGroup
			worker.Go(func() {
				if err := runner.Run(ctx, c); err != nil {
					b.Error(err)
				}
			})
			for runner.Stats().Advances == 0 {
				_, _ = c.Start(workflows.Start{Type: "three", Input: []byte("1")})
				time.Sleep(time.Millisecond)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range inFlight {
				runs.Go(func() {
					for n := i; n < b.N; n += inFlight {
						id := fmt.Sprint("r", n)
						if _, err := c.Start(workflows.Start{ID: id, Type: "three", Input: []byte("1"), Reuse: workflows.ReuseAlways}); err != nil {
							b.Error(err)
							return
						}
						if r, err := c.Wait(ctx, id); err != nil || r.Status != workflows.Completed {
							b.Error(r, err)
						}
					}
				})
			}
			runs.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "runs/s")
			cancel()
			worker.Wait()
		})
	}
}
