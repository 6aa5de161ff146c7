package transport

import (
	"sort"

	"github.com/hashicorp/raft"
)

// Base returns the last entry of the state that this node got from another one, 0
// if it has none: the raft log need not hold it, nor what comes before.
type Base func() (index, term uint64)

// aboveBase moves an AppendEntries to what follows the base, of a leader that does
// not know how far this node has come:
//
//	leader sends    prev │ entries ────────────▶
//	                            base ▲
//	raft is given                    │ entries ▶
//
// A leader goes on where a follower was when it went away. If that has fetched its
// state since, its log is empty at the entry before; raft 1.7.3 refuses, the
// leader goes back by one entry for each call, through its whole log, and sends a
// snapshot in the end that nobody needs. What lies up to the base is committed, so
// that every leader whom Raft will listen to has the same there; where the call
// shows the base with another term, it is passed on as it is.
func (base Base) aboveBase(rpc raft.RPC) raft.RPC {
	req, ok := rpc.Command.(*raft.AppendEntriesRequest)
	if !ok || base == nil || isHeartbeat(rpc) {
		return rpc
	}
	index, term := base()
	if req.PrevLogEntry >= index || req.Term < term || len(req.Entries) == 0 {
		return rpc
	}
	above := sort.Search(len(req.Entries), func(i int) bool { return req.Entries[i].Index > index })
	if above == 0 {
		return rpc // a gap, which is for Raft to refuse
	}
	if last := req.Entries[above-1]; last.Index == index && last.Term != term {
		return rpc
	}
	moved := *req // the sender's copy stays as it is: in one process it is shared
	moved.PrevLogEntry, moved.PrevLogTerm, moved.Entries = index, term, req.Entries[above:]
	rpc.Command = &moved
	return rpc
}
