package consensus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/event"
)

// Abandon ends a node as a crash of its process would: leadership is not handed
// over, and what was not flushed stays so.
func (n *Node) Abandon() error {
	var err error
	n.closed.Do(func() {
		n.halt()
		err = n.release()
	})
	return err
}

// VerifyLeaderRead is a read that trusts raft.VerifyLeader alone, for the control
// that shows that the checker catches it.
func (n *Node) VerifyLeaderRead(ctx context.Context) error {
	r := n.raft.Load()
	index := r.CommitIndex()
	if err := r.VerifyLeader().Error(); err != nil {
		return err
	}
	return n.progress.wait(ctx, index)
}

// IsLeader reports whether a node leads and may propose.
func (n *Node) IsLeader() bool { return n.leads() }

// Compact takes a snapshot and truncates the raft log to a few entries.
func (n *Node) Compact() error {
	r := n.raft.Load()
	if r == nil {
		return errNotStarted
	}
	reload := r.ReloadableConfig()
	reload.TrailingLogs = 16
	if err := r.ReloadConfig(reload); err != nil {
		return err
	}
	return r.Snapshot().Error()
}

var errNotStarted = errors.New("raft does not run")

// CloseProposer puts a leader back to where it is between the application of its
// own command and the moment from which it proposes for others.
func (n *Node) CloseProposer() { n.proposer.setOpen(false) }

// ForwardedRefusals asks the node as another one that forwards commits to it, and
// returns what it refused.
func (n *Node) ForwardedRefusals(commits ...[]byte) ([]*event.Error, error) {
	var payload []byte
	for _, c := range commits {
		payload = AppendCommit(payload, c)
	}
	replies := make(chan []byte, 1)
	n.Serve(kindCommits, payload, func(b []byte) { replies <- b })
	refusals, err := parseRefusals(<-replies, len(commits))
	var errs []*event.Error
	for _, r := range refusals {
		errs = append(errs, r.err)
	}
	return errs, err
}

// TransferTo hands leadership to a node.
func (n *Node) TransferTo(peer *Node) error {
	return n.raft.Load().LeadershipTransferToServer(peer.serverID, raft.ServerAddress(peer.serverID)).Error()
}

// LogRange returns the first and the last index of the raft log.
func (n *Node) LogRange() (first, last uint64) {
	first, _ = n.log.FirstIndex()
	last, _ = n.log.LastIndex()
	return first, last
}

// LastEntry returns index and term of the last entry in the raft log.
func (n *Node) LastEntry() (index, term uint64) {
	var last raft.Log
	if _, index = n.LogRange(); index > 0 && n.log.GetLog(index, &last) != nil {
		return index, 0
	}
	return index, last.Term
}

// Explain tells how Raft stands on this node and what its log holds, for a test that
// waited in vain.
func (n *Node) Explain() string {
	first, last := n.LogRange()
	text := fmt.Sprintf("log %d to %d, base %+v, export %v, held %v", first, last, n.entries.base.Load(), n.exporting.Load(), n.logHeld())
	if r := n.raft.Load(); r != nil {
		stats := r.Stats()
		for _, key := range slices.Sorted(maps.Keys(stats)) {
			text += fmt.Sprintf(", %s %s", key, stats[key])
		}
	}
	return text
}

// ScrubNow reads everything once.
func (n *Node) ScrubNow() error { return n.scrubRound(n.lifetime) }

// Term is Raft's current term.
func (n *Node) Term() uint64 { return n.raft.Load().CurrentTerm() }
