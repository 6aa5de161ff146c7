package integration

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/integration/cluster"
)

// rollingPause is the longest that clients may wait while all nodes are restarted
// in good order, one after the other. The leadership is handed over, not elected,
// which takes milliseconds; the bound leaves room for a machine that is busy.
const rollingPause = 8 * time.Second

// Every node is restarted, the leader among them, and no client sees any operation
// fail: no append is refused or of unknown outcome, no read fails.
func TestRollingRestartFailsNoOperation(t *testing.T) {
	t.Parallel()
	rounds := 1
	if soak() {
		rounds = 20
	}
	c := start(t, 3)
	ctx := within(t, time.Duration(rounds)*time.Minute)
	w, l := load(t, c, 8)
	must(t, w.WaitFor(ctx, 200))
	reads := readWithoutFailure(t, ctx, c)
	for range rounds {
		for _, n := range c.Nodes() {
			restart(t, ctx, n)
			must(t, w.WaitFor(ctx, 200))
		}
	}
	answered := reads()
	done := stop(t, w)
	if done.Unknown > 0 {
		t.Errorf("%d appends ended with an unknown outcome", done.Unknown)
	}
	t.Logf("%d appends and %d linearizable reads without failure; longest pause of appends %v",
		done.Acknowledged, answered, w.LongestPause().Round(time.Millisecond))
	if pause := w.LongestPause(); pause > rollingPause {
		t.Errorf("nothing was acknowledged for %v, want %v at most", pause, rollingPause)
	}
	check(t, c, l)
}

// restart ends a node in good order and starts it again.
func restart(t *testing.T, ctx context.Context, n *cluster.Node) {
	t.Helper()
	if code, err := n.Terminate(ctx); code != 0 || err != nil {
		t.Fatalf("stop %s: exit code %d, %v", n.Name, code, err)
	}
	must(t, n.Start())
	must(t, n.WaitReady(ctx))
}

// readWithoutFailure reads the newest event over and over, first from each of the
// nodes, until the function that it returns is called. That returns how many reads
// there were.
func readWithoutFailure(t *testing.T, ctx context.Context, c *cluster.Cluster) (stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	counts := make([]int, len(c.URLs()))
	for i := range counts {
		urls := append(append([]string(nil), c.URLs()[i:]...), c.URLs()[:i]...)
		reader, err := client.New(client.Config{Servers: urls})
		must(t, err)
		wg.Go(func() {
			defer reader.Close()
			for ctx.Err() == nil {
				if err := readNewest(ctx, reader); err != nil && ctx.Err() == nil {
					t.Errorf("linearizable read: %v", err)
				}
				counts[i]++
			}
		})
	}
	return func() (sum int) {
		cancel()
		wg.Wait()
		for _, n := range counts {
			sum += n
		}
		return sum
	}
}

func readNewest(ctx context.Context, reader *client.Client) error {
	found := false
	for e, err := range reader.Read(ctx, client.Query{Reverse: true, Limit: 1, Consistency: client.Linearizable}) {
		if err != nil {
			return err
		}
		found = e.Position > event.Position(0)
	}
	if !found {
		return errors.New("no event was returned")
	}
	return nil
}
