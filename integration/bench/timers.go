package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	measured "github.com/edri-io/edri/bench"
	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
)

// schedules measures how late schedules fire.
func (b *bench) schedules(ctx context.Context) error {
	return b.observe(ctx, "schedules", "bench", "schedule")
}

const (
	// timerProducers append beside the timers that wait.
	timerProducers = 64
	// timersAtOnce are set in one commit.
	timersAtOnce = 500
	idleFor      = 10 * time.Second
)

// timers measures appends, and what the leader does where there are none, with no and with
// -full delayed events that wait, and prints the ratio.
func (b *bench) timers(ctx context.Context) error {
	c, err := client.New(client.Config{Servers: b.cluster.URLs()})
	if err != nil {
		return err
	}
	defer c.Close()
	none, err := b.beside(ctx, 0)
	if err != nil {
		return err
	}
	began := time.Now()
	at := began.Add(30 * 24 * time.Hour)
	if err := eachOf((b.fullEvents+timersAtOnce-1)/timersAtOnce, func(batch int64) error {
		ops := make([]client.Op, timersAtOnce)
		for i := range ops {
			id := fmt.Sprintf("%d/%d", batch, i)
			ops[i] = client.AppendLaterOp("bench/later", event.Event{ID: id, Source: "/edri/bench/timers", Type: "edri.bench.later"},
				at.Add(time.Duration(batch*timersAtOnce)*time.Millisecond))
		}
		_, err := c.Commit(ctx, ops...)
		return err
	}); err != nil {
		return fmt.Errorf("append later: %w", err)
	}
	fmt.Printf("%d delayed events were taken in %v\n", b.fullEvents, time.Since(began).Round(time.Millisecond))
	many, err := b.beside(ctx, b.fullEvents)
	if err != nil {
		return err
	}
	fmt.Printf("appends beside %d delayed events to none: %.2f\n", b.fullEvents, many/none)
	return nil
}

// beside returns the rate of appends, the median of the rounds, and tells it with what the
// leader takes of a processor while nothing is asked of it.
func (b *bench) beside(ctx context.Context, pending int) (float64, error) {
	var rates []float64
	for range b.rounds {
		var out bytes.Buffer
		if err := edri(ctx, b.cluster, &out, "bench", "append", "--producers", strconv.Itoa(timerProducers), "--rounds", "1",
			"--duration", b.duration.String(), "--output", "json"); err != nil {
			return 0, err
		}
		var report measured.AppendReport
		if err := json.Unmarshal(out.Bytes(), &report); err != nil {
			return 0, fmt.Errorf("read report: %w", err)
		}
		rates = append(rates, report.Levels[0].Append.PerSecond)
	}
	slices.Sort(rates)
	leader, err := b.cluster.Leader(ctx)
	if err != nil {
		return 0, err
	}
	before, err := processorTime(leader)
	if err != nil {
		return 0, err
	}
	select {
	case <-time.After(idleFor):
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	after, err := processorTime(leader)
	if err != nil {
		return 0, err
	}
	rate := rates[len(rates)/2]
	fmt.Printf("%d delayed events wait: %.0f appends/s of %d producers (of %.0f); then idle, the leader takes %.2f %% of a processor\n",
		pending, rate, timerProducers, rates, 100*(after-before).Seconds()/idleFor.Seconds())
	return rate, nil
}
