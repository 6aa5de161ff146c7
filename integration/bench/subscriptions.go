package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	measured "github.com/edri-io/edri/bench"
	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers"
)

const (
	idleSubscriptions = 9_999
	// makers make and delete them.
	makers = 64
	// busyCredits are those of the subscription that is measured.
	busyCredits = 64
	// stuckName is that of the stuck one.
	stuckName = "bench.stuck"
	// filledType is that of the events that fill appends.
	filledType = "edri.bench.append"
)

// subscriptions measures a busy subscription alone, beside idle ones, and beside one
// that is stuck, in turn, and prints the ratios.
func (b *bench) subscriptions(ctx context.Context) error {
	backlog, err := b.fill(ctx)
	if err != nil {
		return err
	}
	c, err := client.New(client.Config{Servers: b.cluster.URLs()})
	if err != nil {
		return err
	}
	defer c.Close()
	beside := []struct {
		name  string
		begin func(context.Context, *client.Client) (end func() error, err error)
	}{
		{"alone", func(context.Context, *client.Client) (func() error, error) { return func() error { return nil }, nil }},
		{fmt.Sprintf("beside %d idle ones", idleSubscriptions), beginIdle},
		{fmt.Sprintf("beside one with a stuck backlog of %d", backlog), beginStuck},
	}
	rates := make([][]float64, len(beside))
	for range b.rounds {
		for i, way := range beside {
			end, err := way.begin(ctx, c)
			if err != nil {
				return fmt.Errorf("%s: %w", way.name, err)
			}
			rate, live, err := b.busy(ctx)
			memory, failed := b.leaderMemory(ctx)
			if err := errors.Join(err, failed, end()); err != nil {
				return fmt.Errorf("%s: %w", way.name, err)
			}
			rates[i] = append(rates[i], rate)
			fmt.Printf("a busy subscription %s: %.0f deliveries/s with acks, %.2f of alone; live p50 %v, p99 %v; anonymous memory of the leader %s\n",
				way.name, rate, rate/rates[0][len(rates[0])-1], live.P50.Round(time.Microsecond), live.P99.Round(time.Microsecond), mebibytes(memory))
		}
	}
	for i, way := range beside[1:] {
		var ratios []float64
		for round, rate := range rates[i+1] {
			ratios = append(ratios, rate/rates[0][round])
		}
		slices.Sort(ratios)
		fmt.Printf("%s to alone: %.2f (median of %d rounds), worst %.2f\n", way.name, ratios[len(ratios)/2], b.rounds, ratios[0])
	}
	return nil
}

// busy drains a backlog of a subscription of its own, with the command line.
func (b *bench) busy(ctx context.Context) (rate float64, live measured.Live, err error) {
	var out bytes.Buffer
	if err := edri(ctx, b.cluster, &out, "bench", "deliver", "--credits", strconv.Itoa(busyCredits), "--duration", b.duration.String(),
		"--append-duration", "1s", "--output", "json"); err != nil {
		return 0, live, err
	}
	var report measured.DeliverReport
	if err := json.Unmarshal(out.Bytes(), &report); err != nil {
		return 0, live, fmt.Errorf("read report: %w", err)
	}
	return report.Drains[0].PerSecond, report.Live, nil
}

func (b *bench) leaderMemory(ctx context.Context) (int64, error) {
	leader, err := b.cluster.Leader(ctx)
	if err != nil {
		return 0, err
	}
	return anonymous(leader.Pid())
}

// beginIdle makes subscriptions, each of a type of its own of which there is no event.
func beginIdle(ctx context.Context, c *client.Client) (end func() error, err error) {
	name := func(i int64) string { return fmt.Sprintf("bench.idle.%d", i) }
	err = each(func(i int64) error {
		_, err := c.EnsureSubscription(ctx, event.Subscription{
			Name: name(i), Filter: event.Filter{Exact: map[string]string{"type": name(i)}},
		}, managers.Start{})
		return err
	})
	return func() error {
		return each(func(i int64) error { return c.DeleteSubscription(ctx, name(i)) })
	}, err
}

// each does something for each idle subscription.
func each(do func(i int64) error) error { return eachOf(idleSubscriptions, do) }

// eachOf does something for each number from 1 up to n.
func eachOf(n int, do func(i int64) error) error {
	var next atomic.Int64
	errs := make(chan error, makers)
	var running sync.WaitGroup
	for range makers {
		running.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				if err := do(i); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	running.Wait()
	close(errs)
	return <-errs
}

// beginStuck makes a subscription of what fill has appended, ordered by stream, whose member
// settles nothing, and waits until as much is pending as may be.
func beginStuck(ctx context.Context, c *client.Client) (end func() error, err error) {
	if _, err := c.CreateSubscription(ctx, event.Subscription{
		Name: stuckName, Filter: event.Filter{Exact: map[string]string{"type": filledType}},
		OrderingKey: event.OrderByStream,
	}, managers.Start{First: true}); err != nil {
		return nil, err
	}
	consuming, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		ended <- c.Consume(consuming, stuckName, managers.Consumer{
			Member: "stuck", Concurrency: event.DefaultMaxInFlight, Timeout: time.Hour, Grace: time.Millisecond,
			Handle: func(ctx context.Context, _ managers.Delivery) managers.Settlement {
				<-ctx.Done()
				return managers.Settlement{Verb: managers.Nak, Reason: "is stuck"}
			},
		})
	}()
	end = func() error {
		stop()
		return errors.Join(<-ended, c.DeleteSubscription(ctx, stuckName))
	}
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		info, err := c.Subscription(ctx, stuckName, client.Linearizable)
		if err != nil {
			return end, err
		}
		if info.InFlight > 0 && (info.Blocked || info.InFlight == event.DefaultMaxInFlight) {
			return end, nil
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return end, context.Cause(ctx)
		}
	}
}
