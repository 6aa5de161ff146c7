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

// A round that is not answered is begun again after this time, by heartbeats too: what
// was sent may have been lost with a connection.
const askAgain = 100 * time.Millisecond

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
// round begins, and only answers to what is sent in that round count, of
// distinct voters, with the term unchanged at the end.
//
// What is sent is the question in which term a voter is. It answers from memory, which
// costs a third of what a heartbeat does on its way through Raft on both nodes, and says
// as much: a voter stores a newer term before it votes in it, so one that is in the
// leader's term after the round began had voted for no later leader when it began. What
// Raft sends in the round counts too. Heartbeats are provoked where an answer is an error,
// as from a node that does not know the question yet, or does not come.
//
// Reads that arrive while a round is under way share the next one.
type readIndexes struct {
	raft   leadership
	rounds rounds
	// ask asks a voter for its term. done is called once, from any goroutine.
	ask         func(id raft.ServerID, done func(term uint64, err error))
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
	confirmed := map[raft.ServerID]bool{r.local: true}
	for first := true; ; first = false {
		voters, err := r.voters()
		if err != nil {
			return err
		}
		answers := r.askVoters(voters)
		if !first {
			_ = r.raft.VerifyLeader() // for its heartbeats; its own verdict is not used
		}
		again := time.NewTimer(askAgain)
		for waiting := true; waiting; {
			changed := r.rounds.Changed()
			if r.quorum(voters, confirmed, round) {
				again.Stop()
				return nil
			}
			if r.raft.CurrentTerm() != term || r.raft.State() != raft.Leader {
				again.Stop()
				return event.Errorf(event.CodeNotLeader, "%v", errLeadershipChanged)
			}
			select {
			case a := <-answers:
				if a.err != nil {
					_ = r.raft.VerifyLeader()
				} else if a.term == term {
					confirmed[a.id] = true
				}
			case <-changed:
			case <-again.C:
				waiting = false
			case <-timeout.C:
				again.Stop()
				return event.Errorf(event.CodeUnavailable, "no quorum answered the leader within %v", maxRound)
			}
		}
	}
}

// answeredTerm is in which term a voter said it is.
type answeredTerm struct {
	id   raft.ServerID
	term uint64
	err  error
}

// askVoters asks all but this node. The channel has room for all answers.
func (r *readIndexes) askVoters(voters []raft.ServerID) <-chan answeredTerm {
	answers := make(chan answeredTerm, len(voters))
	for _, id := range voters {
		if id != r.local {
			r.ask(id, func(term uint64, err error) { answers <- answeredTerm{id, term, err} })
		}
	}
	return answers
}

// quorum reports whether a majority of the voters has answered in the round. This node
// is a voter or not.
func (r *readIndexes) quorum(voters []raft.ServerID, confirmed map[raft.ServerID]bool, round uint64) bool {
	answered := 0
	for _, id := range voters {
		if confirmed[id] || r.rounds.Acked(id) >= round {
			answered++
		}
	}
	return answered > len(voters)/2
}

func (r *readIndexes) voters() ([]raft.ServerID, error) {
	future := r.raft.GetConfiguration()
	if err := future.Error(); err != nil {
		return nil, event.Errorf(event.CodeUnavailable, "read the configuration: %v", err)
	}
	var voters []raft.ServerID
	for _, s := range future.Configuration().Servers {
		if s.Suffrage == raft.Voter {
			voters = append(voters, s.ID)
		}
	}
	return voters, nil
}
