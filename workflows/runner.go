package workflows

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/edri-io/edri/event"
)

// Bounds and defaults of a Config.
const (
	DefaultCacheSize  = 1000
	DefaultSteps      = 100
	DefaultStuckAfter = 10 * time.Second
	DefaultGrace      = 5 * time.Second
)

// Config says how a Runner works. The zero Config are the defaults.
type Config struct {
	// Name says who works, for people; default host name and process id.
	Name string
	// CacheSize is how many runs are kept in memory between their inputs, of each version
	// of a workflow that has several; default 1000. A run that is not costs a replay.
	CacheSize int
	// Steps is how many step functions run at a time; default 100.
	Steps int
	// StuckAfter is how long a workflow's code may run, or block, without asking for
	// anything; default 10 s. Then the run is blocked, and the goroutine left alone.
	StuckAfter time.Duration
	// Grace is how long steps may go on once Run is to end, and again how long their
	// functions may take to return when their context has ended; default 5 s.
	Grace time.Duration
	// Logger is told what fails: runs that are blocked, a cluster that is not reached; default
	// slog.Default().
	Logger *slog.Logger
}

func (c Config) normalised() (Config, error) {
	if c.CacheSize < 0 || c.Steps < 0 || c.StuckAfter < 0 || c.Grace < 0 {
		return c, event.Errorf(event.CodeInvalid, "config of a runner: has something negative")
	}
	if c.Name == "" {
		host, _ := os.Hostname() // only a name for people
		c.Name = fmt.Sprintf("%s/%d", host, os.Getpid())
	}
	c.CacheSize = cmp.Or(c.CacheSize, DefaultCacheSize)
	c.Steps = cmp.Or(c.Steps, DefaultSteps)
	c.StuckAfter = cmp.Or(c.StuckAfter, DefaultStuckAfter)
	c.Grace = cmp.Or(c.Grace, DefaultGrace)
	c.Logger = cmp.Or(c.Logger, slog.Default())
	return c, nil
}

// Runner is a worker of workflows: it runs their code and their steps.
type Runner struct {
	cfg   Config
	defs  []*definition // by version, ascending
	slots chan struct{} // one for each step function that runs
	stats stats
}

// Stats count what a Runner did since it was made.
type Stats struct {
	Held     int64 // runs in memory
	Steps    int64 // step functions that run
	Replays  int64 // runs whose code was run again over their history
	Advances int64 // that were committed
	Blocked  int64 // runs that were blocked: divergence, panic, stuck, a step without attempts left
	Stuck    int64 // goroutines that were left alone and have not ended
}

type stats struct{ held, steps, replays, advances, blocked, stuck atomic.Int64 }

// NewRunner returns a runner of workflows, of which there may be several versions.
func NewRunner(cfg Config, workflows ...Defined) (*Runner, error) {
	cfg, err := cfg.normalised()
	if err != nil {
		return nil, err
	}
	r := &Runner{cfg: cfg, slots: make(chan struct{}, cfg.Steps)}
	if len(workflows) == 0 {
		return nil, event.Errorf(event.CodeInvalid, "a runner needs a workflow")
	}
	for _, w := range workflows {
		d := w.definition()
		if d.err != nil {
			return nil, d.err
		}
		for _, other := range r.defs {
			if other.name == d.name && other.version == d.version {
				return nil, event.Errorf(event.CodeInvalid, "workflow %s: version %d is there twice", d.name, d.version)
			}
		}
		r.defs = append(r.defs, d)
	}
	slices.SortStableFunc(r.defs, func(a, b *definition) int { return cmp.Compare(a.version, b.version) })
	return r, nil
}

// Stats returns what the runner did.
func (r *Runner) Stats() Stats {
	s := &r.stats
	return Stats{
		Held: s.held.Load(), Steps: s.steps.Load(), Replays: s.replays.Load(),
		Advances: s.advances.Load(), Blocked: s.blocked.Load(), Stuck: s.stuck.Load(),
	}
}

// longSilence is after how long a worker says that the cluster does not answer.
const longSilence = 5 * time.Second

// Run makes the workflows known and works for the cluster until ctx ends: then steps have
// Config.Grace to finish, what they did is committed, and the runs go to other workers.
// It returns nil when ctx has ended, and an error where trying again is of no use. No
// goroutine of it is left then, but those of functions that do not return.
//
// Where CheckEnv is set, it replays the histories there instead, and returns.
func (r *Runner) Run(ctx context.Context, c Cluster) error {
	if dir := os.Getenv(CheckEnv); dir != "" {
		return r.checkInstead(dir)
	}
	for _, d := range r.defs {
		// The client goes on trying for as long as no node answers.
		silent := time.AfterFunc(longSilence, func() {
			r.cfg.Logger.Warn("cluster has not answered yet; the worker goes on asking", "workflow", d.name)
		})
		err := c.Define(ctx, d.told())
		silent.Stop()
		switch {
		case err == nil, event.CodeOf(err) == event.CodeExists: // there is a newer one
		case ctx.Err() != nil:
			return nil
		default:
			return fmt.Errorf("define workflow %s: %w", d.name, err)
		}
	}
	hosts := r.hosts(c)
	errs := make([]error, len(hosts))
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for i, h := range hosts {
		wg.Go(func() {
			if errs[i] = h.work(ctx); errs[i] != nil {
				cancel()
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// hosts are as many as the workflow with most versions has: each is a worker with one
// version of each.
func (r *Runner) hosts(c Cluster) []*host {
	var hosts []*host
	nth := make(map[string]int)
	for _, d := range slices.Backward(r.defs) {
		n := nth[d.name]
		nth[d.name]++
		if n == len(hosts) {
			hosts = append(hosts, newHost(r, c))
		}
		hosts[n].defs[Workflow{d.name, d.version}] = d
	}
	return hosts
}
