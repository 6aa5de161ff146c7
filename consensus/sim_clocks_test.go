package consensus_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// wrongClock returns a clock that is wrong from some time on, in one of the ways
// in which clocks are.
func wrongClock(rng *rand.Rand) (name string, clock func() time.Time) {
	off := time.Duration(1+rng.IntN(100_000)) * time.Second
	if rng.IntN(2) == 0 {
		off = -off
	}
	begin := time.Now().Add(time.Duration(rng.IntN(10_000)) * time.Millisecond)
	since := func() time.Duration { return max(0, time.Since(begin)) }
	switch rng.IntN(3) {
	case 0:
		return fmt.Sprintf("off by %v", off), func() time.Time { return time.Now().Add(off) }
	case 1:
		return fmt.Sprintf("jumps by %v", off), func() time.Time {
			if since() == 0 {
				return time.Now()
			}
			return time.Now().Add(off)
		}
	}
	rate := 0.2 + rng.Float64()
	return fmt.Sprintf("drifts by %.1f s each second", rate), func() time.Time {
		return time.Now().Add(time.Duration(float64(since()) * rate))
	}
}

// TestAWrongClockOnAMinorityDoesNotMoveTime runs clusters in which one node's
// clock is wrong and every node leads in turn.
func TestAWrongClockOnAMinorityDoesNotMoveTime(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { runWrongClock(t, seed) })
		})
	}
}

func runWrongClock(t *testing.T, seed uint64) {
	c := newSimCluster(t)
	defer c.endAll()
	rng := rand.New(rand.NewPCG(seed, 1))
	wrong := c.names[rng.IntN(3)]
	how, clock := wrongClock(rng)
	t.Logf("the clock of %s %s", wrong, how)
	c.tune = func(name string, cfg *consensus.Config) {
		if name == wrong {
			cfg.Clock = clock
			if seed%2 == 0 { // it leads first
				return
			}
		}
		if seed%2 == 0 {
			cfg.HeartbeatTimeout, cfg.ElectionTimeout = 2*time.Second, 2*time.Second
		}
	}
	c.startAll()
	for i := range 40 {
		switch rng.IntN(6) {
		case 0:
			c.end(c.names[rng.IntN(3)], true)
			c.startAll()
		case 1:
			for _, name := range c.names { // nobody remembers another's clock
				c.end(name, true)
			}
			c.startAll()
		}
		c.checkStamp(fmt.Sprint("event ", i))
		time.Sleep(time.Duration(rng.IntN(1000)) * time.Millisecond)
	}
	c.eventually("the alarm", func() bool {
		for _, name := range c.names {
			if status, err := c.node(name).Status(); err != nil || len(status.Alarms) != 1 {
				return false
			}
		}
		return true
	})
}

// checkStamp appends an event and holds its stamp to the true time.
func (c *simCluster) checkStamp(id string) {
	c.Helper()
	var at event.Position
	began := time.Now()
	c.eventually("append "+id, func() bool {
		name := c.leader()
		if name == "" {
			return false
		}
		r, err := submit(c.node(name), alone(add("clocks", id)))
		if err != nil {
			return false
		}
		at = event.Position(r.Results[0].GetAppended().Position)
		v := c.node(name).View()
		defer v.Close()
		record, failed := v.Journal().Get(at)
		if failed != nil {
			c.Fatal(failed)
		}
		stamp := time.Unix(0, record.Stamp)
		if stamp.Before(began.Add(-time.Second)) || stamp.After(time.Now().Add(time.Second)) {
			c.Errorf("%s, appended by %s within %v after %v, is stamped %v", id, name, time.Since(began), began, stamp)
		}
		return true
	})
}

// With two nodes alone the earlier clock holds, and both know that one is wrong.
func TestOfTwoClocksTheEarlierHolds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newSimCluster(t)
		defer c.endAll()
		c.tune = func(name string, cfg *consensus.Config) {
			if name == "n1" {
				cfg.Clock = func() time.Time { return time.Now().Add(time.Hour) }
			}
		}
		c.names = []string{"n1", "n2"}
		c.startAll()
		for i := range 5 {
			c.checkStamp(fmt.Sprint("event ", i))
			time.Sleep(time.Second)
		}
		status, err := c.node("n2").Status()
		if err != nil || len(status.Alarms) != 1 {
			t.Fatalf("alarms are %q, %v; want that of n1's clock", status.Alarms, err)
		}
		for _, m := range status.Members {
			if skew := m.Pulse.ClockSkew.Round(time.Second); m.ServerID != string(status.ServerID) && skew != time.Hour || !m.Pulse.ClockKnown {
				t.Errorf("clock of %s is off by %v", m.ServerID, skew)
			}
		}
	})
}
