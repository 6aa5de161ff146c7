package consensus_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// pausedLeader stages what a pause of the leader's process does to reads. The
// answers to heartbeats that the leader sent before the pause are still on their
// way when it wakes up, while the others have elected another leader that has
// acknowledged an event. The read begins before those answers arrive.
//
// It returns whether the read succeeded, and whether it was stale.
func pausedLeader(t *testing.T, read func(context.Context, *consensus.Node) error) (succeeded, stale bool) {
	c := newSimCluster(t)
	defer c.endAll()
	c.tune = func(name string, cfg *consensus.Config) {
		if name == "n3" { // its clock stands still
			cfg.HeartbeatTimeout, cfg.ElectionTimeout, cfg.LeaseTimeout = time.Minute, time.Minute, time.Minute
		}
	}
	c.startAll()
	c.eventually("a leader", func() bool { return c.leader() != "" })
	n3 := c.node("n3")
	if from := c.leader(); from != "n3" {
		c.eventually("n3 is ready", func() bool { return n3.Ready() == nil })
		if err := c.node(from).TransferTo(n3); err != nil {
			t.Fatalf("hand leadership to n3: %v", err)
		}
	}
	c.eventually("n3 leads", func() bool { return c.leader() == "n3" })

	arrive, sent := make(chan struct{}), make(chan struct{}, 16)
	c.net.mu.Lock()
	c.net.hold = func(from, _ string, req *raft.AppendEntriesRequest) {
		if from == "n3" && isHeartbeat(req) {
			sent <- struct{}{}
			<-arrive
		}
	}
	c.net.mu.Unlock()
	go func() { _ = n3.VerifyLeaderRead(t.Context()) }() // sends heartbeats
	<-sent
	<-sent
	c.net.partition([]string{"n3"}, []string{"n1", "n2"})
	others := func() *consensus.Node {
		for _, name := range []string{"n1", "n2"} {
			if c.node(name).IsLeader() {
				return c.node(name)
			}
		}
		return nil
	}
	c.eventually("another leader", func() bool { return others() != nil })
	r, err := submit(others(), &edriv1.Commit{Ops: []*edriv1.Op{add("s", "acknowledged")}})
	if err != nil {
		t.Fatalf("append on the new leader: %v", err)
	}

	done := make(chan error, 1)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	go func() { done <- read(ctx, n3) }()
	time.Sleep(100 * time.Millisecond) // the read has begun and waits for answers
	close(arrive)
	failed := <-done
	v := n3.View()
	defer v.Close()
	return failed == nil, failed == nil && v.Mark.Last < event.Position(r.Position)
}

// The control: raft.VerifyLeader alone takes the old answers for its own.
func TestVerifyLeaderAloneReadsStale(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, stale := pausedLeader(t, func(ctx context.Context, n *consensus.Node) error { return n.VerifyLeaderRead(ctx) })
		if !stale {
			t.Error("a read by VerifyLeader alone was not stale: the stage does not show the trap any more")
		}
	})
}

func TestReadRoundsCountOnlyAnswersToWhatWasSentInThem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		succeeded, _ := pausedLeader(t, func(ctx context.Context, n *consensus.Node) error { return n.Await(ctx, true, 0) })
		if succeeded {
			t.Error("a deposed leader answered a linearizable read")
		}
	})
}

// freshLeader stages what a new leader does not know yet: the old one has
// committed and acknowledged an event and died before it told anybody, and what
// the new one proposes is not acknowledged yet. Heartbeats pass.
func freshLeader(t *testing.T, read func(context.Context, *consensus.Node) error) (succeeded, stale bool) {
	c := newSimCluster(t)
	defer c.endAll()
	c.startAll()
	c.eventually("all are ready", func() bool {
		for _, name := range c.names {
			if c.node(name).Ready() != nil {
				return false
			}
		}
		return true
	})
	old := c.leader()
	status, err := c.node(old).Status()
	if err != nil {
		t.Fatal(err)
	}
	c.net.mu.Lock()
	c.net.drop = func(from, _ string, req *raft.AppendEntriesRequest) bool {
		if from != old || isHeartbeat(req) {
			return false
		}
		// The others learn of no commit beyond this one.
		req.LeaderCommitIndex = min(req.LeaderCommitIndex, status.CommitIndex)
		return len(req.Entries) == 0
	}
	c.net.mu.Unlock()
	r, failed := submit(c.node(old), &edriv1.Commit{Ops: []*edriv1.Op{add("s", "acknowledged")}})
	if failed != nil {
		t.Fatalf("append: %v", failed)
	}
	release := make(chan struct{})
	c.net.mu.Lock()
	c.net.hold = func(from, _ string, req *raft.AppendEntriesRequest) {
		if from != old && !isHeartbeat(req) {
			<-release
		}
	}
	c.net.mu.Unlock()
	c.end(old, true)
	var fresh *consensus.Node
	c.eventually("another leader", func() bool {
		for _, name := range c.others(old) {
			if state, _ := c.node(name).RaftState(); state == raft.Leader {
				fresh = c.node(name)
			}
		}
		return fresh != nil
	})
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err = read(ctx, fresh)
	v := fresh.View()
	last := v.Mark.Last
	v.Close()
	close(release)
	return err == nil, err == nil && last < event.Position(r.Position)
}

// The control: the commit index of a fresh leader may be behind.
func TestVerifyLeaderAloneReadsStaleOnAFreshLeader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, stale := freshLeader(t, func(ctx context.Context, n *consensus.Node) error { return n.VerifyLeaderRead(ctx) })
		if !stale {
			t.Error("a read by VerifyLeader alone was not stale: the stage does not show the trap any more")
		}
	})
}

func TestFreshLeaderAnswersReadsOnlyAfterACommandOfItsTerm(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		succeeded, _ := freshLeader(t, func(ctx context.Context, n *consensus.Node) error { return n.Await(ctx, true, 0) })
		if succeeded {
			t.Error("a leader that has applied nothing of its term answered a linearizable read")
		}
	})
}

// A leader that cannot propose yet says so, and does not send its callers away
// by naming itself: whether they are its own or another node's.
func TestALeaderThatIsNotReadyNamesNobody(t *testing.T) {
	t.Parallel()
	refused := func(t *testing.T, node *consensus.Node) {
		t.Helper()
		_, own := submit(node, &edriv1.Commit{Ops: []*edriv1.Op{add("s", "own")}})
		forwarded, err := node.ForwardedRefusals(consensus.LeadCommit("n9", event.Epoch{}, 7))
		if err != nil || len(forwarded) != 1 {
			t.Fatalf("forwarded: %d refusals, %v", len(forwarded), err)
		}
		for _, e := range []*event.Error{own, forwarded[0]} {
			if e == nil || e.Code != event.CodeUnavailable || e.Leader != "" {
				t.Errorf("got %+v, want unavailable", e)
			}
		}
	}
	synctest.Test(t, func(t *testing.T) {
		_, _ = freshLeader(t, func(_ context.Context, n *consensus.Node) error {
			refused(t, n) // it has applied nothing of its term
			return nil
		})
	})
	synctest.Test(t, func(t *testing.T) {
		c := newSimCluster(t)
		defer c.endAll()
		c.startAll()
		c.eventually("a leader", func() bool { return c.leader() != "" })
		leader := c.node(c.leader())
		c.eventually("the leader proposes", func() bool {
			_, err := submit(leader, &edriv1.Commit{Ops: []*edriv1.Op{add("s", "1")}})
			return err == nil
		})
		leader.CloseProposer() // it has applied its command, and is not open yet
		refused(t, leader)
	})
}
