package consensus_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/fault"
)

// behind returns a cluster of which n3 was away for so long that the others have
// truncated what it needs from their raft logs.
func behind(t *testing.T, l *simLedger) *simCluster {
	c := newSimCluster(t)
	c.segmentBytes = 4 << 10 // the copy has sealed segments and an active one
	c.startAll()
	c.eventually("all are ready", c.allReady)
	session := c.openSession()
	for i := range uint64(90) {
		if i == 30 {
			time.Sleep(time.Second) // n3 flushes what it has
			c.end("n3", true)
		}
		c.append(l, session, i+1)
	}
	for _, name := range []string{"n1", "n2"} {
		c.eventually(name+" truncates its log", func() bool { return c.node(name).Compact() == nil })
	}
	return c
}

func (c *simCluster) allReady() bool {
	for _, name := range c.names {
		if node := c.node(name); node == nil || node.Ready() != nil {
			return false
		}
	}
	return true
}

func (c *simCluster) openSession() uint64 {
	c.Helper()
	r := c.must(&edriv1.Commit{Ops: []*edriv1.Op{{Op: &edriv1.Op_OpenSession{OpenSession: &edriv1.OpenSession{}}}}})
	return r.Results[0].GetSessionOpened().GetSession()
}

func (c *simCluster) append(l *simLedger, session, sequence uint64) {
	c.Helper()
	id := fmt.Sprintf("e-%d", sequence)
	r := c.must(in(session, sequence, addContent("s", id, string(make([]byte, 300)))))
	l.add(id, event.Position(r.Results[0].GetAppended().Position))
}

// must executes a commit on whatever node leads.
func (c *simCluster) must(commit *edriv1.Commit) *edriv1.CommitResult {
	c.Helper()
	var result *edriv1.CommitResult
	c.eventually("a commit is executed", func() bool {
		leader := c.leader()
		if leader == "" {
			return false
		}
		r, err := submit(c.node(leader), commit)
		result = r
		return err == nil
	})
	return result
}

func TestFollowerFarBehindInstallsASnapshot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &simLedger{acked: map[string]event.Position{}}
		c := behind(t, l)
		defer c.endAll()
		c.start("n3")
		c.verify(l)
		if _, err := os.Stat(filepath.Join(c.dir, "n3", "data-000002", "origin.json")); err != nil {
			t.Errorf("n3 did not install a snapshot: %v", err)
		}
		// What was installed goes on like any other, and over a restart.
		session := c.openSession()
		for i := range uint64(20) {
			r := c.must(in(session, i+1, add("t", fmt.Sprintf("f-%d", i))))
			l.add(fmt.Sprintf("f-%d", i), event.Position(r.Results[0].GetAppended().Position))
		}
		c.end("n3", true)
		c.start("n3")
		c.verify(l)
	})
}

// A receiver that dies at any step of a file operation, from its start over the
// install to the flushes after it, comes back with the old state or the new one.
func TestInstallSurvivesACrashAtEveryStep(t *testing.T) {
	t.Parallel()
	crashAtEveryStep(t, crashInstall)
}

// crashAtEveryStep calls crash with 1, 2 and so on, until it was not reached.
func crashAtEveryStep(t *testing.T, crash func(t *testing.T, n int) (reached bool)) {
	t.Helper()
	stride := 1
	if testing.Short() {
		stride = 7
	}
	reached := true
	for n := 1; reached; n += stride {
		synctest.Test(t, func(t *testing.T) { reached = crash(t, n) })
		if t.Failed() {
			t.Fatalf("crash at step %d", n)
		}
		if n > 2000 {
			t.Fatal("the steps do not end")
		}
	}
}

func crashInstall(t *testing.T, n int) (reached bool) {
	l := &simLedger{acked: map[string]event.Position{}}
	c := behind(t, l)
	defer c.endAll()
	reached = c.crashDuringInstall(n)
	c.start("n3")
	c.verify(l)
	return reached
}

// crashDuringInstall starts n3 and ends it at its nth step of a file operation, or
// when it has installed the snapshot.
func (c *simCluster) crashDuringInstall(n int) (reached bool) {
	c.Helper()
	injector := fault.CrashAt(n)
	died := make(chan struct{}, 1)
	c.tune = func(name string, cfg *consensus.Config) {
		if name == "n3" {
			cfg.Seam = injector.Seam()
			cfg.Fatal = func(_ int, err error) {
				died <- struct{}{}
				if !strings.Contains(err.Error(), "receive snapshot") {
					runtime.Goexit() // Raft goes on with what it believes was written
				} // else Raft gives the snapshot up, and ends what watches it
			}
		}
	}
	if c.tryStart("n3") == nil {
		select {
		case <-died:
		case <-time.After(5 * time.Second): // more than an install and its flush take
		}
		_ = c.node("n3").Abandon()
		c.forget("n3")
	}
	c.tune = nil
	return injector.Fired()
}

// A follower truncates its log right after an install, before anything follows: its
// last entry is the snapshot's then, of which the next leader knows the term. That
// leader's log begins at 1, so that it would never send a snapshot.
func TestTruncationAfterAnInstallKeepsTheTerm(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &simLedger{acked: map[string]event.Position{}}
		c := newSimCluster(t)
		defer c.endAll()
		c.startAll()
		c.eventually("all are ready", c.allReady)
		c.lead("n1")
		session := c.openSession()
		time.Sleep(5 * time.Second) // the nodes commit their addresses
		c.end("n3", true)
		for i := range uint64(30) {
			c.append(l, session, i+1)
		}
		c.eventually("n1 truncates its log", func() bool { return c.node("n1").Compact() == nil })
		c.start("n3")
		c.eventually("n3 has caught up", func() bool { return c.caughtUp("n3", l) })
		if err := c.node("n3").Compact(); err != nil {
			t.Fatal(err)
		}
		if first, last := c.node("n3").LogRange(); last != 0 {
			t.Fatalf("n3 has entries %d to %d: the stage does not show the trap any more", first, last)
		}
		c.end("n1", true) // n2 leads, and needs n3
		c.append(l, session, 31)
		c.start("n1")
		c.verify(l)
	})
}

// lead hands leadership to a node.
func (c *simCluster) lead(name string) {
	c.Helper()
	c.eventually(name+" leads", func() bool {
		leader := c.leader()
		if leader != "" && leader != name {
			_ = c.node(leader).TransferTo(c.node(name)) // tried again
		}
		return leader == name
	})
}
