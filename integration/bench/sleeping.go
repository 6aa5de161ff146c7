package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/workflows"
)

const (
	// sleepersAtOnce are started in one commit.
	sleepersAtOnce = 100
	// sleepersBefore are there before what more of them take is measured, so that what a
	// node takes once for all of them is not counted.
	sleepersBefore = 10_000
	// manySteps are of the run whose replay is measured, begun so many at a time.
	manySteps, stepsAtOnce = 10_000, 500
)

// sleeper is a workflow that does nothing for a day.
var sleeper = workflows.Define("bench-sleeper", 1, func(ctx workflows.Context, _ struct{}) (struct{}, error) {
	return struct{}{}, workflows.Sleep(ctx, 24*time.Hour)
})

// long is a workflow of many steps, which then waits for a signal.
var long = workflows.Define("bench-long", 1, func(ctx workflows.Context, _ struct{}) (int, error) {
	step := workflows.NewStep("one", func(_ context.Context, n int) (int, error) { return n, nil })
	sum := 0
	for n := 0; n < manySteps; {
		var some []*workflows.Future[int]
		for range stepsAtOnce {
			some = append(some, step.Start(ctx, 1))
			n++
		}
		for _, f := range some {
			one, err := f.Get(ctx)
			if err != nil {
				return sum, err
			}
			sum += one
		}
	}
	_, err := workflows.Signals[string](ctx, "end").Receive(ctx)
	return sum, err
})

// worker is one in this process.
type worker struct {
	*workflows.Runner
	client *client.Client
	cancel context.CancelFunc
	ended  chan error
}

func (b *bench) work(ctx context.Context, flow workflows.Defined) (*worker, error) {
	c, err := client.New(client.Config{Servers: b.cluster.URLs()})
	if err != nil {
		return nil, err
	}
	r, err := workflows.NewRunner(workflows.Config{}, flow)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	ctx, cancel := context.WithCancel(ctx)
	w := &worker{Runner: r, client: c, cancel: cancel, ended: make(chan error, 1)}
	go func() { w.ended <- r.Run(ctx, c) }()
	return w, nil
}

func (w *worker) stop() error {
	w.cancel()
	return errors.Join(<-w.ended, w.client.Close())
}

// until waits until a condition holds, which nothing announces.
func until(ctx context.Context, holds func() (bool, error)) error {
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		if ok, err := holds(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-again.C:
		}
	}
}

func (w *worker) awaitDefined(ctx context.Context) error {
	return until(ctx, func() (bool, error) {
		known, err := w.client.Definitions(ctx)
		return len(known) > 0, err
	})
}

// sleeping tells what runs that sleep take of the leader's memory and processor, and of
// their worker's cache; and how long the replay of a run of many steps takes.
func (b *bench) sleeping(ctx context.Context) (err error) {
	w, err := b.work(ctx, sleeper)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.stop()) }()
	if err := w.awaitDefined(ctx); err != nil {
		return err
	}
	here := func(n int) side { return side{name: fmt.Sprintf("%d runs sleep", n), cluster: b.cluster} }
	if err := tellIdle(ctx, here(0)); err != nil {
		return err
	}
	if err := b.sleep(ctx, w, 0, sleepersBefore); err != nil {
		return err
	}
	if err := tellIdle(ctx, here(sleepersBefore)); err != nil {
		return err
	}
	before, err := b.leaderMemory(ctx)
	if err != nil {
		return err
	}
	total := sleepersBefore + b.sleepers
	began := time.Now()
	if err := b.sleep(ctx, w, sleepersBefore, total); err != nil {
		return err
	}
	took := time.Since(began)
	fmt.Printf("%d runs went to sleep in %v, %.1f s for 10,000; their worker holds %d\n",
		b.sleepers, took.Round(time.Millisecond), took.Seconds()*10_000/float64(b.sleepers), w.Stats().Held)
	for range 2 { // what is behind the commits ends first
		if err := tellIdle(ctx, here(total)); err != nil {
			return err
		}
	}
	after, err := b.leaderMemory(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%d runs sleep: anonymous memory of the leader %s, before %s: %d bytes for each\n",
		total, mebibytes(after), mebibytes(before), (after-before)/int64(b.sleepers))
	return b.replay(ctx)
}

// sleep starts runs first to last-1 and waits until all of them sleep.
func (b *bench) sleep(ctx context.Context, w *worker, first, last int) error {
	err := eachOf((last-first)/sleepersAtOnce, func(batch int64) error {
		ops := make([]client.Op, sleepersAtOnce)
		for i := range ops {
			n := first + (int(batch)-1)*sleepersAtOnce + i
			ops[i] = client.StartRunOp(workflows.Start{ID: fmt.Sprint("sleeper-", n), Type: sleeper.Name()})
		}
		_, err := w.client.Commit(ctx, ops...)
		return err
	})
	if err != nil {
		return fmt.Errorf("start runs: %w", err)
	}
	return until(ctx, func() (bool, error) { return w.Stats().Advances >= int64(last), nil })
}

// replay tells how long a worker takes for the end of a run that it does not know, of
// many steps.
func (b *bench) replay(ctx context.Context) error {
	first, err := b.work(ctx, long)
	if err != nil {
		return err
	}
	began := time.Now()
	run, err := startSoon(ctx, first.client, workflows.Start{ID: "bench-long", Type: long.Name()})
	if err == nil {
		err = until(ctx, func() (bool, error) {
			r, err := first.client.Run(ctx, run, client.Linearizable)
			return r.Events > manySteps && !r.Busy, err
		})
	}
	took := time.Since(began)
	if err := errors.Join(err, first.stop()); err != nil {
		return err
	}
	fmt.Printf("a run made %d steps, %d at a time, in %v\n", manySteps, stepsAtOnce, took.Round(time.Millisecond))
	for round := range b.rounds {
		w, err := b.work(ctx, long)
		if err != nil {
			return err
		}
		began := time.Now()
		// It has no such query, which only its code knows.
		_, err = w.client.QueryRun(ctx, run, "none", nil)
		took := time.Since(began)
		if e := (*workflows.Error)(nil); !errors.As(err, &e) {
			return errors.Join(fmt.Errorf("query: %w", err), w.stop())
		}
		if round == b.rounds-1 {
			if err := b.endLong(ctx, w, run); err != nil {
				return errors.Join(err, w.stop())
			}
		}
		if err := w.stop(); err != nil {
			return err
		}
		fmt.Printf("a worker that did not know it answered a query after %v, the replay of its history included\n", took.Round(time.Millisecond))
	}
	return nil
}

func (b *bench) endLong(ctx context.Context, w *worker, run client.RunID) error {
	if err := w.client.SignalRun(ctx, run, workflows.Signal{Name: "end"}); err != nil {
		return err
	}
	o, err := w.client.WaitRun(ctx, run)
	if err == nil && string(o.Result) != fmt.Sprint(manySteps) {
		err = fmt.Errorf("run of %d steps is %s: %s, %v", manySteps, o.Status, o.Result, o.Err)
	}
	return err
}

// startSoon starts a run of a workflow that is about to be defined.
func startSoon(ctx context.Context, c *client.Client, s workflows.Start) (run client.RunID, err error) {
	failed := until(ctx, func() (bool, error) {
		run, _, err = c.StartRun(ctx, s)
		return err == nil, nil
	})
	return run, failed
}
