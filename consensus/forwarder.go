package consensus

import (
	"errors"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/consensus/transport"
	"github.com/edri-io/edri/event"
)

// forwarder sends commits to the leader on behalf of this node. The leader
// answers once each was handed to its Raft or refused; the outcomes themselves
// come from this node's own apply, so that they survive the leader's death.
//
// Where no answer comes, the commits may be in the log, or the leader was lost
// before they were. Who can repeat his own is told as soon as that is known, since
// the next leader may have none of them; for the others there is nothing to do
// but wait.
type forwarder struct {
	node *Node

	mu sync.Mutex
	// unanswered are the frames on their way, bounded by what the network takes.
	unanswered map[*forward]struct{}
}

// forward is a frame of commits that was sent to a leader.
type forward struct {
	leader raft.ServerID
	items  []queued
}

func newForwarder(n *Node) *forwarder {
	return &forwarder{node: n, unanswered: map[*forward]struct{}{}}
}

// send forwards the commits, in order with those sent before.
func (f *forwarder) send(items []queued) *event.Error {
	r := f.node.raft.Load()
	if r == nil {
		return event.Errorf(event.CodeUnavailable, "the node is starting")
	}
	_, leader := r.LeaderWithID()
	switch leader {
	case "":
		return event.Errorf(event.CodeUnavailable, "no leader is known")
	case f.node.serverID:
		return errNotReadyToLead()
	}
	sent := &forward{leader, items}
	f.mu.Lock()
	f.unanswered[sent] = struct{}{}
	f.mu.Unlock()
	f.node.peers.Go(leader, kindCommits, appendCommits(nil, items), func(reply []byte, err error) {
		f.mu.Lock()
		delete(f.unanswered, sent)
		f.mu.Unlock()
		f.settle(items, reply, err)
	})
	return nil
}

// settle passes on what the leader said.
func (f *forwarder) settle(items []queued, reply []byte, err error) {
	if errors.Is(err, transport.ErrNotSent) {
		refuseAll(items, event.Errorf(event.CodeUnavailable, "the leader cannot be reached: %v", err))
		return
	}
	if err != nil {
		giveUp(items)
		return
	}
	refusals, err := parseRefusals(reply, len(items))
	if err != nil {
		f.node.logger.Error("leader's answer to forwarded commits cannot be read", "error", err)
		return
	}
	for _, r := range refusals {
		items[r.index].from.refused(items[r.index].index, f.node.nameLeader(r.err))
	}
}

// leaderIs gives up what was sent to another leader and is not answered: it stands
// still or is cut off, and no connection breaks by that.
func (f *forwarder) leaderIs(leader raft.ServerID) {
	var left []*forward
	f.mu.Lock()
	for sent := range f.unanswered {
		if sent.leader != leader {
			left = append(left, sent)
		}
	}
	f.mu.Unlock()
	for _, sent := range left {
		giveUp(sent.items)
	}
}

// giveUp tells those who can repeat their commits that the outcome is not known.
// Who has an answer already gets no other.
func giveUp(items []queued) {
	for _, q := range items {
		if q.repeatable {
			q.from.refused(q.index, errOutcomeUnknown())
		}
	}
}
