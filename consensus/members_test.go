package consensus_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// onlyFirst makes a cluster of these nodes.
func onlyFirst(t *testing.T, names ...string) *simCluster {
	c := newSimCluster(t)
	c.names, c.first = names, slices.Clone(names)
	c.startAll()
	c.eventually("all are ready", c.allReady)
	return c
}

// join starts a node that is not of the first set.
func (c *simCluster) join(name string) {
	c.Helper()
	if c.first == nil {
		c.first = slices.Clone(c.names)
	}
	c.names = append(c.names, name)
	c.start(name)
}

// members returns "n1 n2 (n3)", with non-voters in brackets, as the leader knows.
func (c *simCluster) members() string {
	leader := c.leader()
	if leader == "" {
		return "no leader"
	}
	status, err := c.node(leader).Status()
	if err != nil {
		c.Fatalf("status of %s: %v", leader, err)
	}
	var list []string
	for _, m := range status.Members {
		name := m.ServerID[:strings.LastIndexByte(m.ServerID, '.')]
		if !m.Voter {
			name = "(" + name + ")"
		}
		list = append(list, name)
	}
	slices.Sort(list)
	if status.Change != nil {
		list = append(list, "changing")
	}
	return strings.Join(list, " ")
}

func (c *simCluster) eventuallyMembers(want string) {
	c.Helper()
	for deadline := time.Now().Add(2 * time.Minute); c.members() != want; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.Fatalf("members are %q, not %q", c.members(), want)
		}
	}
}

// letLeave says that nodes may find that they were removed.
func (c *simCluster) letLeave() { c.leaving.Store(true) }

// remove asks any node until the removal is done.
func (c *simCluster) remove(name string) {
	c.Helper()
	c.eventually("removal of "+name, func() bool {
		leader := c.leader()
		if leader == "" {
			return false
		}
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		_, err := c.node(leader).RemoveMember(ctx, name, false)
		return err == nil
	})
}

// drop forgets a node that has left.
func (c *simCluster) drop(name string) {
	c.end(name, true)
	c.names = c.others(name)
}

func TestNodesJoinOneAfterTheOtherAndLeave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := onlyFirst(t, "n1")
		defer c.endAll()
		c.letLeave()
		l := &simLedger{acked: map[string]event.Position{}}
		session := c.openSession()
		sequence := uint64(0)
		more := func() {
			for range 30 {
				sequence++
				c.append(l, session, sequence)
			}
		}
		more()
		c.join("n2")
		c.join("n3") // waits its turn
		more()
		c.eventuallyMembers("n1 n2 n3")
		c.join("n4")
		c.join("n5")
		c.eventuallyMembers("n1 n2 n3 n4 n5")
		more()
		c.verify(l)
		leader := c.leader()
		for _, name := range []string{leader, c.others(leader)[0]} {
			c.remove(name)
			c.drop(name)
			more()
		}
		c.verify(l)
		if got := strings.Count(c.members(), "n"); got != 3 {
			t.Errorf("members are %q, want three", c.members())
		}
	})
}

func TestRemovedNodeStopsByItself(t *testing.T) {
	t.Parallel()
	for _, again := range []bool{false, true} {
		t.Run(fmt.Sprintf("restarted %v", again), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newSimCluster(t)
				defer c.endAll()
				stopped := make(chan int, 1)
				c.tune = func(name string, cfg *consensus.Config) {
					if name == "n3" {
						cfg.Fatal = func(code int, err error) {
							if !errors.Is(err, consensus.ErrRemoved) {
								t.Errorf("n3 stops for another reason: %v", err)
							}
							stopped <- code
						}
					}
				}
				c.startAll()
				c.eventually("all are ready", c.allReady)
				if again {
					c.end("n3", true)
				}
				term := c.node("n1").Term()
				c.remove("n3")
				if again {
					c.start("n3")
				}
				select {
				case code := <-stopped:
					if code != consensus.ExitRemoved {
						t.Errorf("exit code %d, want %d", code, consensus.ExitRemoved)
					}
				case <-time.After(10 * time.Second):
					t.Fatal("n3 does not stop")
				}
				if got := c.node("n1").Term(); got > term+1 { // removing the leader costs one
					t.Errorf("the removed node disturbs: term %d after %d", got, term)
				}
				c.drop("n3")
			})
		})
	}
}

func TestRemovalThatLosesTheQuorumIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newSimCluster(t)
		defer c.endAll()
		c.startAll()
		c.eventually("all are ready", c.allReady)
		leader := c.leader()
		away, other := c.others(leader)[0], c.others(leader)[1]
		c.end(away, true)
		time.Sleep(5 * time.Second)
		_, err := c.node(leader).RemoveMember(t.Context(), other, false)
		if event.CodeOf(err) != event.CodeCheckFailed || !strings.Contains(err.Error(), away) {
			t.Errorf("removal of %s without %s: got %v", other, away, err)
		}
		if _, err := c.node(other).RemoveMember(t.Context(), "n9", false); event.CodeOf(err) != event.CodeNotFound {
			t.Errorf("removal of a node that is not there: got %v", err)
		}
		c.remove(away) // and that of the dead one is not
		for range 2 {  // the second finds it done
			if _, err := c.node(leader).RemoveMember(t.Context(), away, false); err != nil {
				t.Errorf("removal of %s once more: %v", away, err)
			}
		}
		c.drop(away)
	})
}

func TestLastVoterIsNotRemoved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := onlyFirst(t, "n1")
		defer c.endAll()
		for _, force := range []bool{false, true} {
			if _, err := c.node("n1").RemoveMember(t.Context(), "n1", force); event.CodeOf(err) != event.CodeCheckFailed {
				t.Errorf("forced %v: got %v", force, err)
			}
		}
	})
}

// The place of a node whose disk is gone: one command, then it is started as ever.
func TestEmptiedDiskTakesItsOldPlaceAfterReplace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &simLedger{acked: map[string]event.Position{}}
		c := behind(t, l) // n3 is down
		defer c.endAll()
		if err := os.RemoveAll(filepath.Join(c.dir, "n3")); err != nil {
			t.Fatal(err)
		}
		code, err := c.startToFail("n3")
		if code != consensus.ExitError || !strings.Contains(fmt.Sprint(err), "edri cluster replace n3") {
			t.Fatalf("got exit code %d, error %v; want a refusal that names the command", code, err)
		}
		if _, err := c.node(c.leader()).ExpectReplacement(t.Context(), "n3", ""); err != nil {
			t.Fatal(err)
		}
		c.start("n3")
		c.eventuallyMembers("n1 n2 n3")
		c.verify(l)
	})
}

func TestReplacementThatIsTakenBackIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newSimCluster(t)
		defer c.endAll()
		c.startAll()
		c.eventually("all are ready", c.allReady)
		c.end("n3", true)
		if err := os.RemoveAll(filepath.Join(c.dir, "n3")); err != nil {
			t.Fatal(err)
		}
		c.eventually("a leader", func() bool { return c.leader() != "" })
		for _, f := range []func(context.Context, string, string) (string, error){
			c.node(c.leader()).ExpectReplacement, c.node(c.leader()).ForgetReplacement,
		} {
			if _, err := f(t.Context(), "n3", ""); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := c.startToFail("n3"); !errors.Is(err, consensus.ErrForeignDisk) {
			t.Errorf("got %v", err)
		}
	})
}

func TestReplaceFlagTakesThePlaceOfANodeThatAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newSimCluster(t)
		defer c.endAll()
		c.tune = func(name string, cfg *consensus.Config) {
			switch name {
			case "n1":
				cfg.Fatal = func(code int, err error) {
					if code != consensus.ExitRemoved {
						t.Errorf("n1 stops with %d: %v", code, err)
					}
				}
			case "n4":
				cfg.Replace = "n1"
			}
		}
		c.startAll()
		c.eventually("all are ready", c.allReady)
		c.join("n4")
		c.eventuallyMembers("n2 n3 n4")
		c.drop("n1")
	})
}

func TestNameThatIsTakenIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newSimCluster(t)
		defer c.endAll()
		c.startAll()
		c.eventually("all are ready", c.allReady)
		c.names = append(c.names, "other")
		c.tune = func(name string, cfg *consensus.Config) { cfg.Name = "n2" }
		if _, err := c.startToFail("other"); !errors.Is(err, consensus.ErrForeignDisk) || !strings.Contains(err.Error(), "edri cluster replace n2") {
			t.Errorf("got %v", err)
		}
		c.tune = nil
		c.names = c.others("other")
	})
}

// The first node of a cluster of one cannot know that others have joined since.
func TestEmptiedFirstNodeDoesNotGoOnAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := onlyFirst(t, "n1")
		defer c.endAll()
		c.join("n2")
		c.join("n3")
		c.eventuallyMembers("n1 n2 n3")
		time.Sleep(3 * time.Second) // the addresses are committed
		c.end("n1", true)
		if err := os.RemoveAll(filepath.Join(c.dir, "n1")); err != nil {
			t.Fatal(err)
		}
		c.tune = func(name string, cfg *consensus.Config) { cfg.Seeds = nil }
		if _, err := c.startToFail("n1"); !errors.Is(err, consensus.ErrForeignDisk) {
			t.Errorf("got %v", err)
		}
		c.names = c.others("n1")
	})
}

