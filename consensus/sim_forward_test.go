package consensus_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// A follower forwards commits to a leader that is lost before any other node has
// them. Whoever can send his again must not wait for what will never come.
func TestForwardedCommitsThatAreLostWithTheirLeaderAreSaidToBeUnknownSoon(t *testing.T) {
	t.Parallel()
	for name, stands := range map[string]bool{"its connections break": false, "it stands still": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { loseForwarded(t, stands) })
		})
	}
}

// forwarded is what came of a commit.
type forwarded struct {
	err  *event.Error
	took time.Duration
}

// loseForwarded cuts a leader off that has commits of a follower. Where it stands
// still it does not notice, and never answers.
func loseForwarded(t *testing.T, stands bool) {
	c := newSimCluster(t)
	defer c.endAll()
	c.tune = func(name string, cfg *consensus.Config) {
		if stands && name == "n3" {
			cfg.HeartbeatTimeout, cfg.ElectionTimeout, cfg.LeaseTimeout = time.Minute, time.Minute, time.Minute
		}
	}
	c.startAll()
	c.eventually("a leader", func() bool { return c.leader() != "" })
	if from := c.leader(); stands && from != "n3" {
		c.eventually("n3 is ready", func() bool { return c.node("n3").Ready() == nil })
		if err := c.node(from).TransferTo(c.node("n3")); err != nil {
			t.Fatalf("hand leadership to n3: %v", err)
		}
		c.eventually("n3 leads", func() bool { return c.leader() == "n3" })
	}
	leader := c.leader()
	others := c.others(leader)
	follower := c.node(others[0])
	c.eventually("the others are ready", func() bool { return follower.Ready() == nil && c.node(others[1]).Ready() == nil })
	opened, err := submit(follower, &edriv1.Commit{Ops: []*edriv1.Op{{Op: &edriv1.Op_OpenSession{OpenSession: &edriv1.OpenSession{}}}}})
	if err != nil {
		t.Fatalf("open a session: %v", err)
	}

	proposed := make(chan struct{}, 1)
	c.net.setDrop(func(from, _ string, req *raft.AppendEntriesRequest) bool {
		if from != leader || len(req.Entries) == 0 {
			return false
		}
		select {
		case proposed <- struct{}{}:
		default:
		}
		return true
	})
	send := func(commit *edriv1.Commit) <-chan forwarded {
		done := make(chan forwarded, 1)
		go func() {
			began := time.Now()
			_, err := submit(follower, commit)
			done <- forwarded{err, time.Since(began)}
		}()
		return done
	}
	commit := &edriv1.Commit{
		Session: opened.Results[0].GetSessionOpened().GetSession(), Sequence: 1,
		Ops: []*edriv1.Op{add("s", "1")},
	}
	repeatable, other := send(commit), send(&edriv1.Commit{Ops: []*edriv1.Op{add("s", "2")}})
	synctest.Wait()
	<-proposed
	c.net.partition([]string{leader}, others)

	const soon = 3 * time.Second // an election, and a second until the follower looks
	got := <-repeatable
	if got.err == nil || got.err.Code != event.CodeOutcomeUnknown || got.took > soon {
		t.Errorf("with a session: %v after %v, want outcome_unknown within %v", got.err, got.took, soon)
	}
	if got = <-other; got.err == nil || got.err.Code != event.CodeOutcomeUnknown {
		t.Errorf("without a session: %v, want outcome_unknown", got.err)
	}
	c.eventually("the commit is executed by the others", func() bool {
		_, err = submit(follower, commit)
		return err == nil
	})
}
