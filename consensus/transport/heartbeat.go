package transport

import (
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
type heartbeats struct {
	state State
	queue chan<- raft.RPC // Raft's main loop
}

// handle is the heartbeat handler that the inner transport is given.
func (h heartbeats) handle(rpc raft.RPC) {
	req, ok := rpc.Command.(*raft.AppendEntriesRequest)
	state, term := h.state()
	if !ok || state != raft.Follower || req.Term != term {
		h.pass(rpc)
		return
	}
	// The copy's answer goes nowhere. When the queue is full the main loop has
	// enough of them to note the contact by.
	select {
	case h.queue <- raft.RPC{Command: rpc.Command, Reader: rpc.Reader, RespChan: make(chan raft.RPCResponse, 1)}:
	default:
	}
	rpc.Respond(&raft.AppendEntriesResponse{
		RPCHeader: req.RPCHeader,
		Term:      term,
		Success:   true,
	}, nil)
}

// pass hands a heartbeat to the main loop, or refuses it when the main loop has
// too much to do: the leader then sends the next.
func (h heartbeats) pass(rpc raft.RPC) {
	select {
	case h.queue <- rpc:
	default:
		rpc.Respond(&raft.AppendEntriesResponse{}, errBusy)
	}
}
