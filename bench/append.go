package bench

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
)

// Append measures durable appends at each number of producers, and beside them
// the disk's own limit. Appends that fail are counted in the report; the error
// is for what prevents measuring: no node, no append answered, ctx's end.
func Append(ctx context.Context, cfg AppendConfig) (AppendReport, error) {
	cfg, err := cfg.normalize()
	if err != nil {
		return AppendReport{}, fmt.Errorf("check benchmark settings: %w", err)
	}
	c, err := client.New(client.Config{Servers: cfg.Servers, Logger: cfg.Logger, GiveUpAfter: cfg.GiveUpAfter})
	if err != nil {
		return AppendReport{}, fmt.Errorf("open client: %w", err)
	}
	defer c.Close()
	// Before the files of the disk's limit are written, which takes a while.
	if _, err := c.Status(ctx); err != nil {
		return AppendReport{}, fmt.Errorf("reach a node: %w", err)
	}

	load := newLoad(cfg.EventBytes)
	load.client = c
	report := AppendReport{EventBytes: cfg.EventBytes, WireBytes: load.wireBytes(), Rounds: cfg.Rounds}

	var disk *diskLimit
	if len(cfg.LimitDirs) > 0 {
		cfg.Progress(fmt.Sprintf("preparing %d files of %d MiB for limit3", limitFiles, limitFileBytes>>20))
		if disk, err = openLimit(cfg.LimitDirs, report.WireBytes); err != nil {
			return report, err
		}
		defer disk.close() // an error of closing them changes nothing measured
	}

	report.Levels, err = measure(ctx, cfg, load.operation, disk)
	return report, err
}

// measure runs the rounds: each level of each round is measured for the disk and
// for the cluster, in turns which comes first, so that a drift of the machine
// meets both alike.
func measure(ctx context.Context, cfg AppendConfig, load func(k int) operation, disk *diskLimit) ([]Level, error) {
	samples := make([]levelSamples, len(cfg.Producers))
	for round := range cfg.Rounds {
		for i, k := range cfg.Producers {
			var limit outcome
			if disk != nil && round%2 == 0 {
				limit = closedLoop(ctx, k, cfg.Warmup/2, cfg.Duration, disk.operation(k))
			}
			appended := closedLoop(ctx, k, cfg.Warmup, cfg.Duration, load(k))
			if disk != nil && round%2 == 1 {
				limit = closedLoop(ctx, k, cfg.Warmup/2, cfg.Duration, disk.operation(k))
			}
			if err := context.Cause(ctx); err != nil {
				return nil, fmt.Errorf("measure %d producers: %w", k, err)
			}
			if appended.answered == 0 && appended.firstError != nil {
				return nil, fmt.Errorf("measure %d producers: no append was answered: %w", k, appended.firstError)
			}
			if limit.firstError != nil {
				return nil, fmt.Errorf("measure the disk's limit: %w", limit.firstError)
			}
			samples[i].add(appended, limit, disk != nil)
			cfg.Progress(progressLine(round, cfg.Rounds, k, appended, limit))
		}
	}
	levels := make([]Level, len(samples))
	for i, k := range cfg.Producers {
		levels[i] = samples[i].level(k)
	}
	return levels, nil
}

func progressLine(round, rounds, k int, appended, limit outcome) string {
	line := fmt.Sprintf("round %d/%d, %d producers: %.0f events/s, p50 %s, p99 %s", round+1, rounds, k,
		appended.figure.PerSecond, short(appended.figure.P50), short(appended.figure.P99))
	if limit.answered > 0 {
		line += fmt.Sprintf("; limit3 %.0f/s", limit.figure.PerSecond)
	}
	if appended.errors > 0 {
		line += fmt.Sprintf("; %d errors, first: %v", appended.errors, appended.firstError)
	}
	return line
}

// levelSamples gathers the rounds of one number of producers.
type levelSamples struct {
	appends, limits []Figure
	ratios          []float64
	errors          int
	firstError      error
}

func (s *levelSamples) add(appended, limit outcome, limited bool) {
	s.appends = append(s.appends, appended.figure)
	if limited {
		s.limits = append(s.limits, limit.figure)
		if limit.figure.PerSecond > 0 {
			s.ratios = append(s.ratios, appended.figure.PerSecond/limit.figure.PerSecond)
		}
	}
	if s.errors == 0 {
		s.firstError = appended.firstError
	}
	s.errors += appended.errors
}

func (s *levelSamples) level(k int) Level {
	l := Level{Producers: k, Append: medianFigure(s.appends), Ratio: median(s.ratios), Errors: s.errors}
	if len(s.limits) > 0 {
		limit := medianFigure(s.limits)
		l.Limit = &limit
	}
	if s.firstError != nil {
		l.FirstError = s.firstError.Error()
	}
	return l
}

// medianFigure takes the median of each column by itself.
func medianFigure(figures []Figure) Figure {
	rates := make([]float64, len(figures))
	p50s := make([]int64, len(figures))
	p99s := make([]int64, len(figures))
	for i, f := range figures {
		rates[i], p50s[i], p99s[i] = f.PerSecond, int64(f.P50), int64(f.P99)
	}
	return Figure{PerSecond: median(rates), P50: time.Duration(median(p50s)), P99: time.Duration(median(p99s))}
}

// load makes events and appends them.
type load struct {
	client *client.Client
	run    string // part of each id, so that no run repeats another's
	data   []byte
	// eventType is that of the events.
	eventType string
}

// benchSource is the source of all that is appended.
const benchSource = "/edri/bench"

func newLoad(eventBytes int) *load {
	data := make([]byte, eventBytes)
	for i := range data {
		data[i] = "abcdefghijklmnopqrstuvwxyz0123456789"[(i*i+i/7)%36]
	}
	return &load{run: rand.Text()[:10], data: data, eventType: "bench.append"}
}

// operation appends the next event of each producer to its own stream.
func (l *load) operation(k int) operation {
	streams := make([]string, k)
	ids := make([]string, k)
	level := rand.Text()[:6]
	for i := range k {
		streams[i] = "bench/" + strconv.Itoa(i)
		ids[i] = l.run + "-" + level + "-" + strconv.Itoa(i) + "-"
	}
	return func(ctx context.Context, producer, n int) error {
		e := l.event(ids[producer] + strconv.Itoa(n))
		_, err := l.client.Append(ctx, streams[producer], event.ExpectAny, e)
		return err
	}
}

func (l *load) event(id string) event.Event {
	return event.Event{ID: id, Source: benchSource, Type: l.eventType, Data: l.data}
}

// wireBytes is the size of an encoded event of this load.
func (l *load) wireBytes() int {
	e := l.event(l.run + "-ABCDEF-100-10000")
	return len(event.AppendEvent(nil, &e))
}
