package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers"
)

// liveConcurrency is more than are under way at any rate that is kept up.
const liveConcurrency = 256

var errTooSlow = errors.New("none within the time")

// liveTimes are when each event was acknowledged and with its handler.
type liveTimes struct {
	mu              sync.Mutex
	appended, there []time.Time
	left            int
	all             chan struct{} // closed when every event has both
	failed          error
}

func (t *liveTimes) note(times []time.Time, i int) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if i < 0 || i >= len(times) || !times[i].IsZero() {
		return
	}
	times[i] = now
	if t.left--; t.left == 0 {
		close(t.all)
	}
}

func (t *liveTimes) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failed == nil {
		t.failed = err
	}
}

// latencies are from the acknowledgement of the append to the handler; what was there
// before its acknowledgement counts as 0.
func (t *liveTimes) latencies() []time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []time.Duration
	for i := range t.appended {
		if !t.appended[i].IsZero() && !t.there[i].IsZero() {
			all = append(all, max(0, t.there[i].Sub(t.appended[i])))
		}
	}
	slices.Sort(all)
	return all
}

// live appends at a rate and measures how fast the events are with their handler.
func (d *deliverRun) live(ctx context.Context) (Live, error) {
	eventType := d.newType()
	remove, err := d.subscribe(ctx, eventType, managers.Start{})
	if err != nil {
		return Live{}, err
	}
	defer remove()
	n := max(1, int(float64(d.cfg.LiveRate)*d.cfg.LiveDuration.Seconds()))
	times := &liveTimes{appended: make([]time.Time, n), there: make([]time.Time, n), left: 2 * n, all: make(chan struct{})}

	consuming, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		ended <- d.client.Consume(consuming, eventType, managers.Consumer{
			Member: "edri bench", Concurrency: liveConcurrency,
			Handle: func(_ context.Context, delivery managers.Delivery) managers.Settlement {
				if i, err := strconv.Atoi(delivery.Subject); err == nil {
					times.note(times.there, i)
				}
				return managers.Settlement{}
			},
		})
	}()
	err = d.appendAtRate(ctx, n, times)
	patience := time.NewTimer(d.cfg.GiveUpAfter)
	defer patience.Stop()
	if err == nil {
		select {
		case <-times.all:
		case <-patience.C:
			err = errors.New("not every event was delivered")
		case err = <-ended:
			ended <- err
		case <-ctx.Done():
		}
	}
	stop()
	err = errors.Join(err, <-ended, context.Cause(ctx))
	all := times.latencies()
	return Live{PerSecond: d.cfg.LiveRate, Events: len(all), P50: quantile(all, 0.5), P99: quantile(all, 0.99), Max: quantile(all, 1)}, err
}

// appendAtRate appends n events, each when its time has come, whether those before are
// answered or not.
func (d *deliverRun) appendAtRate(ctx context.Context, n int, times *liveTimes) error {
	interval := time.Second / time.Duration(d.cfg.LiveRate)
	began := time.Now()
	var appends sync.WaitGroup
	defer appends.Wait()
	for i := range n {
		if wait := time.Until(began.Add(time.Duration(i) * interval)); wait > 0 {
			pause(ctx, wait)
		}
		if ctx.Err() != nil {
			break
		}
		appends.Go(func() {
			e := d.load.event(d.load.eventType + "-" + strconv.Itoa(i))
			e.Subject = strconv.Itoa(i)
			if _, err := d.client.Append(ctx, "bench/live", event.ExpectAny, e); err != nil {
				times.fail(fmt.Errorf("append: %w", err))
				return
			}
			times.note(times.appended, i)
		})
	}
	appends.Wait()
	times.mu.Lock()
	defer times.mu.Unlock()
	return times.failed
}

// request measures one caller and one worker, beside one producer.
func (d *deliverRun) request(ctx context.Context) (RequestLevel, error) {
	commits := closedLoop(ctx, 1, d.cfg.Warmup, d.cfg.AppendDuration, d.load.operation(1))
	eventType := d.newType()
	remove, err := d.subscribe(ctx, eventType, managers.Start{})
	if err != nil {
		return RequestLevel{}, err
	}
	defer remove()
	consuming, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		ended <- d.client.Consume(consuming, eventType, managers.Consumer{
			Member: "edri bench", Concurrency: 1,
			Handle: func(context.Context, managers.Delivery) managers.Settlement {
				return managers.Settlement{Effects: managers.Effects{Response: &event.Event{
					Source: benchSource, Type: "bench.deliver.response", Data: d.load.data,
				}}}
			},
		})
	}()
	calls := closedLoop(ctx, 1, d.cfg.Warmup, d.cfg.AppendDuration, func(ctx context.Context, _, n int) error {
		e := d.load.event(eventType + "-" + strconv.Itoa(n))
		_, err := d.client.Call(ctx, "bench/requests", e, client.CallOptions{Timeout: d.cfg.GiveUpAfter})
		return err
	})
	stop()
	if err := errors.Join(<-ended, context.Cause(ctx)); err != nil {
		return RequestLevel{}, err
	}
	if commits.answered == 0 || calls.answered == 0 {
		return RequestLevel{}, fmt.Errorf("%d commits and %d requests were answered: %w", commits.answered, calls.answered,
			cmp.Or(errors.Join(commits.firstError, calls.firstError), errTooSlow))
	}
	level := RequestLevel{Request: calls.figure, Commit: commits.figure, Errors: commits.errors + calls.errors}
	level.Ratio = float64(level.Request.P50) / float64(level.Commit.P50)
	return level, nil
}
