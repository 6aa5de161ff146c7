package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/edri-io/edri/integration/cluster"
)

// settings are the command's flags.
type settings struct {
	binaries, dir string
	only          string
	rounds        int
	duration      time.Duration
	producers     string
	kills         int
	fullEvents    int
	steady        time.Duration
	sleepers      int
}

func main() {
	var s settings
	flag.StringVar(&s.binaries, "bin", "bin", "folder of edri and edri-server")
	flag.StringVar(&s.dir, "dir", "", "folder for the nodes' data, on the disk to measure (default: a temporary one)")
	flag.StringVar(&s.only, "only", strings.Join(usual, ","), "what to measure, of "+strings.Join(names(), ","))
	flag.IntVar(&s.rounds, "rounds", 3, "rounds of append and read")
	flag.DurationVar(&s.duration, "duration", 3*time.Second, "of each measurement of append")
	flag.StringVar(&s.producers, "producers", "1,64,256,1024", "numbers of closed-loop producers")
	flag.IntVar(&s.kills, "kills", 20, "leader kills to measure failover by")
	flag.IntVar(&s.fullEvents, "full", 1_000_000, "least number of events in the history for restart and memory, and of delayed events for timers; the deduplication window's size fills it")
	flag.IntVar(&s.sleepers, "sleepers", 100_000, "runs of a workflow that sleep, a multiple of 100")
	flag.DurationVar(&s.steady, "steady", 5*time.Minute, "of the load of elections")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, s settings) (err error) {
	parts := strings.Split(s.only, ",")
	for _, name := range parts {
		if !slices.Contains(names(), name) {
			return fmt.Errorf("-only %s: there is no such part, but %s", name, strings.Join(names(), ", "))
		}
	}
	dir, err := os.MkdirTemp(s.dir, "edri-bench-*")
	if err != nil {
		return err
	}
	c, err := cluster.Start(ctx, cluster.Config{Dir: dir, Binaries: s.binaries})
	if err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	defer func() { err = errors.Join(err, c.Close(), os.RemoveAll(dir)) }()
	if err := c.WaitReady(ctx); err != nil {
		return err
	}
	b := &bench{settings: s, dir: dir, cluster: c}
	for _, p := range all {
		if !slices.Contains(parts, p.name) {
			continue
		}
		if err := p.run(b, ctx); err != nil {
			return fmt.Errorf("measure %s: %w", p.name, err)
		}
	}
	return nil
}

// all are the parts, in the order in which they are measured on one cluster:
// each finds what those before it have stored.
var all = []struct {
	name string
	run  func(*bench, context.Context) error
}{
	{"idle", (*bench).idle},
	{"append", (*bench).append},
	{"read", (*bench).read},
	{"restart", (*bench).restart},
	{"memory", (*bench).fullMemory},
	{"failover", (*bench).failover},
	{"elections", (*bench).elections},
	{"growth", (*bench).growth},
	{"backup", (*bench).backup},
	{"scrub", (*bench).scrub},
	{"replacement", (*bench).replacement},
	{"subscriptions", (*bench).subscriptions},
	{"schedules", (*bench).schedules},
	{"timers", (*bench).timers},
	{"sleeping", (*bench).sleeping},
}

// usual are the parts that are measured unasked: all but the longest.
var usual = names()[:6]

func names() []string {
	var list []string
	for _, p := range all {
		list = append(list, p.name)
	}
	return list
}

// bench measures one cluster.
type bench struct {
	settings
	dir     string
	cluster *cluster.Cluster
}

// edri runs the command line, its output being this command's.
func (b *bench) edri(ctx context.Context, args ...string) error {
	return edri(ctx, b.cluster, os.Stdout, args...)
}

func edri(ctx context.Context, c *cluster.Cluster, out io.Writer, args ...string) error {
	return edriAt(ctx, c, strings.Join(c.URLs(), ","), out, args...)
}

func edriAt(ctx context.Context, c *cluster.Cluster, servers string, out io.Writer, args ...string) error {
	args = append([]string{"--server", servers}, args...)
	cmd := exec.CommandContext(ctx, c.Edri(), args...)
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("run edri %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

// append measures appends beside the disk's own limit.
func (b *bench) append(ctx context.Context) error {
	return b.observe(ctx, "appends", "bench", "append", "--limit-dir", b.dir, "--producers", b.producers,
		"--rounds", strconv.Itoa(b.rounds), "--duration", b.duration.String())
}

// elections keeps up a load for long, without pauses for the disk's own limit.
func (b *bench) elections(ctx context.Context) error {
	return b.observe(ctx, fmt.Sprintf("%v of load by 256 producers", b.steady), "bench", "append",
		"--producers", "256", "--rounds", "1", "--duration", b.steady.String())
}

// observe runs the command line and tells what the nodes took of memory and
// whether the leadership changed meanwhile.
func (b *bench) observe(ctx context.Context, what string, args ...string) error {
	before, err := b.term(ctx)
	if err != nil {
		return err
	}
	peak := b.watchMemory(ctx)
	err = b.edri(ctx, args...)
	most := peak()
	if err != nil {
		return err
	}
	after, err := b.term(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%s: %d elections; anonymous memory per node at most %s\n", what, after-before, mebibytes(most))
	return nil
}

func (b *bench) term(ctx context.Context) (uint64, error) {
	leader, err := b.cluster.Leader(ctx)
	if err != nil {
		return 0, err
	}
	status, err := leader.Status(ctx)
	return status.Term, err
}

// read measures scans of the whole history.
func (b *bench) read(ctx context.Context) error {
	if _, err := b.fill(ctx); err != nil {
		return err
	}
	return b.edri(ctx, "bench", "read", "--rounds", strconv.Itoa(b.rounds))
}
