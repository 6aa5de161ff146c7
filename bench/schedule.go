package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
)

// SchedulesConfig says what Schedules measures. The zero value of a field stands for its
// default.
type SchedulesConfig struct {
	// Servers are the API URLs of the cluster's nodes. Required.
	Servers []string
	// Schedules is how many there are. Default 10,000, at most 1,000,000.
	Schedules int
	// Spread is over how many whole seconds they are spread, so that in each second as many
	// are due together. Default 1 min.
	Spread time.Duration
	// Lead is how much time there is to make the schedules before the first is due.
	// Default 30 s.
	Lead time.Duration
	// GiveUpAfter is how long to go on trying while no server serves, and to wait for fires
	// that are late. Default 10 s.
	GiveUpAfter time.Duration
	// Progress is told of each measurement as it ends. Default: nobody.
	Progress func(line string)
	// Logger gets what the client has to say. Default: discarded.
	Logger *slog.Logger
}

func (c SchedulesConfig) normalize() (SchedulesConfig, error) {
	if len(c.Servers) == 0 {
		return c, errors.New("no server given")
	}
	if c.Schedules == 0 {
		c.Schedules = 10_000
	}
	if c.Spread == 0 {
		c.Spread = time.Minute
	}
	if c.Lead == 0 {
		c.Lead = 30 * time.Second
	}
	if c.GiveUpAfter == 0 {
		c.GiveUpAfter = defaultGiveUp
	}
	switch {
	case c.Schedules < 0 || c.Schedules > 1_000_000:
		return c, fmt.Errorf("%d schedules: must be 1 to 1000000", c.Schedules)
	case c.Spread < time.Second:
		return c, fmt.Errorf("spread over %v: must be at least 1s", c.Spread)
	case c.Lead < 0 || c.GiveUpAfter < 0:
		return c, errors.New("a time is negative")
	}
	if c.Progress == nil {
		c.Progress = func(string) {}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// SchedulesReport is what Schedules measured. Its JSON form is stable.
type SchedulesReport struct {
	Schedules int `json:"schedules"`
	// Spread is of schedules that are due over SpreadSeconds, Same of as many in the same
	// second.
	SpreadSeconds float64 `json:"spread_seconds"`
	Spread        Delay   `json:"spread"`
	Same          Delay   `json:"same"`
}

// Delay is how long after the time for which a schedule fires its event is in the journal
// and with a reader. In nanoseconds in JSON.
type Delay struct {
	P50  time.Duration `json:"p50_ns"`
	P99  time.Duration `json:"p99_ns"`
	Last time.Duration `json:"last_ns"`
}

// WriteText writes the report for people.
func (r SchedulesReport) WriteText(w io.Writer) error {
	fmt.Fprintf(w, "%d schedules, from the time to the event with a reader\n", r.Schedules)
	fmt.Fprintf(w, "spread over %gs: p50 %s, p99 %s, last %s\n", r.SpreadSeconds, short(r.Spread.P50), short(r.Spread.P99), short(r.Spread.Last))
	_, err := fmt.Fprintf(w, "in the same second: p50 %s, p99 %s, last %s\n", short(r.Same.P50), short(r.Same.P99), short(r.Same.Last))
	return err
}

// WriteJSON writes the report as one line of JSON.
func (r SchedulesReport) WriteJSON(w io.Writer) error { return json.NewEncoder(w).Encode(r) }

// Schedules measures how late schedules fire, by this machine's clock. They are made for it
// and deleted; their events stay. The error is for what prevents measuring.
func Schedules(ctx context.Context, cfg SchedulesConfig) (SchedulesReport, error) {
	cfg, err := cfg.normalize()
	if err != nil {
		return SchedulesReport{}, fmt.Errorf("check benchmark settings: %w", err)
	}
	c, err := client.New(client.Config{Servers: cfg.Servers, Logger: cfg.Logger, GiveUpAfter: cfg.GiveUpAfter})
	if err != nil {
		return SchedulesReport{}, fmt.Errorf("open client: %w", err)
	}
	defer c.Close()
	report := SchedulesReport{Schedules: cfg.Schedules, SpreadSeconds: cfg.Spread.Seconds()}
	run := schedulesRun{cfg: cfg, client: c, stream: fmt.Sprintf("edri-bench/schedules/%d", time.Now().UnixNano())}
	if report.Spread, err = run.measure(ctx, "spread", cfg.Spread); err != nil {
		return report, err
	}
	report.Same, err = run.measure(ctx, "same", time.Second)
	return report, err
}

type schedulesRun struct {
	cfg    SchedulesConfig
	client *client.Client
	stream string
}

// measure makes schedules that are due at whole seconds of a time, and measures the first
// fire of each.
func (r *schedulesRun) measure(ctx context.Context, what string, over time.Duration) (d Delay, err error) {
	stream := r.stream + "/" + what
	name := func(i int) string { return fmt.Sprintf("%s/%d", stream, i) }
	defer func() {
		ctx := context.WithoutCancel(ctx)
		if left := each(r.cfg.Schedules, func(i int) error {
			err := r.client.DeleteSchedule(ctx, name(i))
			if event.CodeOf(err) == event.CodeNotFound {
				return nil
			}
			return err
		}); left != nil {
			r.cfg.Progress(fmt.Sprintf("schedules %s/... stay: %v", stream, left))
		}
	}()
	first := time.Now().Add(r.cfg.Lead).Truncate(time.Second)
	seconds := int(over / time.Second)
	if err := each(r.cfg.Schedules, func(i int) error {
		_, err := r.client.CreateSchedule(ctx, name(i), client.ScheduleSpec{
			Every: 24 * time.Hour, Start: first.Add(time.Duration(i%seconds) * time.Second),
			Action: client.ScheduleAction{Stream: stream, Event: event.Event{Type: "bench.schedule"}},
		})
		return err
	}); err != nil {
		return d, fmt.Errorf("make schedules: %w", err)
	}
	spare := time.Until(first)
	if spare < 0 {
		return d, fmt.Errorf("making %d schedules took %v longer than the lead of %v", r.cfg.Schedules, -spare, r.cfg.Lead)
	}
	r.cfg.Progress(fmt.Sprintf("%s: %d schedules, the first is due in %v", what, r.cfg.Schedules, spare.Round(time.Millisecond)))
	ctx, cancel := context.WithTimeout(ctx, spare+over+r.cfg.GiveUpAfter)
	defer cancel()
	var delays []time.Duration
	for e, err := range r.client.Tail(ctx, client.Query{Stream: stream, Limit: uint64(r.cfg.Schedules)}) {
		if err != nil {
			return d, fmt.Errorf("read fires, of which %d came: %w", len(delays), err)
		}
		delays = append(delays, time.Since(e.Time))
	}
	slices.Sort(delays)
	return Delay{P50: quantile(delays, 0.5), P99: quantile(delays, 0.99), Last: quantile(delays, 1)}, nil
}

// each does something for each number up to n, 64 at a time, and returns an error of it.
func each(n int, do func(int) error) error {
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var running sync.WaitGroup
	for range 64 {
		running.Go(func() {
			for i := next.Add(1); i <= int64(n) && failed.Load() == nil; i = next.Add(1) {
				if err := do(int(i - 1)); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	running.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}
