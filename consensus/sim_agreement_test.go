package consensus_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// wrongRegisters decides otherwise than its peers, once it is told to, for one
// operation; nobody is told a wrong result.
type wrongRegisters struct {
	registers
	wrong *atomic.Bool
}

func (w wrongRegisters) Apply(tx *consensus.Tx, op uint32, body []byte) ([]byte, error) {
	if w.wrong != nil && w.wrong.CompareAndSwap(true, false) {
		tx.Put([]byte("a row"), []byte("that no other node has"))
	}
	return w.registers.Apply(tx, op, body)
}

// simStops are the ends of nodes by themselves.
type simStops struct {
	mu   sync.Mutex
	code map[string]int
	err  map[string]error
}

func (s *simStops) of(name string) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.code[name], s.err[name]
}

func (s *simStops) forget(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.code, name)
	delete(s.err, name)
}

// diverge runs a cluster in which the named node applies one operation wrongly, and
// calls stopped when a node stops.
func diverge(t *testing.T, names []string, wrongNode string, stopped ...func(*simCluster)) (*simCluster, *simStops) {
	c := newSimCluster(t)
	c.names = names
	stops := &simStops{code: map[string]int{}, err: map[string]error{}}
	wrong := &atomic.Bool{}
	began := time.Now()
	c.tune = func(name string, cfg *consensus.Config) {
		if len(stopped) > 0 && name == wrongNode {
			time.Sleep(500 * time.Millisecond) // it asks half a second after the others
		}
		cfg.HashInterval = 10
		machine := wrongRegisters{}
		if name == wrongNode {
			machine.wrong = wrong
		}
		mux, err := consensus.NewMux(machine)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Machines = mux
		cfg.Fatal = func(code int, err error) {
			stops.mu.Lock()
			defer stops.mu.Unlock()
			stops.code[name], stops.err[name] = code, err
			for _, f := range stopped {
				f(c)
			}
		}
	}
	c.startAll()
	c.eventually("all are ready", c.allReady)
	for i := range 5 {
		c.must(alone(register(16, fmt.Sprint("right", i))))
	}
	// All of it between the moments in which the others ask.
	time.Sleep(time.Second - time.Since(began)%time.Second + 50*time.Millisecond)
	wrong.Store(true)
	for i := range 15 {
		c.must(alone(register(16, fmt.Sprint("then", i))))
	}
	return c, stops
}

func TestANodeWhoseStateIsNotTheMajoritysStops(t *testing.T) {
	t.Parallel()
	for _, wrong := range []string{"n1", "n2", "n3"} { // a follower, or the leader
		t.Run(wrong, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, stops := diverge(t, []string{"n1", "n2", "n3"}, wrong)
				defer c.endAll()
				c.eventually("the node stops", func() bool { _, err := stops.of(wrong); return err != nil })
				code, err := stops.of(wrong)
				if code != consensus.ExitCorruption || !errors.Is(err, consensus.ErrDiverged) {
					t.Errorf("stopped with code %d: %v", code, err)
				}
				t.Log(err)
				// The others know why, and go on.
				c.eventually("the others' alarms", func() bool {
					for _, name := range c.others(wrong) {
						status, err := c.node(name).Status()
						if err != nil || !status.Diverged || len(status.Alarms) != 1 {
							return false
						}
					}
					return true
				})
				_ = c.node(wrong).Abandon()
				c.forget(wrong)
				c.eventually("another leader", func() bool { return c.leader() != "" })
				c.must(alone(register(16, "on")))
				for _, name := range c.others(wrong) {
					if code, err := stops.of(name); err != nil {
						t.Errorf("%s stopped too, with code %d: %v", name, code, err)
					}
				}
				// It is wrong for ever, also after a restart.
				stops.forget(wrong)
				c.start(wrong)
				c.eventually("the node stops again", func() bool { _, err := stops.of(wrong); return err != nil })
				if code, err := stops.of(wrong); code != consensus.ExitCorruption || !errors.Is(err, consensus.ErrDiverged) {
					t.Errorf("started again it stopped with code %d: %v", code, err)
				}
			})
		})
	}
}

