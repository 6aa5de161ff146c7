package consensus_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
)

// A follower forwards commits to a leader that is lost before any other node has
// them. Whoever can send his again must not wait for what will never come.
func TestAForwardedCommitThatIsLostWithItsLeaderIsSaidToBeUnknownAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newSimCluster(t)
		defer c.endAll()
		c.startAll()
		c.eventually("a leader", func() bool { return c.leader() != "" })
		leader := c.leader()
		others := c.others(leader)
		follower := c.node(others[0])
		c.eventually("all are ready", func() bool { return follower.Ready() == nil && c.node(others[1]).Ready() == nil })
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
		type outcome struct {
			err  *event.Error
			took time.Duration
		}
		send := func(commit *edriv1.Commit) <-chan outcome {
			done := make(chan outcome, 1)
			go func() {
				began := time.Now()
				_, err := submit(follower, commit)
				done <- outcome{err, time.Since(began)}
			}()
			return done
		}
		commit := &edriv1.Commit{
			Session: opened.Results[0].GetSessionOpened().GetSession(), Sequence: 1,
			Ops: []*edriv1.Op{add("s", "1")},
		}
		repeatable := send(commit)
		other := send(&edriv1.Commit{Ops: []*edriv1.Op{add("s", "2")}})
		synctest.Wait() // both are at the leader
		<-proposed
		c.net.partition([]string{leader}, others)

		got := <-repeatable
		if got.err == nil || got.err.Code != event.CodeOutcomeUnknown || got.took > 2*time.Second {
			t.Errorf("with a session: %v after %v, want outcome_unknown within 2 s", got.err, got.took)
		}
		if got = <-other; got.err == nil || got.err.Code != event.CodeOutcomeUnknown {
			t.Errorf("without a session: %v, want outcome_unknown", got.err)
		}

		c.net.setDrop(nil)
		c.net.heal()
		c.eventually("the commit is executed", func() bool {
			_, err = submit(follower, commit)
			return err == nil
		})
		if history := c.history(others[0]); len(history) == 0 {
			t.Error("the event is not there")
		}
	})
}
