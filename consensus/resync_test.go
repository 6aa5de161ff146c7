package consensus_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/fault"
	"github.com/edri-io/edri/store"
)

// filled returns a ready cluster with a history, of which all is on disk and n3
// does not run; truncated says that the raft logs begin behind the first entry.
func filled(t *testing.T, l *simLedger, truncated bool) *simCluster {
	c := newSimCluster(t)
	c.segmentBytes = 4 << 10
	c.startAll()
	c.eventually("all are ready", c.allReady)
	session := c.openSession()
	for i := range uint64(60) {
		c.append(l, session, i+1)
	}
	c.verify(l)
	if truncated {
		for _, name := range c.names {
			c.eventually(name+" truncates its log", func() bool { return c.node(name).Compact() == nil })
		}
	}
	c.end("n3", false)
	return c
}

func (c *simCluster) quarantined(name string) []string {
	c.Helper()
	entries, err := os.ReadDir(filepath.Join(c.dir, name, "quarantine"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		c.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func cutFile(t *testing.T, path string) {
	t.Helper()
	if err := os.Truncate(path, 5000); err != nil {
		t.Fatal(err)
	}
}

func TestDamagedStateIsFetchedUnderTheSameID(t *testing.T) {
	t.Parallel()
	const journal = "data-000001/journal/00000000000000000001.seg"
	for name, damage := range map[string]func(t *testing.T, dir string){
		"state cut":       func(t *testing.T, dir string) { cutFile(t, filepath.Join(dir, "data-000001/state.db")) },
		"state gone":      func(t *testing.T, dir string) { remove(t, filepath.Join(dir, "data-000001/state.db")) },
		"segment cut":     func(t *testing.T, dir string) { cutFile(t, filepath.Join(dir, journal)) },
		"segment gone":    func(t *testing.T, dir string) { remove(t, filepath.Join(dir, journal)) },
		"generation gone": func(t *testing.T, dir string) { remove(t, filepath.Join(dir, "data-000001")) },
		"CURRENT gone":    func(t *testing.T, dir string) { remove(t, filepath.Join(dir, "CURRENT")) },
		"CURRENT changed": func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, "CURRENT"), []byte("data-00000x\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		},
	} {
		for _, truncated := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					l := &simLedger{acked: map[string]event.Position{}}
					c := filled(t, l, truncated)
					defer c.endAll()
					id, err := os.ReadFile(filepath.Join(c.dir, "n3", "node.json"))
					if err != nil {
						t.Fatal(err)
					}
					damage(t, filepath.Join(c.dir, "n3"))
					c.start("n3")
					c.eventually("all are ready", c.allReady)
					c.verify(l)
					after, err := os.ReadFile(filepath.Join(c.dir, "n3", "node.json"))
					if err != nil || string(after) != string(id) {
						t.Errorf("id was %s, is %s (%v)", id, after, err)
					}
					if kept := c.quarantined("n3"); len(kept) != 1 && name != "generation gone" {
						t.Errorf("in quarantine: %v", kept)
					}
					c.end("n3", true)
					c.start("n3")
					c.verify(l)
				})
			})
		}
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

// While the state is fetched the node serves nothing, and waits for a peer.
func TestNodeWithoutItsStateServesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &simLedger{acked: map[string]event.Position{}}
		c := filled(t, l, true)
		defer c.endAll()
		cutFile(t, filepath.Join(c.dir, "n3", "data-000001/state.db"))
		c.net.partition([]string{"n3"}, []string{"n1", "n2"})
		c.start("n3")
		c.eventually("n3 waits", func() bool {
			err := c.node("n3").Ready()
			return err != nil && strings.Contains(err.Error(), "was damaged")
		})
		if err := c.node("n3").Await(t.Context(), false, 0); event.CodeOf(err) != event.CodeUnavailable {
			t.Errorf("a stale read: got %v, want unavailable", err)
		}
		if _, _, err := c.node("n3").Image(); err == nil {
			t.Error("gives an image of the state that it does not have")
		}
		c.net.heal()
		c.verify(l)
	})
}

// The leader goes on with what follows the fetched state, though it knows only how
// far the node was when it went away.
func TestAFetchedStateIsFollowedByWhatComesAfterIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &simLedger{acked: map[string]event.Position{}}
		c := filled(t, l, false)
		defer c.endAll()
		session := c.openSession()
		for i := range uint64(100) {
			c.append(l, session, i+1)
		}
		var mu sync.Mutex
		asked := map[uint64]bool{} // for entries after this one
		c.net.setDrop(func(_, to string, req *raft.AppendEntriesRequest) bool {
			mu.Lock()
			defer mu.Unlock()
			if to == "n3" && len(req.Entries) > 0 {
				asked[req.PrevLogEntry] = true
			}
			return false
		})
		cutFile(t, filepath.Join(c.dir, "n3", "data-000001/state.db"))
		c.start("n3")
		c.eventually("all are ready", c.allReady)
		c.append(l, session, 101)
		c.verify(l)
		mu.Lock()
		defer mu.Unlock()
		if len(asked) == 0 || len(asked) > 20 {
			t.Errorf("the leader sent what follows %d different entries", len(asked))
		}
	})
}

