package bench

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers"
)

// backlogProducers fill a backlog, which is not measured.
const backlogProducers = 256

// Deliver measures how deliveries follow appends: how fast a member with k credits
// drains a backlog, beside how fast k producers append; how long after its append is
// acknowledged an event is with its handler; and how long a request takes, beside a
// commit. The error is for what prevents measuring. What is appended stays, the
// subscriptions do not.
func Deliver(ctx context.Context, cfg DeliverConfig) (DeliverReport, error) {
	cfg, err := cfg.normalize()
	if err != nil {
		return DeliverReport{}, fmt.Errorf("check benchmark settings: %w", err)
	}
	c, err := client.New(client.Config{Servers: cfg.Servers, Logger: cfg.Logger, GiveUpAfter: cfg.GiveUpAfter})
	if err != nil {
		return DeliverReport{}, fmt.Errorf("open client: %w", err)
	}
	defer c.Close()
	if _, err := c.Status(ctx); err != nil {
		return DeliverReport{}, fmt.Errorf("reach a node: %w", err)
	}

	d := &deliverRun{cfg: cfg, client: c, load: newLoad(cfg.EventBytes)}
	d.load.client = c
	report := DeliverReport{EventBytes: cfg.EventBytes, Rounds: cfg.Rounds}
	if report.Drains, err = d.drains(ctx); err != nil {
		return report, err
	}
	if report.Live, err = d.live(ctx); err != nil {
		return report, fmt.Errorf("measure live delivery: %w", err)
	}
	cfg.Progress(fmt.Sprintf("live at %d events/s: p50 %s, p99 %s", cfg.LiveRate, short(report.Live.P50), short(report.Live.P99)))
	if report.Request, err = d.request(ctx); err != nil {
		return report, fmt.Errorf("measure requests: %w", err)
	}
	return report, nil
}

// deliverRun is one run of the benchmark.
type deliverRun struct {
	cfg    DeliverConfig
	client *client.Client
	load   *load
	types  int // how many types of events it has made, for a subscription each
}

// newType makes what is appended from now on be of a type of its own.
func (d *deliverRun) newType() string {
	d.types++
	d.load.eventType = fmt.Sprintf("bench.deliver.%s.%d", d.load.run, d.types)
	return d.load.eventType
}

// subscribe makes a subscription of a type of events, which is its name too.
func (d *deliverRun) subscribe(ctx context.Context, eventType string, start managers.Start) (remove func(), err error) {
	_, err = d.client.CreateSubscription(ctx, event.Subscription{
		Name: eventType, Filter: event.Filter{Exact: map[string]string{"type": eventType}},
		Description: "made by edri bench deliver",
	}, start)
	if err != nil {
		return nil, fmt.Errorf("create subscription: %w", err)
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.cfg.GiveUpAfter)
		defer cancel()
		if err := d.client.DeleteSubscription(ctx, eventType); err != nil {
			d.cfg.Progress(fmt.Sprintf("subscription %s is left: %v", eventType, err))
		}
	}, nil
}

// drains measures each number of credits in each round; the medians count.
func (d *deliverRun) drains(ctx context.Context) ([]Drain, error) {
	samples := make([][]Drain, len(d.cfg.Credits))
	for round := range d.cfg.Rounds {
		for i, k := range d.cfg.Credits {
			drain, err := d.drain(ctx, k)
			if err != nil {
				return nil, fmt.Errorf("measure %d credits: %w", k, err)
			}
			samples[i] = append(samples[i], drain)
			d.cfg.Progress(fmt.Sprintf("round %d/%d, %d credits: %.0f deliveries/s with acks, append %.0f/s, ratio %.2f",
				round+1, d.cfg.Rounds, k, drain.PerSecond, drain.Append.PerSecond, drain.Ratio))
		}
	}
	drains := make([]Drain, len(samples))
	for i := range samples {
		drains[i] = medianDrain(samples[i])
	}
	return drains, nil
}

// drain appends for a while, fills up what makes a backlog, and drains it.
func (d *deliverRun) drain(ctx context.Context, k int) (Drain, error) {
	eventType := d.newType()
	status, err := d.client.Status(ctx)
	if err != nil {
		return Drain{}, err
	}
	appended := closedLoop(ctx, k, d.cfg.Warmup, d.cfg.AppendDuration, d.load.operation(k))
	if err := context.Cause(ctx); err != nil {
		return Drain{}, err
	}
	if appended.answered == 0 {
		return Drain{}, fmt.Errorf("no append was answered: %w", appended.firstError)
	}
	// A member may be faster than the producers.
	want := min(int(1.2*appended.figure.PerSecond*d.cfg.Duration.Seconds()), d.cfg.MaxBacklog)
	backlog, err := d.fill(ctx, want)
	if err != nil {
		return Drain{}, fmt.Errorf("fill the backlog: %w", err)
	}
	remove, err := d.subscribe(ctx, eventType, managers.Start{Position: status.LastPosition + 1})
	if err != nil {
		return Drain{}, err
	}
	defer remove()
	drained, err := d.consume(ctx, eventType, k, backlog)
	if err != nil {
		return Drain{}, err
	}
	drained.Credits, drained.Append = k, appended.figure
	drained.Ratio = drained.PerSecond / appended.figure.PerSecond
	return drained, nil
}

// fill appends n events.
func (d *deliverRun) fill(ctx context.Context, n int) (int, error) {
	do := d.load.operation(backlogProducers)
	var next, filled atomic.Int64
	var failed error
	var once sync.Once
	var producers sync.WaitGroup
	for producer := range backlogProducers {
		producers.Go(func() {
			for i := 0; next.Add(1) <= int64(n); i++ {
				if err := do(ctx, producer, i); err != nil {
					once.Do(func() { failed = err })
					return
				}
				filled.Add(1)
			}
		})
	}
	producers.Wait()
	return int(filled.Load()), failed
}

// consume drains for Duration, or until n deliveries. It counts those that were
// acknowledged: Consume returns when it has the results of all settlements.
func (d *deliverRun) consume(ctx context.Context, subscription string, k, n int) (Drain, error) {
	over, stop := context.WithCancel(ctx)
	defer stop()
	var handled, again, refused atomic.Int64
	var first time.Time
	var begin sync.Once
	var end *time.Timer
	err := d.client.Consume(over, subscription, managers.Consumer{
		Member: "edri bench", Concurrency: k,
		Handle: func(_ context.Context, delivery managers.Delivery) managers.Settlement {
			begin.Do(func() {
				first = time.Now()
				end = time.AfterFunc(d.cfg.Duration, stop)
			})
			if delivery.Attempt > 1 {
				again.Add(1)
			}
			if handled.Add(1) == int64(n) {
				stop()
			}
			return managers.Settlement{}
		},
		Refused: func(managers.Delivery, error) { refused.Add(1) },
	})
	elapsed := time.Since(first)
	if end != nil {
		end.Stop()
	}
	if err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return Drain{}, fmt.Errorf("consume: %w", err)
	}
	acknowledged := handled.Load() - refused.Load()
	return Drain{
		Deliveries: int(acknowledged), Seconds: elapsed.Seconds(), PerSecond: float64(acknowledged) / elapsed.Seconds(),
		Again: int(again.Load()), Refused: int(refused.Load()),
	}, nil
}
