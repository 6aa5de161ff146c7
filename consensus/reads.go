package consensus

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/event"
)

// errLeadershipChanged: answers of a round count only for the term it began in.
var errLeadershipChanged = errors.New("leadership changed during the read round")

// A round that is not answered is provoked again after this time: its
// heartbeats may have been lost with a connection.
const provokeAgain = 100 * time.Millisecond

// leadership is what a read round needs to know of Raft.
type leadership interface {
	State() raft.RaftState
	CurrentTerm() uint64
	CommitIndex() uint64
	VerifyLeader() raft.Future
	GetConfiguration() raft.ConfigurationFuture
}

// rounds numbers what this node sends to its followers; see transport.Rounds.
type rounds interface {
	// Begin starts a round: what is sent from now on belongs to it.
	Begin() uint64
	// Acked returns the newest round of which this voter has answered a message
	// in the term it was sent in.
	Acked(id raft.ServerID) uint64
	// Changed is closed at the next answer.
	Changed() <-chan struct{}
}

// readIndexes finds the index that a linearizable read has to wait for.
//
// raft.VerifyLeader is not enough: it counts answers to heartbeats that were
// sent before the read arrived, and a fresh leader's commit index may be behind
// what its predecessor acknowledged. Here the leader first has a command of its
// own term applied (established); then term and commit index are captured, a
// round begins, and only answers to messages sent in that round count, of
// distinct voters, with the term unchanged at the end.
//
// Reads that arrive while a round is under way share the next one.
type readIndexes struct {
	raft        leadership
	rounds      rounds
	local       raft.ServerID
	established func() uint64 // the term of the last command that was applied here
	tasks       *sync.WaitGroup

	mu      sync.Mutex
	running bool
	waiting []chan readIndex
}

type readIndex struct {
	index uint64
	err   error
}

// get returns an index that covers everything acknowledged before the call.
// Only the leader can answer; any other node gets not_leader.
func (r *readIndexes) get(ctx context.Context) (uint64, error) {
	result := make(chan readIndex, 1)
	r.mu.Lock()
	r.waiting = append(r.waiting, result)
	if !r.running {
		r.running = true
		r.tasks.Add(1)
		go r.run()
	}
	r.mu.Unlock()
	select {
	case got := <-result:
		return got.index, got.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// run serves rounds until no read waits. Each round is bounded in time, so that
// the goroutine ends by itself.
func (r *readIndexes) run() {
	defer r.tasks.Done()
	for {
		r.mu.Lock()
		batch := r.waiting
		r.waiting = nil
		if len(batch) == 0 {
			r.running = false
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
		index, err := r.round()
		for _, result := range batch {
			result <- readIndex{index, err}
		}
	}
}

// maxRound bounds a round; a leader that finds no quorum for this long has lost
// its office anyway (a lease is a fraction of it).
const maxRound = 2 * time.Second

func (r *readIndexes) round() (uint64, error) {
	term := r.raft.CurrentTerm()
	if r.raft.State() != raft.Leader {
		return 0, event.Errorf(event.CodeNotLeader, "this node does not lead")
	}
	if r.established() != term {
		return 0, event.Errorf(event.CodeUnavailable, "the leader of term %d has not applied a command of its term yet", term)
	}
	index := r.raft.CommitIndex()
	round := r.rounds.Begin()
	if err := r.awaitQuorum(round, term); err != nil {
		return 0, err
	}
	if r.raft.State() != raft.Leader || r.raft.CurrentTerm() != term {
		return 0, event.Errorf(event.CodeNotLeader, "%v", errLeadershipChanged)
	}
	return index, nil
}

func (r *readIndexes) awaitQuorum(round, term uint64) error {
	timeout := time.NewTimer(maxRound)
	defer timeout.Stop()
	for {
		// VerifyLeader serves to provoke heartbeats; its own verdict is not used.
		_ = r.raft.VerifyLeader()
		again := time.NewTimer(provokeAgain)
		for provoked := true; provoked; {
			changed := r.rounds.Changed()
			enough, err := r.quorum(round)
			if err != nil || enough {
				again.Stop()
				return err
			}
			if r.raft.CurrentTerm() != term || r.raft.State() != raft.Leader {
				again.Stop()
				return event.Errorf(event.CodeNotLeader, "%v", errLeadershipChanged)
			}
			select {
			case <-changed:
			case <-again.C:
				provoked = false
			case <-timeout.C:
				again.Stop()
				return event.Errorf(event.CodeUnavailable, "no quorum answered the leader within %v", maxRound)
			}
		}
	}
}

// quorum reports whether a majority of the voters has answered in the round.
func (r *readIndexes) quorum(round uint64) (bool, error) {
	future := r.raft.GetConfiguration()
	if err := future.Error(); err != nil {
		return false, event.Errorf(event.CodeUnavailable, "read the configuration: %v", err)
	}
	voters, answered := 0, 0
	for _, s := range future.Configuration().Servers {
		if s.Suffrage != raft.Voter {
			continue
		}
		voters++
		if s.ID == r.local || r.rounds.Acked(s.ID) >= round {
			answered++
		}
	}
	return answered > voters/2, nil
}
