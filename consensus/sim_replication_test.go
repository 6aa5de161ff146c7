package consensus_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/event"
)

// A commit reaches a follower's readers with the next message of the leader. With
// Raft's default of 50 to 100 ms between messages they would wait for that long.
func TestIdleFollowersLearnOfACommitAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newSimCluster(t)
		defer c.endAll()
		c.startAll()
		c.eventually("all are ready", c.allReady)
		for i := range 20 {
			time.Sleep(time.Second)
			r, err := submit(c.node(c.leader()), alone(add("idle", fmt.Sprint("event ", i))))
			if err != nil {
				t.Fatal(err)
			}
			at, committed := event.Position(r.Results[0].GetAppended().Position), time.Now()
			for _, name := range c.names {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				if err := c.node(name).Await(ctx, false, at); err != nil {
					t.Fatal(err)
				}
				cancel()
			}
			if took := time.Since(committed); took > 15*time.Millisecond {
				t.Errorf("event %d was seen everywhere %v after it was acknowledged", i, took)
			}
		}
	})
}

// Replication to one follower is stuck while its heartbeats go on: Raft says
// nothing of it, and the cluster goes on with the other follower alone.
func TestAFollowerThatOnlyAnswersHeartbeatsIsAnAlarm(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newSimCluster(t)
		defer c.endAll()
		c.startAll()
		c.eventually("all are ready", c.allReady)
		time.Sleep(5 * time.Second) // the nodes commit their addresses
		leader := c.leader()
		wedged := c.others(leader)[0]
		alarmed := func() bool {
			status, err := c.node(leader).Status()
			if err != nil {
				t.Fatal(err)
			}
			return len(status.Alarms) == 1 && strings.Contains(status.Alarms[0], c.node(wedged).ServerID()+" answers heartbeats")
		}
		c.net.setDrop(func(_, to string, req *raft.AppendEntriesRequest) bool { return to == wedged && !isHeartbeat(req) })
		time.Sleep(30 * time.Second)
		if alarmed() {
			t.Error("an alarm for a follower that has all there is")
		}
		c.expectAppend("one follower does not get this")
		time.Sleep(5 * time.Second)
		if alarmed() {
			t.Error("an alarm before the follower had its time")
		}
		c.eventually("the alarm", alarmed)
		if got := c.leader(); got != leader {
			t.Fatalf("%s leads, not %s: the stage does not show the trap any more", got, leader)
		}
		c.net.setDrop(nil)
		c.eventually("the end of the alarm", func() bool { return !alarmed() })
		c.eventually("all are ready", c.allReady)
	})
}
