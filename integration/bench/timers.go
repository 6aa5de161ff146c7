package main

import (
	"context"
	"fmt"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/integration/cluster"
)

// schedules measures how late schedules fire.
func (b *bench) schedules(ctx context.Context) error {
	return b.observe(ctx, "schedules", "bench", "schedule")
}

const (
	// timersAtOnce are set in one commit.
	timersAtOnce = 500
	// idleFor is how long it is watched what nodes do of whom nothing is asked.
	idleFor = 20 * time.Second
)

// timers compares appends, and what the leader does when there are none, where -full delayed
// events wait with those where ten do.
func (b *bench) timers(ctx context.Context) error {
	few, err := b.another(ctx, "few")
	if err != nil {
		return err
	}
	defer few.Close()
	began := time.Now()
	if err := delay(ctx, b.cluster, b.fullEvents); err != nil {
		return err
	}
	fmt.Printf("%d delayed events were taken in %v\n", b.fullEvents, time.Since(began).Round(time.Millisecond))
	if err := delay(ctx, few, 10); err != nil {
		return err
	}
	sides := [2]side{
		{name: "10 delayed events", cluster: few},
		{name: fmt.Sprintf("%d delayed events", b.fullEvents), cluster: b.cluster},
	}
	if err := b.compare(ctx, sides); err != nil {
		return err
	}
	// What is behind the appends ends first, such as sealing a segment.
	for range 2 {
		for _, s := range sides {
			if err := tellIdle(ctx, s); err != nil {
				return err
			}
		}
	}
	return nil
}

// delay has events wait, which come after all that is measured.
func delay(ctx context.Context, on *cluster.Cluster, n int) error {
	c, err := client.New(client.Config{Servers: on.URLs()})
	if err != nil {
		return err
	}
	defer c.Close()
	at := time.Now().Add(30 * 24 * time.Hour)
	return eachOf((n+timersAtOnce-1)/timersAtOnce, func(batch int64) error {
		var ops []client.Op
		for i := (int(batch) - 1) * timersAtOnce; i < min(n, int(batch)*timersAtOnce); i++ {
			ops = append(ops, client.AppendLaterOp("bench/later", event.Event{
				ID: fmt.Sprint(i), Source: "/edri/bench/timers", Type: "bench.later",
			}, at.Add(time.Duration(i)*time.Millisecond)))
		}
		if _, err := c.Commit(ctx, ops...); err != nil {
			return fmt.Errorf("append later: %w", err)
		}
		return nil
	})
}

// tellIdle tells what a leader takes of a processor of which nothing is asked.
func tellIdle(ctx context.Context, s side) error {
	leader, err := s.cluster.Leader(ctx)
	if err != nil {
		return err
	}
	before, err := processorTime(leader)
	if err != nil {
		return err
	}
	idle := time.NewTimer(idleFor)
	defer idle.Stop()
	select {
	case <-idle.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	after, err := processorTime(leader)
	if err != nil {
		return err
	}
	fmt.Printf("%s: the idle leader takes %.2f %% of a processor\n", s.name, 100*(after-before).Seconds()/idleFor.Seconds())
	return nil
}