// The others know of a node that differs although it has stopped before any of
// them could ask it, and do not forget, nor when they are started again: the alarm is
// over when it was removed.
func TestTheAlarmOutlivesTheNodeThatDiffers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, stops := diverge(t, []string{"n1", "n2", "n3"}, "n3", func(c *simCluster) {
			c.net.partition([]string{"n3"}, []string{"n1", "n2"})
		})
		defer c.endAll()
		for _, name := range []string{"n1", "n2"} {
			if status, err := c.node(name).Status(); err != nil || status.Diverged {
				t.Fatalf("%s has asked already: the stage does not show the trap any more: %v", name, err)
			}
		}
		c.eventually("the node stops", func() bool { _, err := stops.of("n3"); return err != nil })
		wrong := c.node("n3")
		c.forget("n3")
		defer func() { _ = wrong.Abandon() }()
		alarmed := func() bool {
			for _, name := range []string{"n1", "n2"} {
				status, err := c.node(name).Status()
				if err != nil || !status.Diverged || !strings.Contains(strings.Join(status.Alarms, "\n"), wrong.ServerID()+" has ") {
					return false
				}
			}
			return true
		}
		c.eventually("the alarms of those that go on", alarmed)
		c.eventually("another leader", func() bool { return c.leader() != "" })
		for i := range 400 { // so many checkpoints that none of then is kept
			c.must(alone(add("later", fmt.Sprint(i))))
		}
		time.Sleep(time.Minute)
		if !alarmed() {
			t.Error("the alarm was over with the node still a member")
		}
		for _, name := range []string{"n1", "n2"} {
			c.end(name, true)
			c.start(name)
		}
		c.eventually("the alarms of those that were started again", alarmed)
		c.eventually("another leader", func() bool { return c.leader() != "" })
		if _, err := c.node(c.leader()).RemoveMember(t.Context(), wrong.ServerID(), false); err != nil {
			t.Fatal(err)
		}
		c.eventually("the end of the alarm", func() bool {
			status, err := c.node("n1").Status()
			return err == nil && !status.Diverged && len(status.Alarms) == 0
		})
		kept := filepath.Join(c.dir, "n1", "differing.json")
		isGone := func() bool { _, err := os.Stat(kept); return errors.Is(err, fs.ErrNotExist) }
		if !isGone() {
			t.Error("what was kept for the alarm is still there")
		}
		c.end("n1", true)
		if err := os.WriteFile(kept, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		c.start("n1")
		c.eventually("what cannot be understood is gone", isGone)
	})
}

// One to one nobody knows who is right.
func TestWithoutAMajorityADifferenceIsAnAlarmOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, stops := diverge(t, []string{"n1", "n2"}, "n2")
		defer c.endAll()
		c.eventually("the alarm", func() bool {
			for _, name := range c.names {
				status, err := c.node(name).Status()
				if err != nil || !status.Diverged || !strings.Contains(strings.Join(status.Alarms, "\n"), "differ") {
					return false
				}
			}
			return true
		})
		time.Sleep(5 * time.Second)
		for _, name := range c.names {
			if code, err := stops.of(name); err != nil {
				t.Errorf("%s stopped with code %d: %v", name, code, err)
			}
		}
	})
}

// Where segments end is decided in apply, so that it must not follow a node's own
// configuration, which may change at a rolling restart.
func TestNodesWithAnotherSegmentSizeDecideTheSame(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newSimCluster(t)
		defer c.endAll()
		sizes := map[string]int64{}
		c.tune = func(name string, cfg *consensus.Config) {
			cfg.HashInterval, cfg.SegmentBytes = 10, max(sizes[name], 1<<10)
		}
		c.startAll()
		for i, name := range c.names {
			c.eventually("all are ready", c.allReady)
			c.end(name, i%2 == 0)
			sizes[name] = 8 << 10
			c.start(name)
			c.eventually("all are ready", c.allReady)
			for j := range 40 {
				c.must(alone(add("a", fmt.Sprint(i, " ", j))))
			}
		}
		c.eventually("all have told the same hash", func() bool {
			status, err := c.node("n1").Status()
			if err != nil || status.Diverged || len(status.Members) < 3 {
				return false
			}
			first := status.Members[0].Pulse.Checkpoint
			for _, m := range status.Members {
				if m.Pulse.Checkpoint != first || first.Index < 100 {
					return false
				}
			}
			return true
		})
	})
}

// newerRegisters know operation 17 since feature level 2.
type newerRegisters struct{ registers }

func (newerRegisters) Level(op uint32) uint32 {
	if op == 17 {
		return 2
	}
	return 1
}

