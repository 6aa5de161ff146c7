package consensus

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/store"
)

// ErrDiverged says that this node's state is not that of a majority. Nothing that
// it holds may be served.
var ErrDiverged = errors.New("the state differs from that of a majority")

const agreementAlarm = "state hash"

// vote is who has which state at one checkpoint.
type vote struct {
	index   uint64
	members map[uint64][]raft.ServerID // in the configuration's order, by hash
	voters  map[uint64]int             // number of voters that told theirs, by hash
	all     int                        // number of voters
}

// judgeHashes compares the state's hashes. Where they differ a person must look.
// Where a majority of the voters agrees on another hash than this node's, this
// node stops: what a majority decided is the state. With no majority, as one to
// one, nobody can tell who is right, and nobody stops.
func (n *Node) judgeHashes(servers []raft.Server, reports map[raft.ServerID]report) {
	for _, own := range n.core.Load().Checkpoints() { // oldest first: the newest decides
		v := n.countVotes(own, servers, reports)
		if v.against(own.Hash) {
			n.stopDiverged(own, v, servers)
			return
		}
		n.disagreement.update(own, v)
	}
	latest := n.disagreement.latest(servers)
	if err := n.disagreement.save(n.cfg.Seam, n.cfg.Dir); err != nil {
		n.fail(err)
		return
	}
	n.diverged.Store(latest != nil)
	if latest == nil {
		n.alarms.clear(agreementAlarm)
		return
	}
	n.alarms.raise(agreementAlarm, latest.String())
}

// tellPatience is how long a node that is wrong waits for the others to have heard
// of it, before it stops.
const tellPatience = 500 * time.Millisecond

// stopDiverged stops this node, whose state a majority contradicts. The others are
// told first: each asks once a second only, so that this one could be gone before
// any of them knows that its state differs. Who hears nothing in time is told when
// this node is started again.
func (n *Node) stopDiverged(own Checkpoint, v vote, servers []raft.Server) {
	n.diverged.Store(true)
	n.alarms.raise(agreementAlarm, v.String())
	told := n.pulse()
	told.checkpoint = own
	payload := told.append(nil)
	heard := make(chan struct{}, len(servers))
	patience := time.NewTimer(tellPatience)
	defer patience.Stop()
	waits := 0
	for _, s := range servers {
		if s.ID != n.serverID {
			waits++
			n.peers.Go(s.ID, kindPulse, payload, func([]byte, error) { heard <- struct{}{} })
		}
	}
	for waits > 0 {
		select {
		case <-heard:
			waits--
		case <-patience.C:
			waits = 0
		case <-n.closing:
			waits = 0
		}
	}
	n.fail(fmt.Errorf("%w: %w: %s; this is %s", ErrDiverged, store.ErrCorrupt, v, n.serverID))
}

// countVotes collects the hashes at one checkpoint, as far as they are known.
func (n *Node) countVotes(own Checkpoint, servers []raft.Server, reports map[raft.ServerID]report) vote {
	v := vote{index: own.Index, members: map[uint64][]raft.ServerID{}, voters: map[uint64]int{}}
	for _, s := range servers {
		if s.Suffrage == raft.Voter {
			v.all++
		}
		known := []Checkpoint{own}
		if s.ID != n.serverID {
			known = reports[s.ID].checkpoints
		}
		for _, c := range known {
			if c.Index != own.Index {
				continue
			}
			v.members[c.Hash] = append(v.members[c.Hash], s.ID)
			if s.Suffrage == raft.Voter {
				v.voters[c.Hash]++
			}
			break
		}
	}
	return v
}

// against reports whether a majority of the voters has another hash.
func (v vote) against(own uint64) bool {
	for hash, count := range v.voters {
		if hash != own && count > v.all/2 {
			return true
		}
	}
	return false
}

// count is how many members told their hash.
func (v vote) count() int {
	count := 0
	for _, members := range v.members {
		count += len(members)
	}
	return count
}

// String tells who has which state.
func (v vote) String() string {
	var parts []string
	for hash, members := range v.members {
		has := "has"
		if len(members) > 1 {
			has = "have"
		}
		parts = append(parts, fmt.Sprintf("%s %s %016x", joinIDs(members), has, hash))
	}
	slices.Sort(parts)
	return fmt.Sprintf("the states differ at entry %d: %s", v.index, strings.Join(parts, ", "))
}

func joinIDs(ids []raft.ServerID) string {
	var names []string
	for _, id := range ids {
		names = append(names, string(id))
	}
	return strings.Join(names, " and ")
}
