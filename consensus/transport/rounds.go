package transport

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// Rounds tells which of the messages that Raft sends were sent after a certain
// moment and have been answered, and how far the logs of their receivers agree.
//
// Every AppendEntries, heartbeat or replication, takes the number of the current
// round before it is sent. When it is answered in the term that it was sent in,
// its receiver still held that term after the round began. A refusal because of
// a log mismatch counts: it too acknowledges the term.
//
// Once something was sent in a newer term, answers in older ones do not count:
// what a former leadership of this node still sends, to a follower that has not
// heard of the newer term, says nothing about the newer one. So a round must begin
// after this node has sent something in its term; a leader that has had a command
// of its own committed has.
type Rounds struct {
	mu      sync.Mutex
	current uint64
	term    uint64 // newest that something was sent in
	acks    map[raft.ServerID]ack
	changed chan struct{} // nil: nobody asked for it since it was closed
}

type ack struct {
	round uint64
	at    time.Time
	term  uint64
	match uint64 // in term: its log is the sender's up to this index
}

// NewRounds returns Rounds in which nothing was sent.
func NewRounds() *Rounds {
	return &Rounds{acks: map[raft.ServerID]ack{}}
}

// Begin starts a round: what is sent from now on belongs to it or a later one.
func (r *Rounds) Begin() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.current++
	return r.current
}

// Acked returns the newest round of which this server answered a message, 0 for
// none.
func (r *Rounds) Acked(id raft.ServerID) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.acks[id].round
}

// LastAck returns when this server last answered a message, zero for never.
func (r *Rounds) LastAck(id raft.ServerID) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.acks[id].at
}

// Match returns up to which index the log of this server is known to be this
// node's, in the newest term that this node has sent something in; 0 if nothing is.
func (r *Rounds) Match(id raft.ServerID) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a := r.acks[id]; a.term == r.term {
		return a.match
	}
	return 0
}

// Changed returns a channel that is closed at the next answer that belongs to a
// newer round than its sender's last. Take it before looking at Acked.
func (r *Rounds) Changed() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changed == nil {
		r.changed = make(chan struct{})
	}
	return r.changed
}

// sending returns the round that a message about to be sent belongs to.
func (r *Rounds) sending(req *raft.AppendEntriesRequest) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.term = max(r.term, req.Term)
	return r.current
}

// answered records an answer to a message of this round.
func (r *Rounds) answered(id raft.ServerID, round uint64, req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) {
	if resp.Term != req.Term {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if req.Term != r.term {
		return
	}
	last := r.acks[id]
	next := ack{round: max(round, last.round), at: time.Now(), term: req.Term}
	if last.term == req.Term {
		next.match = last.match
	}
	if resp.Success { // a heartbeat has neither, and says nothing of the log
		next.match = max(next.match, req.PrevLogEntry+uint64(len(req.Entries)))
	}
	r.acks[id] = next
	if round > last.round && r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
}
