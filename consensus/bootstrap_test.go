package consensus_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/consensus/raftlog"
	"github.com/edri-io/edri/event"
)

func TestClusterIsMadeOnlyWhenEveryPeerAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newSimCluster(t)
		defer c.endAll()
		c.start("n1")
		c.start("n2")
		time.Sleep(10 * time.Second)
		for _, name := range []string{"n1", "n2"} {
			if err := c.node(name).Ready(); err == nil || !strings.Contains(err.Error(), "n3") {
				t.Errorf("%s without n3: got readiness %v, want a reason that names n3", name, err)
			}
		}
		c.start("n3")
		c.eventually("all are ready", c.allReady)
	})
}

func TestEmptiedDiskIsRefusedUnderItsOldName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"n1", "n3"} { // the first makes clusters, the others wait
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newSimCluster(t)
				defer c.endAll()
				c.startAll()
				c.eventually("all are ready", c.allReady)
				c.end(name, true)
				if err := os.RemoveAll(filepath.Join(c.dir, name)); err != nil {
					t.Fatal(err)
				}
				code, err := c.startToFail(name)
				if code != consensus.ExitError || !errors.Is(err, consensus.ErrForeignDisk) {
					t.Errorf("got exit code %d, error %v; want %d, %v", code, err, consensus.ExitError, consensus.ErrForeignDisk)
				}
				c.eventually("the others go on", func() bool { return c.leader() != "" })
			})
		})
	}
}

func TestPeersThatNameAnotherSetAreRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newSimCluster(t)
		defer c.endAll()
		c.tune = func(_ string, cfg *consensus.Config) { cfg.Fatal = func(int, error) {} } // they refuse it too
		c.start("n2")
		c.start("n3")
		c.tune = func(_ string, cfg *consensus.Config) { cfg.Peers = cfg.Peers[:2] }
		code, err := c.startToFail("n1")
		c.tune = nil
		if code != consensus.ExitError || err == nil || !strings.Contains(err.Error(), "was started with peers") {
			t.Errorf("got exit code %d, error %v; want a refusal that names both sets", code, err)
		}
	})
}

// A crash between the two writes of a bootstrap leaves a term and no log.
func TestInterruptedBootstrapIsBegunAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newSimCluster(t)
		defer c.endAll()
		dir := filepath.Join(c.dir, "n1", "raft")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		log, err := raftlog.Open(dir, raftlog.Config{SegmentBytes: 64 << 10})
		if err != nil {
			t.Fatal(err)
		}
		if err := log.Stable().SetUint64([]byte("CurrentTerm"), 1); err != nil {
			t.Fatal(err)
		}
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
		c.startAll()
		c.eventually("all are ready", c.allReady)
	})
}

func TestConfiguredWindowComesWithTheFirstEpoch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newSimCluster(t)
		defer c.endAll()
		c.tune = func(_ string, cfg *consensus.Config) { cfg.Window = 2 }
		c.startAll()
		c.eventually("all are ready", c.allReady)
		one := func(id string) *edriv1.Appended {
			return c.must(&edriv1.Commit{Ops: []*edriv1.Op{add("s", id)}}).Results[0].GetAppended()
		}
		one("a")
		one("b")
		if again := one("a"); !again.Duplicate {
			t.Errorf("within the window: got %v, want a duplicate", again)
		}
		one("c")
		if again := one("a"); again.Duplicate {
			t.Errorf("beyond a window of 2: got %v, want a new event", again)
		}
	})
}

func TestStateAheadOfTheRaftLogIsCorruption(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newSimCluster(t)
		defer c.endAll()
		c.startAll()
		c.eventually("all are ready", c.allReady)
		l := &simLedger{acked: map[string]event.Position{}}
		session := c.openSession()
		for i := range uint64(5) {
			c.append(l, session, i+1)
		}
		c.end("n2", false)
		if err := os.RemoveAll(filepath.Join(c.dir, "n2", "raft")); err != nil {
			t.Fatal(err)
		}
		if err := c.tryStart("n2"); err == nil || consensus.ExitCode(err) != consensus.ExitCorruption {
			t.Errorf("state without its raft log: got %v, want corruption", err)
		}
	})
}
