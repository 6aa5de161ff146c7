package consensus_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

const (
	simDisk  = 1 << 30
	simSpare = simDisk / 20 // the default reserve of such a disk
)

// simDisks are the free bytes of the nodes' disks.
type simDisks map[string]*atomic.Uint64

func (c *simCluster) withDisks() simDisks {
	disks := simDisks{}
	for _, name := range c.names {
		disks[name] = &atomic.Uint64{}
		disks[name].Store(simDisk / 2)
	}
	c.tune = func(name string, cfg *consensus.Config) {
		cfg.DiskSpace = func() (free, total uint64, err error) { return disks[name].Load(), simDisk, nil }
	}
	return disks
}

func (c *simCluster) tryAppend(id string) *event.Error {
	for began := time.Now(); time.Since(began) < 10*time.Second; time.Sleep(50 * time.Millisecond) {
		for _, name := range c.names { // by a follower or the leader
			node := c.node(name)
			if node == nil || node.Ready() != nil {
				continue
			}
			_, err := submit(node, alone(add("space", id)))
			if err == nil || err.Code == event.CodeNoSpace {
				return err
			}
		}
	}
	return event.Errorf(event.CodeUnavailable, "not within 10 s")
}

// settle lets every node learn how the others are.
func settle() { time.Sleep(2500 * time.Millisecond) }

func (c *simCluster) expectNoSpace(id string, nodes ...string) {
	c.Helper()
	err := c.tryAppend(id)
	if err == nil || err.Code != event.CodeNoSpace {
		c.Fatalf("%s: %v, want %s", id, err, event.CodeNoSpace)
	}
	for _, name := range nodes {
		if !strings.Contains(err.Message, name+".") || !strings.Contains(err.Message, "51 MiB") {
			c.Errorf("%s: %q does not name %s and the reserve", id, err.Message, name)
		}
	}
}

func (c *simCluster) expectAppend(id string) {
	c.Helper()
	if err := c.tryAppend(id); err != nil {
		c.Fatalf("append %s: %v", id, err)
	}
}

func TestWritesAreRefusedWhileAMajorityHasNoSpace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newSimCluster(t)
		defer c.endAll()
		disks := c.withDisks()
		c.startAll()
		c.expectAppend("all have space")
		low := c.others(c.leader())
		disks[low[0]].Store(simSpare - 1)
		settle()
		c.expectAppend("one is low")
		disks[low[1]].Store(simSpare - 1)
		settle()
		c.expectNoSpace("two are low", low...)

		// What is no append goes on: reads, the cluster's own commits, sessions.
		node := c.node(low[0])
		if err := node.Await(context.Background(), true, 1); err != nil {
			t.Errorf("read: %v", err)
		}
		r, err := submit(node, &edriv1.Commit{Ops: []*edriv1.Op{{Op: &edriv1.Op_OpenSession{OpenSession: &edriv1.OpenSession{}}}}})
		if err != nil {
			t.Fatalf("open session: %v", err)
		}
		session := r.Results[0].GetSessionOpened().GetSession()
		if _, err := submit(node, in(session, 1, add("space", "refused"))); err == nil || err.Code != event.CodeNoSpace {
			t.Errorf("append in a session: %v", err)
		}
		// A refusal is certain: the sequence is free, for something else too.
		if _, err := submit(node, in(session, 1)); err != nil {
			t.Errorf("empty commit in place of the refused one: %v", err)
		}
		// Writes do not come and go with every file that is deleted.
		disks[low[1]].Store(simSpare + simSpare/8 - 1)
		settle()
		c.expectNoSpace("one was hardly freed", low...)
		disks[low[1]].Store(simSpare + simSpare/8)
		settle()
		c.expectAppend("one was freed")
		disks[low[1]].Store(simSpare)
		settle()
		c.expectAppend("it has its reserve")
		for _, name := range c.names {
			for _, line := range c.history(name) {
				if strings.HasSuffix(line, "two are low") || strings.HasSuffix(line, "hardly freed") || strings.HasSuffix(line, " refused") {
					t.Errorf("%s stored what was refused: %s", name, line)
				}
			}
		}
	})
}

func TestALeaderWithoutSpaceHandsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newSimCluster(t)
		defer c.endAll()
		disks := c.withDisks()
		c.startAll()
		for i := range 3 { // wherever it goes
			c.eventually("a leader", func() bool { return c.leader() != "" })
			settle()
			old := c.leader()
			disks[old].Store(0)
			began := time.Now()
			for c.leader() == old || c.leader() == "" {
				if err := c.tryAppend(string(rune('a'+i)) + time.Since(began).String()); err != nil {
					t.Fatalf("append during the handover: %v", err)
				}
				time.Sleep(20 * time.Millisecond)
			}
			t.Logf("%s handed over to %s within %v", old, c.leader(), time.Since(began))
			disks[old].Store(simDisk)
		}
	})
}

// A voter that is down does not count as one with space, once another is low: the
// low one would be filled by what the cluster accepts, and then stop.
func TestASilentVoterIsNotCountedOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newSimCluster(t)
		defer c.endAll()
		disks := c.withDisks()
		c.startAll()
		c.expectAppend("all have space")
		settle()
		others := c.others(c.leader())
		c.end(others[0], true)
		time.Sleep(10 * time.Second)
		c.expectAppend("one is down")
		disks[others[1]].Store(0)
		settle()
		c.expectNoSpace("one is down, one is low", others[1])
		c.start(others[0])
		settle()
		c.expectAppend("it is back")
	})
}

func TestASingleNodeRefusesWithoutSpace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newSimCluster(t)
		defer c.endAll()
		c.names = []string{"n1"}
		disks := c.withDisks()
		disks["n1"].Store(0)
		c.startAll()
		c.eventually("a leader", func() bool { return c.leader() != "" })
		settle()
		c.expectNoSpace("full from the start", "n1")
		status, err := c.node("n1").Status()
		if err != nil || len(status.Alarms) != 1 || !strings.Contains(status.Alarms[0], "0 MiB free") {
			t.Errorf("alarms are %q, %v", status.Alarms, err)
		}
		disks["n1"].Store(simDisk)
		settle()
		c.expectAppend("freed")
	})
}
