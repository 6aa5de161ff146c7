package consensus_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// A node that is silent for so long on its way in that its change was given up asks
// again when it is back, whether it went on running or not. It believes that it is a
// member: that it was taken out again nobody could tell it.
func TestNodeThatWasGivenUpAsksAgain(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, restart bool) {
		c := onlyFirst(t, "n1", "n2", "n3")
		defer c.endAll()
		c.join("n4")
		c.giveUp("n4", restart)
		c.eventually("n4 votes", func() bool { return c.suffrage("n4") == voter })
	})
}

// The same for the replacement of a wiped node, which was told of its peers only.
func TestReplacementThatWasGivenUpAsksAgain(t *testing.T) {
	t.Parallel()
	eachWay(t, func(t *testing.T, restart bool) {
		l := &simLedger{acked: map[string]event.Position{}}
		c := behind(t, l) // n3 is down
		defer c.endAll()
		if err := os.RemoveAll(filepath.Join(c.dir, "n3")); err != nil {
			t.Fatal(err)
		}
		if _, err := c.node(c.leader()).ExpectReplacement(t.Context(), "n3", ""); err != nil {
			t.Fatal(err)
		}
		c.start("n3")
		c.giveUp("n3", restart)
		c.eventually("n3 votes", func() bool { return c.suffrage("n3") == voter })
		c.eventuallyMembers("n1 n2 n3")
		c.verify(l)
	})
}

// A node that was on its way into another cluster has a history that is not this
// one's.
func TestNodeWithAnotherHistoryDoesNotJoin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		other := onlyFirst(t, "n1", "n2", "n3")
		other.join("n4")
		other.cutOffOnItsWayIn("n4")
		time.Sleep(time.Second) // it flushes what it has
		other.endAll()
		c := onlyFirst(t, "n1", "n2", "n3")
		defer c.endAll()
		if err := os.Rename(filepath.Join(other.dir, "n4"), filepath.Join(c.dir, "n4")); err != nil {
			t.Fatal(err)
		}
		c.first, c.names = slices.Clone(c.names), append(c.names, "n4")
		code, err := c.startToFail("n4")
		if code != consensus.ExitError || err == nil || !strings.Contains(err.Error(), "to join, empty its data directory") {
			t.Errorf("got exit code %d, %v", code, err)
		}
		c.names = c.others("n4")
	})
}

func eachWay(t *testing.T, test func(t *testing.T, restart bool)) {
	for _, restart := range []bool{false, true} {
		t.Run(map[bool]string{false: "running", true: "restarted"}[restart], func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, restart) })
		})
	}
}

const (
	voter    = "voter"
	nonVoter = "non-voter"
)

// suffrage is what the leader says of a node, by its id: empty if it is no member,
// or nobody leads.
func (c *simCluster) suffrage(name string) string {
	c.Helper()
	leader := c.leader()
	if leader == "" || c.node(name) == nil {
		return ""
	}
	status, err := c.node(leader).Status()
	if err != nil {
		c.Fatalf("status of %s: %v", leader, err)
	}
	for _, m := range status.Members {
		if m.ServerID == c.node(name).ServerID() {
			return map[bool]string{true: voter, false: nonVoter}[m.Voter]
		}
	}
	return ""
}

// giveUp cuts a node off while it is on its way in, until the others have given it
// up, and lets it back.
func (c *simCluster) giveUp(name string, restart bool) {
	c.Helper()
	c.cutOffOnItsWayIn(name)
	for deadline := time.Now().Add(5 * time.Minute); c.leader() == "" || c.suffrage(name) == nonVoter || strings.Contains(c.members(), "changing"); time.Sleep(time.Second) {
		if time.Now().After(deadline) {
			c.Fatalf("%s is not given up: %s", name, c.members())
		}
	}
	if got := c.suffrage(name); got != "" {
		c.Fatalf("%s was not given up, but is a %s", name, got)
	}
	if restart {
		c.end(name, true)
	}
	c.net.heal()
	if restart {
		c.start(name)
	}
}

func (c *simCluster) cutOffOnItsWayIn(name string) {
	c.Helper()
	c.eventually(name+" is on its way in, and knows it", func() bool {
		status, err := c.node(name).Status()
		return err == nil && c.suffrage(name) == nonVoter && slices.ContainsFunc(status.Members, func(m consensus.MemberStatus) bool {
			return m.ServerID == c.node(name).ServerID()
		})
	})
	c.net.partition([]string{name}, c.others(name))
	c.openSession() // so that it lacks something, and is not promoted
}
