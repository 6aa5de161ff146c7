package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

// WorkflowConfig says what Workflow measures. The zero value of a field stands for its
// default.
type WorkflowConfig struct {
	// Servers are the API URLs of the cluster's nodes. Required.
	Servers []string
	// InFlight are the numbers k of runs at a time to measure, each 1 to 65536. Default 1,
	// 16, 64.
	InFlight []int
	// Rounds is how often each k is measured. Default 3.
	Rounds int
	// Duration is how long each measurement lasts, after Warmup. Default 3 s and 500 ms.
	Duration, Warmup time.Duration
	// EventBytes is the size of the events of appends, beside which runs are measured.
	// Default 256.
	EventBytes int
	// GiveUpAfter is how long to go on trying while no server serves. Default 10 s.
	GiveUpAfter time.Duration
	// Progress is told of each measurement as it ends. Default: nobody.
	Progress func(line string)
	// Logger gets what the client has to say. Default: discarded.
	Logger *slog.Logger
}

func (c WorkflowConfig) normalize() (WorkflowConfig, error) {
	if len(c.Servers) == 0 {
		return c, errors.New("no server given")
	}
	if len(c.InFlight) == 0 {
		c.InFlight = []int{1, 16, 64}
	}
	for _, k := range c.InFlight {
		if k < 1 || k > maxProducers {
			return c, fmt.Errorf("%d runs in flight: must be 1 to %d", k, maxProducers)
		}
	}
	if c.Rounds < 0 || c.Duration < 0 || c.Warmup < 0 || c.GiveUpAfter < 0 || c.EventBytes < 0 {
		return c, errors.New("a count or a time is negative")
	}
	if c.Rounds == 0 {
		c.Rounds = defaultRounds
	}
	if c.Duration == 0 {
		c.Duration = defaultDuration
	}
	if c.Warmup == 0 {
		c.Warmup = defaultWarmup
	}
	if c.EventBytes == 0 {
		c.EventBytes = defaultEventBytes
	}
	if c.GiveUpAfter == 0 {
		c.GiveUpAfter = defaultGiveUp
	}
	if c.Progress == nil {
		c.Progress = func(string) {}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// WorkflowReport is what Workflow measured. Its JSON form is stable.
type WorkflowReport struct {
	Steps  int             `json:"steps"`
	Rounds int             `json:"rounds"`
	Levels []WorkflowLevel `json:"levels"`
}

// WorkflowLevel is the median of the rounds at one number of runs in flight.
type WorkflowLevel struct {
	InFlight int `json:"in_flight"`
	// Run is of runs from their start to their end, Append of appends by as many producers.
	Run    Figure `json:"run"`
	Append Figure `json:"append"`
	// Ratio is the rate of runs over that of appends, of the same round.
	Ratio  float64 `json:"ratio"`
	Errors int     `json:"errors"`
}

// WriteText writes the report as a table for people.
func (r WorkflowReport) WriteText(w io.Writer) error {
	fmt.Fprintf(w, "runs of %d steps, from start to end, and durable appends; medians of %d rounds\n", r.Steps, r.Rounds)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "in flight\truns/s\tp50\tp99\tappends/s\tp50\tp99\tratio\terrors\t")
	for _, l := range r.Levels {
		fmt.Fprintf(tw, "%d\t%.0f\t%s\t%s\t%.0f\t%s\t%s\t%.3f\t%d\t\n", l.InFlight,
			l.Run.PerSecond, short(l.Run.P50), short(l.Run.P99), l.Append.PerSecond, short(l.Append.P50), short(l.Append.P99), l.Ratio, l.Errors)
	}
	return tw.Flush()
}

// WriteJSON writes the report as one line of JSON.
func (r WorkflowReport) WriteJSON(w io.Writer) error { return json.NewEncoder(w).Encode(r) }

const (
	workflowName  = "edri-bench"
	workflowSteps = 3
)

// benchFlow is a workflow of steps that do next to nothing.
var benchFlow = workflows.Define(workflowName, 1, func(ctx workflows.Context, n int) (int, error) {
	step := workflows.NewStep("add", func(_ context.Context, n int) (int, error) { return n + 1, nil })
	for range workflowSteps {
		var err error
		if n, err = step.Do(ctx, n); err != nil {
			return 0, err
		}
	}
	return n, nil
}, workflows.Options{Description: "made by edri bench workflow", RetentionAge: time.Minute})

// Workflow measures runs of three steps from their start to their end, by a worker in this
// process, beside appends in the same run. The error is for what prevents measuring. The
// events stay, the runs are forgotten after a minute.
func Workflow(ctx context.Context, cfg WorkflowConfig) (WorkflowReport, error) {
	cfg, err := cfg.normalize()
	if err != nil {
		return WorkflowReport{}, fmt.Errorf("check benchmark settings: %w", err)
	}
	c, err := client.New(client.Config{Servers: cfg.Servers, Logger: cfg.Logger, GiveUpAfter: cfg.GiveUpAfter})
	if err != nil {
		return WorkflowReport{}, fmt.Errorf("open client: %w", err)
	}
	defer c.Close()
	worker, err := client.New(client.Config{Servers: cfg.Servers, Logger: cfg.Logger, GiveUpAfter: cfg.GiveUpAfter})
	if err != nil {
		return WorkflowReport{}, fmt.Errorf("open client of the worker: %w", err)
	}
	defer worker.Close()
	stop, err := work(ctx, worker, cfg)
	if err != nil {
		return WorkflowReport{}, err
	}
	defer stop()
	w := &workflowRun{cfg: cfg, client: c, waiter: c.RunWaiter(), load: newLoad(cfg.EventBytes)}
	defer w.waiter.Close()
	w.load.client = c
	if err := w.ready(ctx); err != nil {
		return WorkflowReport{}, fmt.Errorf("run a workflow: %w", err)
	}
	report := WorkflowReport{Steps: workflowSteps, Rounds: cfg.Rounds}
	for _, k := range cfg.InFlight {
		level, err := w.level(ctx, k)
		if err != nil {
			return report, err
		}
		report.Levels = append(report.Levels, level)
	}
	return report, nil
}

// work lets a worker have the runs until stop is called.
func work(ctx context.Context, c *client.Client, cfg WorkflowConfig) (stop func(), err error) {
	runner, err := workflows.NewRunner(workflows.Config{Name: "edri bench", Logger: cfg.Logger}, benchFlow)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := runner.Run(ctx, c); err != nil {
			cfg.Progress(fmt.Sprintf("the worker ended: %v", err))
		}
	}()
	return func() { cancel(); <-ended }, nil
}