// A node must not take a state that is older than where its raft log begins: it
// has acknowledged what lies between.
func TestAnOlderStateThanTheLogIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &simLedger{acked: map[string]event.Position{}}
		c := newSimCluster(t)
		c.startAll()
		defer c.endAll()
		c.eventually("all are ready", c.allReady)
		session := c.openSession()
		// n2 is left behind; n1 and n3 acknowledge and truncate.
		c.eventually("n1 or n3 leads", func() bool { return c.leader() == "n1" || c.leader() == "n3" || c.moveLeader() })
		c.net.partition([]string{"n2"}, []string{"n1", "n3"})
		for i := range uint64(60) {
			c.append(l, session, i+1)
		}
		for _, name := range []string{"n1", "n3"} {
			c.eventually(name+" truncates its log", func() bool { return c.node(name).Compact() == nil })
		}
		c.end("n3", false)
		c.end("n1", false)
		cutFile(t, filepath.Join(c.dir, "n3", "data-000001/state.db"))
		c.net.heal()
		c.start("n3") // only n2 can be asked, and together they would be a majority
		c.eventually("n3 refuses n2's state", func() bool {
			err := c.node("n3").Ready()
			return err != nil && strings.Contains(err.Error(), "the raft log here begins after")
		})
		time.Sleep(10 * time.Second) // simulated
		if c.node("n2").Ready() == nil {
			t.Error("n2 is ready without what n1 and n3 acknowledged")
		}
		c.start("n1")
		c.verify(l)
	})
}

// moveLeader makes the leader hand over; it returns false, for eventually.
func (c *simCluster) moveLeader() bool {
	if leader := c.leader(); leader != "" {
		c.node(leader).HandOver(c.Context())
	}
	return false
}

// A crash at any step of a file operation leaves the damage known, and keeps the
// damaged generation.
func TestResyncSurvivesACrashAtEveryStep(t *testing.T) {
	t.Parallel()
	crashAtEveryStep(t, crashResync)
}

func crashResync(t *testing.T, n int) (reached bool) {
	l := &simLedger{acked: map[string]event.Position{}}
	c := filled(t, l, true)
	defer c.endAll()
	state := filepath.Join(c.dir, "n3", "data-000001/state.db")
	cutFile(t, state)
	injector := fault.CrashAt(n)
	died := make(chan struct{}, 1)
	c.tune = func(name string, cfg *consensus.Config) {
		if name == "n3" {
			cfg.Seam = injector.Seam()
			cfg.Fatal = func(int, error) {
				died <- struct{}{}
				runtime.Goexit() // or Raft goes on with what it believes was written
			}
		}
	}
	if c.tryStart("n3") == nil {
		select {
		case <-died:
		case <-time.After(5 * time.Second):
		}
		_ = c.node("n3").Abandon()
		c.forget("n3")
	}
	c.tune = nil
	c.start("n3")
	c.verify(l)
	kept := c.quarantined("n3")
	if len(kept) != 1 {
		t.Fatalf("in quarantine: %v", kept)
	}
	damaged := filepath.Join(c.dir, "n3", "quarantine", kept[0], "state.db")
	if info, err := os.Stat(damaged); err != nil || info.Size() != 5000 {
		t.Errorf("the damaged state was not kept as it was: %v, %v", info, err)
	}
	return injector.Fired()
}

// What a reader meets while the node runs is marked, so that the next start does
// not depend on meeting it again.
func TestDamageAtRunTimeIsRepairedByTheNextStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &simLedger{acked: map[string]event.Position{}}
		c := filled(t, l, false)
		defer c.endAll()
		stopped := make(chan error, 1)
		c.tune = func(_ string, cfg *consensus.Config) {
			cfg.Fatal = func(_ int, err error) { stopped <- err }
		}
		c.start("n3")
		c.tune = nil
		c.eventually("all are ready", c.allReady)
		c.node("n3").Damaged(&store.CorruptError{Path: "state.db", Detail: "as a test says"})
		if err := <-stopped; !errors.Is(err, consensus.ErrRestart) {
			t.Fatalf("stopped with %v, want ErrRestart", err)
		}
		_ = c.node("n3").Abandon()
		c.forget("n3")
		c.start("n3")
		c.verify(l)
		if kept := c.quarantined("n3"); len(kept) != 1 {
			t.Errorf("in quarantine: %v", kept)
		}
	})
}

func TestAFullQuarantineNeedsAPerson(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &simLedger{acked: map[string]event.Position{}}
		c := filled(t, l, false)
		defer c.endAll()
		for _, name := range strings.Fields("a b c d e f g h") {
			if err := os.MkdirAll(filepath.Join(c.dir, "n3", "quarantine", name), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		cutFile(t, filepath.Join(c.dir, "n3", "data-000001/state.db"))
		err := c.tryStart("n3")
		if !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), "quarantine") {
			t.Errorf("got %v, want ErrCorrupt that names the quarantine", err)
		}
	})
}
