package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
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
	restartEvents int
}

func main() {
	var s settings
	flag.StringVar(&s.binaries, "bin", "bin", "folder of edri and edri-server")
	flag.StringVar(&s.dir, "dir", "", "folder for the nodes' data, on the disk to measure (default: a temporary one)")
	flag.StringVar(&s.only, "only", "append,read,restart,failover", "what to measure")
	flag.IntVar(&s.rounds, "rounds", 3, "rounds of append and read")
	flag.DurationVar(&s.duration, "duration", 3*time.Second, "of each measurement of append")
	flag.StringVar(&s.producers, "producers", "1,64,256,1024", "numbers of closed-loop producers")
	flag.IntVar(&s.kills, "kills", 20, "leader kills to measure failover by")
	flag.IntVar(&s.restartEvents, "restart-events", 1_000_000, "least number of events in the history at the restart of all nodes")
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
	for _, part := range []struct {
		name string
		run  func(context.Context) error
	}{{"append", b.append}, {"read", b.read}, {"restart", b.restart}, {"failover", b.failover}} {
		if !slices.Contains(parts, part.name) {
			continue
		}
		if err := part.run(ctx); err != nil {
			return fmt.Errorf("measure %s: %w", part.name, err)
		}
	}
	return nil
}

// bench measures one cluster.
type bench struct {
	settings
	dir     string
	cluster *cluster.Cluster
}

// edri runs the command line, its output being this command's.
func (b *bench) edri(ctx context.Context, args ...string) error {
	args = append([]string{"--server", strings.Join(b.cluster.URLs(), ",")}, args...)
	cmd := exec.CommandContext(ctx, b.cluster.Edri(), args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("run edri %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

// append measures appends beside the disk's own limit; and what the nodes took
// of memory, and whether the leadership changed meanwhile.
func (b *bench) append(ctx context.Context) error {
	idle, err := b.memory()
	if err != nil {
		return err
	}
	before, err := b.term(ctx)
	if err != nil {
		return err
	}
	peak := b.watchMemory(ctx)
	err = b.edri(ctx, "bench", "append", "--limit-dir", b.dir, "--producers", b.producers,
		"--rounds", strconv.Itoa(b.rounds), "--duration", b.duration.String())
	most := peak()
	if err != nil {
		return err
	}
	after, err := b.term(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("elections under load: %d; anonymous memory per node: idle %s, at most %s\n", after-before, mebibytes(idle), mebibytes(most))
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
	return b.edri(ctx, "bench", "read", "--rounds", strconv.Itoa(b.rounds))
}
