package consensus

import (
	"time"

	"github.com/edri-io/edri/event"
)

// How long an answer may take before the outcome is reported as unknown. It
// covers an election (about one second) and a snapshot's pause with room.
const answerPatience = 10 * time.Second

// Submit executes commits in their order. Each is the wire form of an
// edri.v1.Commit as it came from a client; it is checked here, sealed and handed
// to the leader, wherever that is.
//
// done is called exactly once for each commit, from any goroutine, possibly
// before Submit returns, and must not block: it may run on the goroutine that
// applies. The commits' bytes must not be changed until then.
//
// A commit that is refused here has not consumed its session's sequence.
func (n *Node) Submit(commits [][]byte, done Done) {
	sub := n.waiters.add(len(commits), time.Now().Add(answerPatience), done)
	if sub == nil {
		for i := range commits {
			done(i, nil, event.Errorf(event.CodeUnavailable, "the node is stopping"))
		}
		return
	}
	size := 0
	for _, c := range commits {
		size += len(c)
	}
	sealed := make([]byte, 0, size+len(commits)*sealRoom)
	items := make([]queued, 0, len(commits))
	for i, c := range commits {
		info, err := n.cfg.Machines.CheckCommit(c, n.cfg.Limits)
		if err != nil {
			sub.refused(i, asEventError(err))
			continue
		}
		start := len(sealed)
		sealed = SealCommit(sealed, c, info, sub.first+uint64(i))
		items = append(items, queued{commit: sealed[start:len(sealed):len(sealed)], from: sub, index: i, held: info.held, repeatable: info.Session != 0})
	}
	n.route(items)
}

// sealRoom is the usual growth of a commit by its seal: 24 bytes for one event,
// and the waiter.
const sealRoom = 48

// submitInternal executes one commit of the cluster's own, which no client may
// send.
func (n *Node) submitInternal(build func(waiter uint64) []byte, done func(result []byte, err *event.Error)) {
	sub := n.waiters.add(1, time.Now().Add(answerPatience), func(_ int, result []byte, err *event.Error) { done(result, err) })
	if sub == nil {
		done(nil, event.Errorf(event.CodeUnavailable, "the node is stopping"))
		return
	}
	n.route([]queued{{commit: build(sub.first), from: sub, own: true}})
}

// Applied returns a channel that is closed when this node has applied more. What
// View then shows includes it.
func (n *Node) Applied() <-chan struct{} { return n.progress.watch() }

// Now is the time of the cluster, by which timers are due, in nanoseconds since
// 1970. It may go back.
func (n *Node) Now() int64 { return n.clocks.now() }

// route hands sealed commits to the proposer, here or on the leader's node.
func (n *Node) route(items []queued) {
	if items = n.withinLevel(items); len(items) == 0 {
		return
	}
	err := n.admit()
	if err == nil {
		if n.leads() {
			items, err = n.enqueue(items)
		} else {
			err = n.forwarder.send(items)
		}
	}
	if err == nil {
		return
	}
	err = n.nameLeader(err)
	for _, q := range items {
		q.from.refused(q.index, err)
	}
}

// enqueue puts sealed commits into this node's proposer's queue, those of them that
// are not refused here. The node leads. With an error it returns those that it is for.
func (n *Node) enqueue(items []queued) ([]queued, *event.Error) {
	if items = n.withSpace(items); len(items) == 0 {
		return nil, nil
	}
	if items = n.withAdmission(items); len(items) == 0 {
		return nil, nil
	}
	return items, n.proposer.enqueue(items)
}

// maxUnflushedBytes is where a node whose disk does not follow stops to accept
// commits. It holds back at admission and never in apply.
const maxUnflushedBytes = 128 << 20

func (n *Node) admit() *event.Error {
	if dirty := n.core.Load().DirtyBytes(); dirty > maxUnflushedBytes {
		return event.Errorf(event.CodeOverloaded, "%d bytes wait to be written to the disk, at most %d may", dirty, maxUnflushedBytes)
	}
	return nil
}

// nameLeader adds the leader's URL to a not_leader error. A leader that has just
// been elected, or hands over, is the one to ask again soon: to call it not_leader
// and name itself would send callers away from it.
func (n *Node) nameLeader(err *event.Error) *event.Error {
	if err.Code != event.CodeNotLeader || err.Leader != "" {
		return err
	}
	id, url := n.Leader()
	if id == string(n.serverID) {
		return errNotReadyToLead()
	}
	named := *err
	named.Leader = url
	return &named
}

func errNotReadyToLead() *event.Error {
	return event.Errorf(event.CodeUnavailable, "the leader is not ready to propose; ask it again")
}