// TestTheFeatureLevelRisesWhenEveryNodeIsUpgraded upgrades nodes one by one.
func TestTheFeatureLevelRisesWhenEveryNodeIsUpgraded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newSimCluster(t)
		defer c.endAll()
		levels := map[string]uint32{}
		c.tune = func(name string, cfg *consensus.Config) {
			mux, err := consensus.NewMux(newerRegisters{})
			if err != nil {
				t.Fatal(err)
			}
			cfg.Machines, cfg.FeatureLevel = mux, max(levels[name], 1)
		}
		c.startAll()
		newer := alone(register(17, "x")) // which fails, told to, once it is executed
		for _, name := range c.names {
			c.eventually("all are ready", c.allReady)
			c.end(name, false)
			levels[name] = 2
			if name == "n3" { // the last: while it is away the level stays
				c.eventually("a leader", func() bool { return c.leader() != "" })
				time.Sleep(10 * time.Second)
			}
			for _, node := range c.names {
				if n := c.node(node); n != nil && levels[node] == 2 { // whoever leads
					if _, err := submit(n, newer); err == nil || err.Code != event.CodeInvalid || !strings.Contains(err.Message, "feature level 2") {
						t.Errorf("newer command before the upgrade has ended: %v", err)
					}
				}
			}
			c.start(name)
		}
		c.eventually("the level is 2", func() bool {
			for _, name := range c.names {
				status, err := c.node(name).Status()
				if err != nil || status.FeatureLevel != 2 {
					return false
				}
			}
			return true
		})
		c.eventually("the newer command is executed", func() bool {
			name := c.leader()
			if name == "" {
				return false
			}
			_, err := submit(c.node(name), newer)
			return err != nil && err.Code == event.CodeExists
		})

		// An older binary does not start on this state, nor join with an empty disk.
		c.end("n3", false)
		levels["n3"] = 1
		if err := c.tryStart("n3"); !errors.Is(err, consensus.ErrUndecodable) || !strings.Contains(err.Error(), "feature level 2") {
			t.Errorf("the older binary started: %v", err)
		}
		dir := c.dir
		c.dir = simDir(t)
		for _, name := range []string{"n3", "n4"} {
			if code, err := c.startToFail(name); code != consensus.ExitUndecodable || !strings.Contains(err.Error(), "feature level 2") {
				t.Errorf("the older binary with the empty disk of %s stopped with code %d: %v", name, code, err)
			}
		}
		c.dir = dir
	})
}

// An entry of a newer level stops a core that does not know it.
func TestAnEntryOfANewerLevelStopsTheCore(t *testing.T) {
	t.Parallel()
	h := newHarness(t, registers{})
	entry := consensus.EncodeEntry(consensus.EntryHeader{Feature: consensus.FeatureLevel + 1, Epoch: epoch}, nil)
	if _, err := h.core.Apply(uint64(len(h.log))+1, 1, entry); !errors.Is(err, consensus.ErrUndecodable) {
		t.Errorf("got %v, want %v", err, consensus.ErrUndecodable)
	}
	h = newHarness(t, registers{})
	if _, err := h.try(consensus.FeatureCommit(consensus.FeatureLevel+1, 0)); !errors.Is(err, consensus.ErrUndecodable) {
		t.Errorf("raised beyond what it knows: %v, want %v", err, consensus.ErrUndecodable)
	}
}

// The chain differs as soon as anything was decided differently, and is the same
// after a restart.
func TestTheHashIsOfAllThatWasDecided(t *testing.T) {
	t.Parallel()
	run := func(reopen bool, commits ...*edriv1.Commit) uint64 {
		h := newHarness(t, registers{})
		for i, c := range commits {
			h.raw(h.seal(c))
			if reopen {
				h.reopen(i%2 == 0)
			}
		}
		return h.core.Meta().Hash
	}
	base := []*edriv1.Commit{alone(add("a", "1")), alone(register(16, "k")), alone(at(0, add("a", "2")))}
	want := run(false, base...)
	if got := run(true, base...); got != want {
		t.Errorf("after restarts %x, want %x", got, want)
	}
	for name, other := range map[string][]*edriv1.Commit{
		"another order":    {base[1], base[0], base[2]},
		"another id":       {alone(add("a", "3")), base[1], base[2]},
		"another register": {base[0], alone(register(16, "l")), base[2]},
		"another outcome":  {base[0], base[1], alone(at(1, add("a", "2")))},
		"one less":         base[:2],
	} {
		if run(false, other...) == want {
			t.Errorf("%s has the same hash", name)
		}
	}
}
