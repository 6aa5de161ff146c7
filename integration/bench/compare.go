package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/edri-io/edri/integration/cluster"
)

// cost is what appends cost in one measurement.
type cost struct {
	rate float64 // events a second
	cpu  float64 // microseconds of all nodes an event; 0 where the system does not tell
}

// side is one of two ways in which appends are measured.
type side struct {
	name    string
	cluster *cluster.Cluster
	// meanwhile runs beside the measurement until its context ends; nil: nothing.
	meanwhile func(context.Context) error
}

// compare measures appends in two ways, in turn, and prints the medians of both and
// of the second's ratios to the first.
func (b *bench) compare(ctx context.Context, sides [2]side) error {
	for _, producers := range []int{64, 1024} {
		var costs [2][]cost
		for range b.rounds {
			for i, s := range sides {
				c, err := b.measure(ctx, s, producers)
				if err != nil {
					return fmt.Errorf("%s: %w", s.name, err)
				}
				costs[i] = append(costs[i], c)
			}
		}
		rate := func(c cost) float64 { return c.rate }
		cpu := func(c cost) float64 { return c.cpu }
		for i, s := range sides {
			fmt.Printf("%d producers, %s: %.0f events/s, %.1f us of the nodes' CPU an event (medians of %d rounds)\n",
				producers, s.name, median(costs[i], rate), median(costs[i], cpu), b.rounds)
		}
		var worst float64
		for i := range costs[0] {
			worst = max(worst, 1-costs[1][i].rate/costs[0][i].rate)
		}
		fmt.Printf("%d producers, %s to %s: rate %.2f, CPU an event %.2f; rate of the worst round %.2f\n",
			producers, sides[1].name, sides[0].name,
			median(costs[1], rate)/median(costs[0], rate), median(costs[1], cpu)/median(costs[0], cpu), 1-worst)
	}
	return nil
}

// measure appends for the duration of a measurement.
func (b *bench) measure(ctx context.Context, s side, producers int) (cost, error) {
	before, err := lastPosition(ctx, s.cluster)
	if err != nil {
		return cost{}, err
	}
	beside, end := context.WithCancel(ctx)
	defer end()
	var running sync.WaitGroup
	var failed error
	if s.meanwhile != nil {
		running.Go(func() { failed = s.meanwhile(beside) })
	}
	used, err := processorTime(s.cluster.Nodes()...)
	if err != nil {
		return cost{}, err
	}
	if err := edri(ctx, s.cluster, io.Discard, "bench", "append", "--producers", strconv.Itoa(producers),
		"--rounds", "1", "--duration", b.duration.String()); err != nil {
		return cost{}, err
	}
	now, err := processorTime(s.cluster.Nodes()...)
	if err != nil {
		return cost{}, err
	}
	end()
	running.Wait()
	if failed != nil {
		return cost{}, failed
	}
	after, err := lastPosition(ctx, s.cluster)
	events := float64(after - before)
	return cost{rate: events / b.duration.Seconds(), cpu: float64((now - used).Microseconds()) / events}, err
}

func median(costs []cost, of func(cost) float64) float64 {
	var values []float64
	for _, c := range costs {
		values = append(values, of(c))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// processorTime returns how long the processors have worked for the nodes; 0 where
// the system does not tell.
func processorTime(nodes ...*cluster.Node) (time.Duration, error) {
	const tick = 10 * time.Millisecond // of these numbers, on every Linux
	var sum time.Duration
	for _, n := range nodes {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", n.Pid()))
		if os.IsNotExist(err) {
			return 0, nil // not Linux
		}
		if err != nil {
			return 0, err
		}
		// The name, in brackets, may have blanks; utime and stime are fields 14 and 15.
		_, rest, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest)
		for _, field := range fields[11:13] {
			ticks, err := strconv.ParseInt(field, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("read processor time of %s: %w", n.Name, err)
			}
			sum += time.Duration(ticks) * tick
		}
	}
	return sum, nil
}

// another starts three more nodes, with arguments of their own. They are to be
// closed.
func (b *bench) another(ctx context.Context, name string, args ...string) (*cluster.Cluster, error) {
	dir := filepath.Join(b.dir, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	c, err := cluster.Start(ctx, cluster.Config{Dir: dir, Binaries: b.binaries, Args: args})
	if err != nil {
		return nil, err
	}
	return c, c.WaitReady(ctx)
}

// growth compares appends after a long history with those after a short one.
func (b *bench) growth(ctx context.Context) error {
	const long, short = 5_000_000, 500_000
	young, err := b.another(ctx, "young")
	if err != nil {
		return err
	}
	defer young.Close()
	if _, err := fill(ctx, young, short); err != nil {
		return err
	}
	if _, err := fill(ctx, b.cluster, long); err != nil {
		return err
	}
	return b.compare(ctx, [2]side{
		{name: fmt.Sprintf("from %d events on", short), cluster: young},
		{name: fmt.Sprintf("from %d events on", long), cluster: b.cluster},
	})
}

// backup compares appends while a backup is made of a follower with those alone.
func (b *bench) backup(ctx context.Context) error {
	if _, err := b.fill(ctx); err != nil {
		return err
	}
	leader, err := b.cluster.Leader(ctx)
	if err != nil {
		return err
	}
	follower := b.cluster.Followers(leader)[0]
	made := 0
	backups := func(ctx context.Context) error {
		for ctx.Err() == nil {
			path := filepath.Join(b.dir, fmt.Sprintf("%d.edri", made))
			err := edriAt(ctx, b.cluster, follower.URL(), io.Discard, "backup", path, "--quiet")
			if ctx.Err() != nil {
				return nil // the measurement is over
			}
			if err != nil {
				return err
			}
			made++
			if err := os.Remove(path); err != nil {
				return err
			}
		}
		return nil
	}
	err = b.compare(ctx, [2]side{
		{name: "alone", cluster: b.cluster},
		{name: "with backups", cluster: b.cluster, meanwhile: backups},
	})
	fmt.Printf("%d whole backups were made meanwhile\n", made)
	return err
}

// scrub compares appends to nodes that scrub all the time with appends to nodes
// that do not.
func (b *bench) scrub(ctx context.Context) error {
	calm, err := b.another(ctx, "calm", "--scrub-interval", "24h")
	if err != nil {
		return err
	}
	defer calm.Close()
	busy, err := b.another(ctx, "busy", "--scrub-interval", "1s")
	if err != nil {
		return err
	}
	defer busy.Close()
	for _, c := range []*cluster.Cluster{calm, busy} {
		if _, err := fill(ctx, c, uint64(b.fullEvents)); err != nil {
			return err
		}
	}
	return b.compare(ctx, [2]side{{name: "without scrub", cluster: calm}, {name: "with scrub", cluster: busy}})
}
