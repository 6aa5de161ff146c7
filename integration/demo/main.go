package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/edri-io/edri/integration/cluster"
	"github.com/edri-io/edri/integration/ledger"
	"github.com/edri-io/edri/integration/workload"
)

// demoTime bounds the whole demo.
const demoTime = 3 * time.Minute

func main() {
	binaries := flag.String("bin", "bin", "folder of edri and edri-server")
	events := flag.String("events", "examples/events.ndjson", "sample events, one a line")
	keep := flag.Bool("keep", false, "keep the nodes' data and logs")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, demoTime, fmt.Errorf("the demo took more than %v", demoTime))
	defer cancel()
	if err := run(ctx, *binaries, *events, *keep); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, binaries, events string, keep bool) (err error) {
	lines, err := readSamples(events)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "edri-demo-*")
	if err != nil {
		return err
	}
	c, err := cluster.New(cluster.Config{Dir: dir, Binaries: binaries})
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, c.Close())
		if keep || err != nil {
			fmt.Println("\ndata and logs are in", dir)
			return
		}
		err = os.RemoveAll(dir)
	}()
	d := &demo{cluster: c, lines: lines, ledger: ledger.New(), began: time.Now()}
	if err := d.run(ctx); err != nil {
		return err
	}
	return d.orders(ctx, binaries, dir)
}

// demo is one run.
type demo struct {
	cluster *cluster.Cluster
	lines   []sample
	ledger  *ledger.Ledger
	writers *workload.Writers // only for its single appends after a fault
	began   time.Time
	outages []outage
}

// outage is how long nothing was acknowledged after a fault.
type outage struct {
	after  string
	lasted time.Duration
}

func (d *demo) say(format string, args ...any) {
	fmt.Printf("%6.1fs  %s\n", time.Since(d.began).Seconds(), fmt.Sprintf(format, args...))
}

func (d *demo) run(ctx context.Context) error {
	if err := d.cluster.StartAll(ctx); err != nil {
		return err
	}
	if err := d.cluster.WaitReady(ctx); err != nil {
		return err
	}
	for _, n := range d.cluster.Nodes() {
		d.say("node %s is ready on %s", n.Name, n.URL())
	}
	probe, err := workload.Start(ctx, workload.Config{Servers: d.cluster.URLs(), Writers: -1, Ledger: d.ledger})
	if err != nil {
		return err
	}
	d.writers = probe
	err = d.importWithFaults(ctx)
	if _, stopErr := probe.Stop(); err == nil {
		err = stopErr
	}
	if err != nil {
		return err
	}
	return d.verdict(ctx)
}

// importWithFaults feeds the lines to edri events import and disturbs the nodes
// at half and at four fifths of them.
func (d *demo) importWithFaults(ctx context.Context) error {
	d.say("importing %d events", len(d.lines))
	imp, err := startImport(ctx, d.cluster)
	if err != nil {
		return err
	}
	defer imp.kill() // what is left of it after an error
	half, most := len(d.lines)/2, len(d.lines)*4/5
	for _, step := range []struct {
		upTo  int
		fault func(context.Context) error
	}{{half, d.killLeader}, {most, d.killAll}, {len(d.lines), nil}} {
		if err := imp.feed(ctx, d.ledger, d.lines[imp.fed:step.upTo]); err != nil {
			return err
		}
		if step.fault == nil {
			break
		}
		if err := step.fault(ctx); err != nil {
			return err
		}
	}
	if err := imp.finish(); err != nil {
		return err
	}
	// The import ended with exit code 0: every line is acknowledged.
	for _, s := range d.lines {
		d.ledger.Acknowledged(s.key, 0, 0)
	}
	d.say("import done")
	return nil
}

func (d *demo) killLeader(ctx context.Context) error {
	leader, err := d.cluster.Leader(ctx)
	if err != nil {
		return err
	}
	status, err := leader.Status(ctx)
	if err != nil {
		return err
	}
	if err := leader.Kill(); err != nil {
		return err
	}
	d.say("SIGKILL to the leader %s, with %d events stored", leader.Name, status.LastPosition)
	if err := d.awaitService(ctx, "SIGKILL of the leader"); err != nil {
		return err
	}
	if err := leader.Start(); err != nil {
		return err
	}
	if err := leader.WaitReady(ctx); err != nil {
		return err
	}
	d.say("restarted %s", leader.Name)
	return nil
}

func (d *demo) killAll(ctx context.Context) error {
	if err := d.cluster.KillAll(); err != nil {
		return err
	}
	d.say("SIGKILL to all three nodes")
	if err := d.cluster.StartAll(ctx); err != nil {
		return err
	}
	if err := d.awaitService(ctx, "SIGKILL of all, restarted at once"); err != nil {
		return err
	}
	return d.cluster.WaitReady(ctx)
}

// awaitService appends an event and waits for its acknowledgement.
func (d *demo) awaitService(ctx context.Context, after string) error {
	lasted, err := d.writers.First(ctx)
	if err != nil {
		return err
	}
	d.outages = append(d.outages, outage{after, lasted})
	d.say("first acknowledgement after %.2fs", lasted.Seconds())
	return nil
}