type workflowRun struct {
	cfg    WorkflowConfig
	client *client.Client
	waiter *client.RunWaiter
	load   *load
}

// ready waits until the worker has made the workflow known.
func (w *workflowRun) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, w.cfg.GiveUpAfter)
	defer cancel()
	for {
		err := w.one(ctx, 0, 0)
		if event.CodeOf(err) != event.CodeNotFound || ctx.Err() != nil {
			return err
		}
		pause(ctx, errorPause)
	}
}

// one starts a run and waits for its end.
func (w *workflowRun) one(ctx context.Context, _, n int) error {
	run, _, err := w.client.StartRun(ctx, workflows.Start{Type: workflowName, Input: strconv.AppendInt(nil, int64(n), 10)})
	if err != nil {
		return err
	}
	o, err := w.waiter.Wait(ctx, run)
	if err != nil {
		return err
	}
	if want := strconv.Itoa(n + workflowSteps); o.Status != workflows.Completed || string(o.Result) != want {
		return fmt.Errorf("run %s is %s with %s, not %s", run.ID, o.Status, o.Result, want)
	}
	return nil
}

func (w *workflowRun) level(ctx context.Context, k int) (WorkflowLevel, error) {
	level := WorkflowLevel{InFlight: k}
	var runs, appends []Figure
	var ratios []float64
	w.load.eventType = "bench.workflow"
	for round := range w.cfg.Rounds {
		appended := closedLoop(ctx, k, w.cfg.Warmup, w.cfg.Duration, w.load.operation(k))
		ran := closedLoop(ctx, k, w.cfg.Warmup, w.cfg.Duration, w.one)
		if err := context.Cause(ctx); err != nil {
			return level, fmt.Errorf("measure %d in flight: %w", k, err)
		}
		for _, o := range []outcome{appended, ran} {
			if o.answered == 0 && o.firstError != nil {
				return level, fmt.Errorf("measure %d in flight: nothing was answered: %w", k, o.firstError)
			}
			level.Errors += o.errors
		}
		runs, appends = append(runs, ran.figure), append(appends, appended.figure)
		ratios = append(ratios, ran.figure.PerSecond/appended.figure.PerSecond)
		w.cfg.Progress(fmt.Sprintf("round %d/%d, %d in flight: %.0f runs/s, p50 %s; %.0f appends/s", round+1, w.cfg.Rounds, k,
			ran.figure.PerSecond, short(ran.figure.P50), appended.figure.PerSecond))
	}
	level.Run, level.Append, level.Ratio = medianFigure(runs), medianFigure(appends), median(ratios)
	return level, nil
}
