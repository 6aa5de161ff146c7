package integration

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/integration/cluster"
)

// The journal's last position is a register that only grows. A linearizable read
// of it that begins after a write was acknowledged, or after another read ended,
// must return at least what that one told.
type register struct{ atomic.Uint64 }

// raise notes that a finished operation told a position.
func (r *register) raise(p event.Position) {
	for {
		old := r.Load()
		if uint64(p) <= old || r.CompareAndSwap(old, uint64(p)) {
			return
		}
	}
}

func TestNoReadIsStaleWhileTheLeaderIsPaused(t *testing.T) {
	t.Parallel()
	rounds := 3
	if soak() {
		rounds = 60
	}
	c := start(t, 3)
	ctx := within(t, time.Duration(rounds)*30*time.Second)

	var seen register
	reads, stopReaders := startReaders(t, c, &seen)
	stopWriters := startRegisterWriters(t, c, &seen)
	for range rounds {
		paused := leader(t, c)
		must(t, paused.Pause())
		// The others elect a leader and write. What was sent to the paused one
		// waits in its sockets: it finds that when it wakes, still believing
		// that it leads.
		leader(t, c)
		before := seen.Load()
		waitUntil(t, ctx, func() bool { return seen.Load() >= before+20 })
		must(t, paused.Resume())
		must(t, paused.WaitReady(ctx))
		after := reads.answered.Load()
		waitUntil(t, ctx, func() bool { return reads.answered.Load() >= after+50 })
	}
	stopWriters()
	stopReaders()
	t.Logf("%d linearizable reads answered, %d refused, %d positions written", reads.answered.Load(), reads.refused.Load(), seen.Load())
	if n := reads.stale.Load(); n > 0 {
		t.Errorf("%d of %d reads were stale", n, reads.answered.Load())
	}
}

type readCounts struct{ answered, refused, stale atomic.Int64 }

// startReaders reads the register at each node, from several goroutines each, so
// that some reads are always under way when a node is paused.
func startReaders(t *testing.T, c *cluster.Cluster, seen *register) (*readCounts, func()) {
	t.Helper()
	counts := &readCounts{}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for _, n := range c.Nodes() {
		for range 4 {
			reader, err := client.New(client.Config{Servers: []string{n.URL()}})
			must(t, err)
			wg.Go(func() {
				defer reader.Close()
				for ctx.Err() == nil {
					readRegister(ctx, t, reader, n.Name, seen, counts)
				}
			})
		}
	}
	return counts, func() { cancel(); wg.Wait() }
}

func readRegister(ctx context.Context, t *testing.T, reader *client.Client, node string, seen *register, counts *readCounts) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	atLeast := seen.Load()
	query := client.Query{Reverse: true, Limit: 1, Consistency: client.Linearizable}
	var got event.Position
	for e, err := range reader.Read(ctx, query) {
		if err != nil {
			counts.refused.Add(1)
			return
		}
		got = e.Position
	}
	counts.answered.Add(1)
	if uint64(got) < atLeast && counts.stale.Add(1) <= 5 {
		t.Errorf("node %s: a read that began when position %d was known returned %d", node, atLeast, got)
	}
	seen.raise(got)
}

// startRegisterWriters appends one event after another, and raises the register
// at each acknowledgement.
func startRegisterWriters(t *testing.T, c *cluster.Cluster, seen *register) func() {
	t.Helper()
	writer, err := client.New(client.Config{Servers: c.URLs()})
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var number atomic.Int64
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				id := strconv.FormatInt(number.Add(1), 10)
				e := event.Event{ID: id, Source: "/integration/register", Type: "test.raised"}
				if done, err := writer.Append(ctx, "register", event.ExpectAny, e); err == nil {
					seen.raise(done.Position)
				}
			}
		})
	}
	return func() {
		cancel()
		wg.Wait()
		must(t, writer.Close())
	}
}

// waitUntil polls a condition until ctx ends.
func waitUntil(t *testing.T, ctx context.Context, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("condition not met: %v", context.Cause(ctx))
		case <-ticker.C:
		}
	}
}
