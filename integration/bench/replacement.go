package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/integration/cluster"
)

const (
	replacedEvents = 2_000_000
	// A steady load, about half of what two processors can do.
	steadyWriters = 64
	steadyPace    = 4 * time.Millisecond
	normalTime    = 15 * time.Second
)

// replacement wipes a follower of a long history under a steady load and measures
// how long it takes until it votes again, and what that does to writes.
func (b *bench) replacement(ctx context.Context) error {
	stored, err := fill(ctx, b.cluster, replacedEvents)
	if err != nil {
		return err
	}
	load, err := startSteady(ctx, b.cluster.URLs())
	if err != nil {
		return err
	}
	defer load.stop()
	if err := pause(ctx, normalTime); err != nil {
		return err
	}
	wiped := time.Now()
	started, err := b.replaceFollower(ctx)
	if err != nil {
		return err
	}
	if err := b.waitVoters(ctx); err != nil {
		return err
	}
	voter := time.Now()
	if err := load.stop(); err != nil {
		return err
	}
	rate, normal := load.between(wiped.Add(-normalTime+time.Second), wiped)
	rateMeanwhile, meanwhile := load.between(wiped, voter)
	fmt.Printf("a wiped follower of %d events votes again %.1fs after its start (%.1fs after it was killed)\n",
		stored, voter.Sub(started).Seconds(), voter.Sub(wiped).Seconds())
	fmt.Printf("writes before: %.0f/s, p99 %v; meanwhile: %.0f/s, p99 %v, %.2f times\n",
		rate, normal.Round(10*time.Microsecond), rateMeanwhile, meanwhile.Round(10*time.Microsecond),
		float64(meanwhile)/float64(normal))
	return nil
}

// replaceFollower kills a follower, empties its disk, lets it be replaced and
// starts it.
func (b *bench) replaceFollower(ctx context.Context) (started time.Time, err error) {
	leader, err := b.cluster.Leader(ctx)
	if err != nil {
		return started, err
	}
	n := b.cluster.Followers(leader)[0]
	if err := n.Kill(); err != nil {
		return started, err
	}
	if err := os.RemoveAll(n.DataDir); err != nil {
		return started, err
	}
	if err := edri(ctx, b.cluster, io.Discard, "cluster", "replace", n.Name); err != nil {
		return started, err
	}
	return time.Now(), n.Start()
}

// waitVoters waits until all three nodes vote, are ready, and nothing is changed.
func (b *bench) waitVoters(ctx context.Context) error {
	asking, err := client.New(client.Config{Servers: b.cluster.URLs()})
	if err != nil {
		return err
	}
	defer asking.Close()
	for {
		settled := 0
		for _, n := range b.cluster.Nodes() {
			if settledAt(ctx, asking, n) {
				settled++
			}
		}
		if settled == len(b.cluster.Nodes()) {
			return nil
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

func settledAt(ctx context.Context, asking *client.Client, n *cluster.Node) bool {
	s, err := asking.StatusOf(ctx, n.URL())
	return err == nil && s.Ready && s.Change == nil && len(s.Replacements) == 0 && len(s.Members) == 3 &&
		!slices.ContainsFunc(s.Members, func(m client.Member) bool { return !m.Voter })
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// steady is a load at a fixed rate, which knows how long each write took.
type steady struct {
	cancel  context.CancelFunc
	client  *client.Client
	running sync.WaitGroup

	mu     sync.Mutex
	writes []write
	err    error
}

type write struct {
	began time.Time
	took  time.Duration
}

func startSteady(ctx context.Context, urls []string) (*steady, error) {
	c, err := client.New(client.Config{Servers: urls})
	if err != nil {
		return nil, err
	}
	s := &steady{client: c}
	ctx, s.cancel = context.WithCancel(ctx)
	for i := range steadyWriters {
		s.running.Go(func() { s.write(ctx, "steady-"+strconv.Itoa(i)) })
	}
	return s, nil
}

// write appends at its pace. Time that a late write takes from the next is counted
// as that one's: a client waits for it too.
func (s *steady) write(ctx context.Context, stream string) {
	due := time.Now()
	for n := 0; pause(ctx, time.Until(due)) == nil; n++ {
		_, err := s.client.Append(context.WithoutCancel(ctx), stream, event.ExpectAny, event.Event{
			ID: stream + "-" + strconv.Itoa(n), Source: "/bench/steady", Type: "bench.steady", Data: make([]byte, 256),
		})
		took := time.Since(due)
		s.mu.Lock()
		if s.writes = append(s.writes, write{due, took}); err != nil {
			s.err = err
		}
		s.mu.Unlock()
		due = due.Add(steadyPace)
	}
}

// stop ends the load and returns the last error of a write.
func (s *steady) stop() error {
	s.cancel()
	s.running.Wait()
	s.client.Close()
	return s.err
}

// between returns the rate and p99 of the writes that were due in a time.
func (s *steady) between(from, to time.Time) (rate float64, p99 time.Duration) {
	var took []time.Duration
	for _, w := range s.writes {
		if !w.began.Before(from) && w.began.Before(to) {
			took = append(took, w.took)
		}
	}
	if len(took) == 0 {
		return 0, 0
	}
	slices.Sort(took)
	return float64(len(took)) / to.Sub(from).Seconds(), took[len(took)*99/100]
}
