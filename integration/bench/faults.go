package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/edri-io/edri/integration/cluster"
	"github.com/edri-io/edri/integration/ledger"
	"github.com/edri-io/edri/integration/workload"
)

// restart measures how long all nodes take to be ready after all were killed,
// with a long history.
func (b *bench) restart(ctx context.Context) error {
	stored, err := b.fill(ctx)
	if err != nil {
		return err
	}
	var took []time.Duration
	for range b.rounds {
		if err := b.cluster.KillAll(); err != nil {
			return err
		}
		began := time.Now()
		if err := b.cluster.StartAll(ctx); err != nil {
			return err
		}
		if err := b.cluster.WaitReady(ctx); err != nil {
			return err
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	idle, err := b.memory()
	if err != nil {
		return err
	}
	fmt.Printf("restart of all nodes with %d events, until all are ready: p50 %.2fs, max %.2fs; then anonymous memory per node %s\n",
		stored, took[len(took)/2].Seconds(), took[len(took)-1].Seconds(), mebibytes(idle))
	return nil
}

// fill appends until the history is long enough, and returns its length.
func (b *bench) fill(ctx context.Context) (uint64, error) {
	return fill(ctx, b.cluster, uint64(b.fullEvents))
}

func fill(ctx context.Context, c *cluster.Cluster, events uint64) (uint64, error) {
	for {
		last, err := lastPosition(ctx, c)
		if err != nil || last >= events {
			return last, err
		}
		fmt.Printf("%d events, filling up to %d\n", last, events)
		seconds := min(10, 1+(events-last)/100_000)
		if err := edri(ctx, c, io.Discard, "bench", "append", "--producers", "1024", "--rounds", "1",
			"--duration", fmt.Sprintf("%ds", seconds)); err != nil {
			return 0, err
		}
	}
}

func lastPosition(ctx context.Context, c *cluster.Cluster) (uint64, error) {
	leader, err := c.Leader(ctx)
	if err != nil {
		return 0, err
	}
	status, err := leader.Status(ctx)
	return status.LastPosition, err
}

// failover kills the leader again and again under load, and measures each time
// how long the first acknowledged write took.
func (b *bench) failover(ctx context.Context) error {
	// The ledger is not checked here: the tests do that.
	w, err := workload.Start(ctx, workload.Config{Servers: b.cluster.URLs(), Writers: 16, Ledger: ledger.New()})
	if err != nil {
		return err
	}
	took, err := b.killLeaders(ctx, w)
	if _, stopErr := w.Stop(); err == nil {
		err = stopErr
	}
	if err != nil {
		return err
	}
	slices.Sort(took)
	fmt.Printf("leader SIGKILL to first acknowledged write, %d kills: p50 %.2fs, max %.2fs\n",
		len(took), took[len(took)/2].Seconds(), took[len(took)-1].Seconds())
	return nil
}

func (b *bench) killLeaders(ctx context.Context, w *workload.Writers) ([]time.Duration, error) {
	var took []time.Duration
	for kill := range b.kills {
		if err := w.WaitFor(ctx, 200); err != nil {
			return nil, err
		}
		leader, err := b.cluster.Leader(ctx)
		if err != nil {
			return nil, err
		}
		if err := leader.Kill(); err != nil {
			return nil, err
		}
		waited, err := w.First(ctx)
		if err != nil {
			return nil, err
		}
		fmt.Printf("kill %d/%d of %s: %.2fs\n", kill+1, b.kills, leader.Name, waited.Seconds())
		took = append(took, waited)
		if err := leader.Start(); err != nil {
			return nil, err
		}
		if err := leader.WaitReady(ctx); err != nil {
			return nil, err
		}
	}
	return took, nil
}