// Addresses are not ids: all of them change at once, and two are exchanged.
func TestAllAddressesChangeAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := onlyFirst(t, "n1", "n2", "n3")
		defer c.endAll()
		l := &simLedger{acked: map[string]event.Position{}}
		c.join("n4")
		c.eventuallyMembers("n1 n2 n3 n4")
		session := c.openSession()
		for i := range uint64(20) {
			c.append(l, session, i+1)
		}
		for _, name := range c.names {
			c.end(name, true)
		}
		c.move("n1", "n2")
		c.move("n2", "n1")
		c.move("n3", "elsewhere")
		c.move("n4", "far away")
		c.startAll()
		c.verify(l)
		c.eventually("the new addresses are known", func() bool {
			for _, name := range c.names {
				status, err := c.node(name).Status()
				if err != nil {
					t.Fatal(err)
				}
				for _, m := range status.Members {
					if member := m.ServerID[:2]; m.RaftAddress != c.address(member) {
						return false
					}
				}
			}
			return true
		})
	})
}

// One node moves; the others were told nothing, and neither was it.
func TestOneNodeMovesWithOldPeers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newSimCluster(t)
		defer c.endAll()
		c.startAll()
		c.eventually("all are ready", c.allReady)
		for i, name := range []string{"n2", "n3", "n1"} {
			c.end(name, true)
			c.move(name, fmt.Sprintf("place %d", i))
			c.tune = func(_ string, cfg *consensus.Config) {
				for i := range cfg.Peers {
					cfg.Peers[i].Address = cfg.Peers[i].Name
				}
			}
			c.start(name)
			c.eventually("all are ready", c.allReady)
			time.Sleep(3 * time.Second) // the new address is committed, and written
		}
	})
}

// TestMembershipSimulation lets nodes join, leave and be replaced while leaders
// and others are killed, under load, and holds the histories to what was
// acknowledged.
func TestMembershipSimulation(t *testing.T) {
	seeds := max(*simSeeds/4, 1)
	if testing.Short() {
		seeds = 5
	}
	slots := make(chan struct{}, 4)
	for i := range seeds {
		seed := *simFirst + uint64(i)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			slots <- struct{}{}
			defer func() { <-slots }()
			synctest.Test(t, func(t *testing.T) { simulateMembership(t, seed) })
		})
	}
}

func simulateMembership(t *testing.T, seed uint64) {
	c := onlyFirst(t, "n1")
	defer c.endAll()
	c.letLeave()
	rng := rand.New(rand.NewPCG(seed, 7))
	l := &simLedger{acked: map[string]event.Position{}}
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for i := range 2 {
		s := &simClient{cluster: c, ledger: l, name: fmt.Sprintf("c%d", i), rng: rand.New(rand.NewPCG(seed, uint64(i+1))), fixed: []string{"n1", "n2", "n3", "n4", "n5"}}
		clients.Go(func() { s.run(stop) })
	}
	// killed ends a node somewhere within the change that is under way.
	killed := func() {
		time.Sleep(time.Duration(rng.IntN(1500)) * time.Millisecond)
		victim := c.names[rng.IntN(len(c.names))]
		if leader := c.leader(); leader != "" && rng.IntN(2) == 0 {
			victim = leader
		}
		c.end(victim, true)
		if rng.IntN(2) == 0 {
			if node := c.node(c.names[0]); node != nil {
				_ = node.Compact() // a joiner then needs a snapshot
			}
		}
		time.Sleep(time.Duration(rng.IntN(1500)) * time.Millisecond)
		c.startAll()
	}
	c.join("n2")
	c.join("n3")
	killed()
	c.eventuallyMembers("n1 n2 n3")
	c.join("n4")
	killed()
	c.eventuallyMembers("n1 n2 n3 n4")
	gone := []string{"n1", "n2", "n3"}[rng.IntN(3)]
	removal := make(chan struct{})
	go func() {
		defer close(removal)
		c.remove(gone)
	}()
	killed()
	<-removal
	c.drop(gone)
	for !t.Failed() && strings.Contains(c.members(), "changing") {
		time.Sleep(10 * time.Millisecond)
	}
	// The disk of another is lost.
	lost := c.names[rng.IntN(len(c.names))]
	c.end(lost, true)
	if err := os.RemoveAll(filepath.Join(c.dir, lost)); err != nil {
		t.Fatal(err)
	}
	c.eventually("replacement is announced", func() bool {
		leader := c.leader()
		if leader == "" {
			return false
		}
		_, err := c.node(leader).ExpectReplacement(context.Background(), lost, "")
		return err == nil
	})
	c.start(lost)
	killed()
	want := slices.Clone(c.names)
	slices.Sort(want)
	c.eventuallyMembers(strings.Join(want, " "))
	time.Sleep(time.Second)
	close(stop)
	clients.Wait()
	if t.Failed() {
		return
	}
	c.verify(l)
	if len(l.acked) == 0 {
		t.Error("nothing was acknowledged")
	}
}
