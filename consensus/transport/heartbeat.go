package transport

import (
	"sync"

	"github.com/hashicorp/raft"
)

// State is what a node currently is to Raft.
type State func() (state raft.RaftState, term uint64)

// heartbeats answers heartbeats in Raft's place.
//
// Raft's own fast path runs its whole AppendEntries handler on a transport
// goroutine, where a heartbeat of a newer term changes state and term under the
// main loop's feet (issue 695). A follower of the very term has nothing to
// change: it is answered here at once, so that a main loop that waits for its
// disk does not cost the leader its office, and a copy goes to the main loop to
// note the contact. Everything else goes to the main loop alone.
//
// The answer says no more than that this node's term was the request's at that
// moment, so it may count for a read round.
type heartbeats struct {
	state State
	queue chan<- raft.RPC // Raft's main loop

	mu      sync.Mutex
	copied  chan raft.RPCResponse // where the main loop answers the last copy
	waiting bool                  // it did not yet
}

func newHeartbeats(state State, queue chan<- raft.RPC) *heartbeats {
	return &heartbeats{state: state, queue: queue, copied: make(chan raft.RPCResponse, 1)}
}

// isHeartbeat tells heartbeats as raft's network transport does, of leaders that
// fill in RPCHeader.Addr as every raft since 1.4 does.
func isHeartbeat(rpc raft.RPC) bool {
	req, ok := rpc.Command.(*raft.AppendEntriesRequest)
	return ok && req.Term != 0 && len(req.Addr) > 0 &&
		req.PrevLogEntry == 0 && req.PrevLogTerm == 0 && len(req.Entries) == 0 && req.LeaderCommitIndex == 0
}

// handle answers a heartbeat, or passes it on. It never blocks.
func (h *heartbeats) handle(rpc raft.RPC) {
	req, ok := rpc.Command.(*raft.AppendEntriesRequest)
	state, term := h.state()
	if !ok || state != raft.Follower || req.Term != term || req.ProtocolVersion != raft.ProtocolVersionMax {
		h.pass(rpc)
		return
	}
	h.copyToMain(rpc)
	rpc.Respond(&raft.AppendEntriesResponse{
		RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax},
		Term:      term,
		Success:   true,
	}, nil)
}

// copyToMain lets the main loop note the contact. One copy at a time is enough for
// that, so that many heartbeats (each read round provokes some) do not keep it busy.
func (h *heartbeats) copyToMain(rpc raft.RPC) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiting {
		select {
		case <-h.copied:
			h.waiting = false
		default:
			return
		}
	}
	select {
	case h.queue <- raft.RPC{Command: rpc.Command, RespChan: h.copied}:
		h.waiting = true
	default: // the main loop has enough to do
	}
}

// pass hands a heartbeat to the main loop, or refuses it when the main loop has
// too much to do: the leader then sends the next.
func (h *heartbeats) pass(rpc raft.RPC) {
	select {
	case h.queue <- rpc:
	default:
		rpc.Respond(nil, errBusy)
	}
}
