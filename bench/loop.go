package bench

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// errorPause keeps a producer whose operations fail at once from spinning.
const errorPause = 10 * time.Millisecond

// operation does the n-th thing of a producer, both from 0, and returns when it
// is answered.
type operation func(ctx context.Context, producer, n int) error

// outcome is what one closed-loop measurement counted.
type outcome struct {
	figure     Figure
	answered   int
	errors     int
	firstError error
}

// closedLoop runs k producers, each waiting for an answer before its next
// operation, for warmup and then duration. An operation counts if it was
// answered without an error within the measured time; its latency is its own,
// even if it began during the warm-up. Operations that are under way at the end
// are waited for, and counted only if they fail.
func closedLoop(ctx context.Context, k int, warmup, duration time.Duration, do operation) outcome {
	var (
		wg        sync.WaitGroup
		over      atomic.Bool
		latencies = make([][]time.Duration, k)
		failures  = make([]failure, k)
		start     = time.Now().Add(warmup)
		end       = start.Add(duration)
	)
	for producer := range k {
		wg.Go(func() {
			for n := 0; !over.Load() && ctx.Err() == nil; n++ {
				began := time.Now()
				err := do(ctx, producer, n)
				done := time.Now()
				switch {
				case err != nil:
					failures[producer].add(err)
					pause(ctx, errorPause)
				case done.After(end), done.Before(start):
				default:
					latencies[producer] = append(latencies[producer], done.Sub(began))
				}
				if done.After(end) {
					over.Store(true)
				}
			}
		})
	}
	wg.Wait()
	return summarize(latencies, failures, duration)
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

type failure struct {
	count int
	first error
}

func (f *failure) add(err error) {
	if f.count == 0 {
		f.first = err
	}
	f.count++
}

func summarize(latencies [][]time.Duration, failures []failure, duration time.Duration) outcome {
	all := slices.Concat(latencies...)
	slices.Sort(all)
	out := outcome{answered: len(all)}
	out.figure = Figure{
		PerSecond: float64(len(all)) / duration.Seconds(),
		P50:       quantile(all, 0.50),
		P99:       quantile(all, 0.99),
	}
	for _, f := range failures {
		if out.errors == 0 {
			out.firstError = f.first
		}
		out.errors += f.count
	}
	return out
}
