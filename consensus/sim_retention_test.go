package consensus_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// TestRetentionInSimulation retains little of a busy cluster's history, and purges
// streams, through partitions, crashes, restarts and installed snapshots. In the
// end all nodes have the same bounds and the same history within.
func TestRetentionInSimulation(t *testing.T) {
	seeds := max(*simSeeds/5, 5)
	slots := make(chan struct{}, 4)
	for i := range seeds {
		seed := *simFirst + uint64(i)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			slots <- struct{}{}
			defer func() { <-slots }()
			synctest.Test(t, func(t *testing.T) { simulateRetention(t, seed) })
		})
	}
}

func simulateRetention(t *testing.T, seed uint64) {
	c := newSimCluster(t)
	c.segmentBytes = 1 << 10
	defer c.endAll()
	l := &simLedger{acked: map[string]event.Position{}}
	c.startAll()
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for i := range 3 {
		s := &simClient{cluster: c, ledger: l, name: fmt.Sprintf("c%d", i), rng: rand.New(rand.NewPCG(seed, uint64(i+1)))}
		clients.Go(func() { s.run(stop) })
	}
	clients.Go(func() { c.bound(rand.New(rand.NewPCG(seed, 9)), stop) })
	c.disturb(rand.New(rand.NewPCG(seed, 0)), time.Now().Add(15*time.Second))
	time.Sleep(3 * time.Second)
	close(stop)
	clients.Wait()
	if t.Failed() {
		return
	}
	c.requireSameBounds(l)
}

// bound changes retention and purges streams, by the settings and over any node.
func (c *simCluster) bound(rng *rand.Rand, stop <-chan struct{}) {
	for {
		if node := c.node(c.names[rng.IntN(len(c.names))]); node != nil {
			age, events, bytes := time.Duration(rng.IntN(8))*time.Second, rng.Uint64N(200), rng.Uint64N(8<<10)
			change := []consensus.RetentionChange{{Age: &age}, {Events: &events}, {Bytes: &bytes}}[rng.IntN(3)]
			ctx := c.Context()
			if rng.IntN(2) == 0 {
				_ = node.SetRetention(ctx, change) // or not, in a cluster that is disturbed
			} else {
				_ = node.PurgeStream(ctx, fmt.Sprintf("c%d", rng.IntN(3)), event.Revision(rng.IntN(50)+1))
			}
		}
		if !sleep(stop, time.Duration(rng.IntN(400))*time.Millisecond) {
			return
		}
	}
}

// requireSameBounds holds the nodes to each other, and what they have to the
// ledger: what is missing must lie below the bounds.
func (c *simCluster) requireSameBounds(l *simLedger) {
	c.Helper()
	events := uint64(50)
	c.eventually("retention is set", func() bool {
		leader := c.node(c.leader())
		return leader != nil && leader.SetRetention(c.Context(), consensus.RetentionChange{Events: &events}) == nil
	})
	c.eventually("retention has come to the end", func() bool {
		for _, name := range c.names {
			v := c.node(name).View()
			bounded := v.Mark.Last < 50 || v.Mark.First >= v.Mark.Last-49
			v.Close()
			if !bounded {
				return false
			}
		}
		return true
	})
	c.settle()
	want := c.history(c.names[0])
	for _, name := range c.names[1:] {
		if got := c.history(name); strings.Join(got, "\n") != strings.Join(want, "\n") {
			c.Errorf("history of %s differs from that of %s:\n%v\n%v", name, c.names[0], got, want)
		}
	}
	at := map[string]string{} // the last word of a line is an id, or "purged"
	for _, line := range want {
		words := strings.Fields(line)
		at[words[0]] = words[len(words)-1]
	}
	v := c.node(c.names[0]).View()
	defer v.Close()
	for id, p := range l.acked {
		if got := at[p.String()]; got != id && got != "purged" && p >= v.Mark.First {
			c.Errorf("event %s was acknowledged at %d, where is %q", id, p, got)
		}
	}
	c.requireFewFiles()
	c.Logf("%d events acknowledged, %d to %d stay", len(l.acked), v.Mark.First, v.Mark.Last)
}

// requireFewFiles waits until the files below first are gone.
func (c *simCluster) requireFewFiles() {
	c.Helper()
	c.eventually("files are removed", func() bool {
		for _, name := range c.names {
			files, err := filepath.Glob(filepath.Join(c.dir, name, "data-*", "journal", "*.seg"))
			if err != nil {
				c.Fatal(err)
			}
			bytes := 0
			for _, f := range files {
				if _, err := os.Stat(f); err == nil {
					bytes++
				}
			}
			if bytes > 20 {
				return false
			}
		}
		return true
	})
}
