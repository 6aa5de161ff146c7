package consensus_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/event"
)

// staleTail returns a cluster of which n3 is down, and holds entries that a leader
// before this one sent to it alone. They go beyond the snapshot that n2, which leads,
// has in place of what they conflict with; the log of n1 begins at 1.
func staleTail(t *testing.T, l *simLedger) *simCluster {
	c := newSimCluster(t)
	c.startAll()
	c.eventually("all are ready", c.allReady)
	c.lead("n1")
	session := c.openSession()
	time.Sleep(5 * time.Second) // the nodes commit their addresses
	index, term := c.node("n3").LastEntry()
	c.net.partition([]string{"n3"}, []string{"n1", "n2"})
	tail := &raft.AppendEntriesRequest{Term: term, PrevLogEntry: index, PrevLogTerm: term}
	tail.ProtocolVersion, tail.ID, tail.Addr = raft.ProtocolVersionMax, []byte(c.node("n1").ServerID()), []byte(c.node("n1").ServerID())
	for i := range uint64(60) {
		tail.Entries = append(tail.Entries, &raft.Log{Index: index + 1 + i, Term: term, Type: raft.LogNoop})
	}
	if got := c.tell("n3", tail).Response.(*raft.AppendEntriesResponse); !got.Success {
		t.Fatalf("n3 did not take the entries: %+v", got)
	}
	c.end("n3", true)
	c.lead("n2")
	for i := range uint64(30) {
		c.append(l, session, i+1)
	}
	time.Sleep(time.Second) // the nodes flush
	c.eventually("n2 truncates its log", func() bool { return c.node("n2").Compact() == nil })
	first, last := c.node("n2").LogRange()
	if first <= index+1 || last >= index+60 {
		t.Fatalf("the log of n2 is %d to %d, n3 differs from %d to %d: the stage does not show the trap", first, last, index+1, index+60)
	}
	c.net.heal()
	return c
}

// tell hands a message to a node as if another one had sent it.
func (c *simCluster) tell(name string, message any) raft.RPCResponse {
	c.Helper()
	c.net.mu.Lock()
	port := c.net.nodes[c.address(name)]
	c.net.mu.Unlock()
	answer := make(chan raft.RPCResponse, 1)
	port.calls <- raft.RPC{Command: message, RespChan: answer}
	return <-answer
}

// Raft goes on taking the end of such a tail for the last entry when the snapshot has
// replaced it, and refused all entries up to there. n2 needs n3 for a quorum.
func TestASnapshotEndsATailThatGoesBeyondIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &simLedger{acked: map[string]event.Position{}}
		c := staleTail(t, l)
		defer c.endAll()
		c.start("n3")
		c.eventually("n3 has caught up", func() bool { return c.caughtUp("n3", l) })
		c.end("n1", true)
		session := c.openSession()
		for i := range uint64(80) { // past the end of the tail
			c.append(l, session, i+1)
		}
		c.start("n1")
		c.verify(l)
		c.end("n3", true)
		c.start("n3")
		c.verify(l)
	})
}

// A crash may leave the snapshot in force beside the tail. The next leader, whose log
// begins at 1, sends entries and no snapshot.
func TestAnInstallOverAStaleTailSurvivesACrashAtEveryStep(t *testing.T) {
	t.Parallel()
	crashAtEveryStep(t, func(t *testing.T, n int) (reached bool) {
		l := &simLedger{acked: map[string]event.Position{}}
		c := staleTail(t, l)
		defer c.endAll()
		reached = c.crashDuringInstall(n)
		c.lead("n1")
		c.start("n3")
		c.verify(l)
		return reached
	})
}
