package consensus

import (
	"errors"
	"fmt"
	"slices"
	"strings"

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
	members map[uint64][]string // server ids, in the configuration's order, by hash
	voters  map[uint64]int      // number of voters, by hash
}

// judgeHashes compares the state's hashes. Where they differ a person must look.
// Where a majority of the voters agrees on another hash than this node's, this
// node stops: what a majority decided is the state. With no majority, as one to
// one, nobody can tell who is right, and nobody stops.
func (n *Node) judgeHashes(servers []raft.Server, reports map[raft.ServerID]report) {
	var differs *vote
	voters := 0
	for _, s := range servers {
		if s.Suffrage == raft.Voter {
			voters++
		}
	}
	for _, own := range slices.Backward(n.core.Load().Checkpoints()) {
		v := n.countVotes(own, servers, reports)
		if len(v.members) < 2 {
			continue
		}
		differs = &v
		for hash, count := range v.voters {
			if hash != own.Hash && count > voters/2 {
				n.diverged.Store(true)
				n.alarms.raise(agreementAlarm, v.String())
				n.fail(fmt.Errorf("%w: %w: %s; this is %s", ErrDiverged, store.ErrCorrupt, v, n.serverID))
				return
			}
		}
	}
	n.diverged.Store(differs != nil)
	if differs == nil {
		n.alarms.clear(agreementAlarm)
		return
	}
	n.alarms.raise(agreementAlarm, differs.String())
}

// countVotes collects the hashes at one checkpoint, as far as they are known.
func (n *Node) countVotes(own Checkpoint, servers []raft.Server, reports map[raft.ServerID]report) vote {
	v := vote{index: own.Index, members: map[uint64][]string{}, voters: map[uint64]int{}}
	for _, s := range servers {
		known := []Checkpoint{own}
		if s.ID != n.serverID {
			known = reports[s.ID].checkpoints
		}
		for _, c := range known {
			if c.Index != own.Index {
				continue
			}
			v.members[c.Hash] = append(v.members[c.Hash], string(s.ID))
			if s.Suffrage == raft.Voter {
				v.voters[c.Hash]++
			}
			break
		}
	}
	return v
}

// String tells who has which state.
func (v vote) String() string {
	var parts []string
	for hash, members := range v.members {
		parts = append(parts, fmt.Sprintf("%s has %016x", strings.Join(members, " and "), hash))
	}
	slices.Sort(parts)
	return fmt.Sprintf("the states differ at entry %d: %s", v.index, strings.Join(parts, ", "))
}
