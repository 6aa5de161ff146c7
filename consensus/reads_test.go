package consensus

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/event"
)

// readStage is all that a read round sees, of a leader n1 in term 3 among three voters.
type readStage struct {
	mu       sync.Mutex
	term     uint64
	state    raft.RaftState
	acked    map[raft.ServerID]uint64
	changed  chan struct{}
	provoked int
	asked    int
	atQuorum func(*readStage) // called when the voters are counted
	// answer says in which term a voter is; not ok: it does not answer.
	answer func(id raft.ServerID) (term uint64, err error, ok bool)
}

func (s *readStage) State() raft.RaftState { s.mu.Lock(); defer s.mu.Unlock(); return s.state }
func (s *readStage) CurrentTerm() uint64   { s.mu.Lock(); defer s.mu.Unlock(); return s.term }
func (s *readStage) CommitIndex() uint64   { return 42 }
func (s *readStage) VerifyLeader() raft.Future {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.provoked++
	return nil
}

func (s *readStage) GetConfiguration() raft.ConfigurationFuture { return stageConfiguration{} }

type stageConfiguration struct{ raft.ConfigurationFuture }

func (stageConfiguration) Error() error { return nil }
func (stageConfiguration) Configuration() raft.Configuration {
	return raft.Configuration{Servers: []raft.Server{
		{ID: "n1"}, {ID: "n2"}, {ID: "n3"}, {ID: "learner", Suffrage: raft.Nonvoter},
	}}
}

func (s *readStage) Begin() uint64 { return 7 }
func (s *readStage) Acked(id raft.ServerID) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.atQuorum != nil {
		s.atQuorum(s)
	}
	return s.acked[id]
}
func (s *readStage) Changed() <-chan struct{} { s.mu.Lock(); defer s.mu.Unlock(); return s.changed }

func (s *readStage) ask(id raft.ServerID, done func(uint64, error)) {
	s.mu.Lock()
	s.asked++
	answer := s.answer
	s.mu.Unlock()
	if id == "learner" {
		panic("a node that does not vote is asked")
	}
	if answer == nil {
		return
	}
	if term, err, ok := answer(id); ok {
		go done(term, err)
	}
}

// round makes one read on the stage.
func (s *readStage) round() (uint64, error) {
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	s.term, s.state = 3, raft.Leader
	var tasks sync.WaitGroup
	r := &readIndexes{raft: s, rounds: s, ask: s.ask, local: "n1", established: func() uint64 { return 3 }, tasks: &tasks}
	index, err := r.get(context.Background())
	tasks.Wait()
	return index, err
}

func TestAVoterInTheLeadersTermConfirmsARead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &readStage{answer: func(id raft.ServerID) (uint64, error, bool) { return 3, nil, id == "n3" }}
		index, err := s.round()
		if index != 42 || err != nil || s.provoked != 0 || s.asked != 2 {
			t.Errorf("read at %d, %v; provoked %d times, asked %d", index, err, s.provoked, s.asked)
		}
	})
}

// Voters that have gone on to another term, or are behind, confirm nothing.
func TestVotersInAnotherTermConfirmNoRead(t *testing.T) {
	t.Parallel()
	for _, other := range []uint64{2, 4} {
		synctest.Test(t, func(t *testing.T) {
			s := &readStage{answer: func(raft.ServerID) (uint64, error, bool) { return other, nil, true }}
			_, err := s.round()
			if event.CodeOf(err) != event.CodeUnavailable {
				t.Errorf("voters in term %d: %v", other, err)
			}
		})
	}
}

func TestOneVoterAloneConfirmsNoRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &readStage{}
		_, err := s.round()
		if event.CodeOf(err) != event.CodeUnavailable || s.provoked < 10 || s.asked < 20 {
			t.Errorf("nobody answers: %v; provoked %d times, asked %d", err, s.provoked, s.asked)
		}
	})
}

// A node that does not know the question is asked by a heartbeat.
func TestHeartbeatsConfirmAReadToo(t *testing.T) {
	t.Parallel()
	for acked, ok := range map[uint64]bool{6: false, 7: true} {
		synctest.Test(t, func(t *testing.T) {
			s := &readStage{acked: map[raft.ServerID]uint64{}, answer: func(raft.ServerID) (uint64, error, bool) {
				return 0, errors.New("unknown request kind"), true
			}}
			s.changed = make(chan struct{})
			go func() {
				synctest.Wait()
				s.mu.Lock()
				defer s.mu.Unlock()
				if s.provoked == 0 {
					t.Error("no heartbeat was provoked")
				}
				s.acked["n2"] = acked
				close(s.changed)
				s.changed = make(chan struct{})
			}()
			_, err := s.round()
			if (err == nil) != ok {
				t.Errorf("an answer to a message of round %d, in round 7: %v", acked, err)
			}
		})
	}
}

func TestAReadEndsWithTheLeadership(t *testing.T) {
	t.Parallel()
	for what, lose := range map[string]func(*readStage){
		"another term": func(s *readStage) { s.term = 4 },
		"no office":    func(s *readStage) { s.state = raft.Follower },
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &readStage{}
			s.answer = func(id raft.ServerID) (uint64, error, bool) {
				s.mu.Lock()
				defer s.mu.Unlock()
				lose(s)
				return 3, nil, true
			}
			if _, err := s.round(); event.CodeOf(err) != event.CodeNotLeader {
				t.Errorf("%s: %v", what, err)
			}
			s = &readStage{acked: map[raft.ServerID]uint64{"n2": 7}, atQuorum: lose}
			if _, err := s.round(); event.CodeOf(err) != event.CodeNotLeader {
				t.Errorf("%s, with the quorum: %v", what, err)
			}
		})
	}
}
