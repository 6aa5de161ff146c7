package transport

import (
	"errors"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

func appendRequest(term uint64) *raft.AppendEntriesRequest {
	return &raft.AppendEntriesRequest{Term: term}
}

func response(term uint64, success bool) *raft.AppendEntriesResponse {
	return &raft.AppendEntriesResponse{Term: term, Success: success}
}

func TestAnswersCountForTheRoundTheyWereSentIn(t *testing.T) {
	t.Parallel()
	r := NewRounds()
	early := r.sending(appendRequest(3))
	round := r.Begin()
	late := r.sending(appendRequest(3))
	changed := r.Changed()
	r.answered("n2", early, appendRequest(3), response(3, true))
	if got := r.Acked("n2"); got >= round {
		t.Fatalf("an answer to what was sent before the round counts for it: %d", got)
	}
	r.answered("n3", late, appendRequest(3), response(4, false))
	if got := r.Acked("n3"); got != 0 {
		t.Fatalf("an answer of a newer term counts: %d", got)
	}
	select {
	case <-changed:
		t.Fatal("nothing has changed")
	default:
	}
	r.answered("n2", late, appendRequest(3), response(3, false)) // a log mismatch acknowledges the term
	<-changed
	if got := r.Acked("n2"); got != round {
		t.Fatalf("got %d, want %d", got, round)
	}
	r.answered("n2", early, appendRequest(3), response(3, true)) // overtaken
	if got := r.Acked("n2"); got != round {
		t.Fatalf("got %d, want %d", got, round)
	}
	if r.Acked("n4") != 0 || !r.LastAck("n4").IsZero() || time.Since(r.LastAck("n2")) > time.Minute {
		t.Fatal("wrong times")
	}
}

// What a former leadership of this node still sends reaches a follower that has not
// heard of the newer term: it says nothing about the newer one.
func TestAnswersInAnOlderTermDoNotCount(t *testing.T) {
	t.Parallel()
	r := NewRounds()
	r.sending(appendRequest(3))
	r.sending(appendRequest(5))
	round := r.Begin()
	old := r.sending(appendRequest(3))
	r.answered("n2", old, appendRequest(3), response(3, true))
	if got := r.Acked("n2"); got >= round {
		t.Fatalf("got %d", got)
	}
	r.answered("n2", r.sending(appendRequest(5)), appendRequest(5), response(5, true))
	if got := r.Acked("n2"); got != round {
		t.Fatalf("got %d, want %d", got, round)
	}
}

// failing is an inner transport whose answers are set.
type failing struct {
	Inner
	resp raft.AppendEntriesResponse
	err  error
	sent func() // called while a call is on its way
}

func (f *failing) AppendEntries(_ raft.ServerID, _ raft.ServerAddress, _ *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	if f.sent != nil {
		f.sent()
	}
	*resp = f.resp
	return f.err
}

func TestEveryAppendEntriesIsTagged(t *testing.T) {
	t.Parallel()
	_, inmem := raft.NewInmemTransport("n1")
	inner := &failing{Inner: inmem}
	rounds := NewRounds()
	trans := WrapRaft(inner, rounds, func() (raft.RaftState, uint64) { return raft.Leader, 2 }, nil, nil)
	defer trans.Close()
	send := func() error {
		return trans.AppendEntries("n2", "n2", appendRequest(2), &raft.AppendEntriesResponse{})
	}
	round := rounds.Begin()
	inner.resp, inner.err = *response(2, true), errors.New("timeout")
	if err := send(); err == nil || rounds.Acked("n2") != 0 {
		t.Fatalf("a failed call counts: %v, %d", err, rounds.Acked("n2"))
	}
	inner.err = nil
	if err := send(); err != nil || rounds.Acked("n2") != round {
		t.Fatalf("got %v, %d, want %d", err, rounds.Acked("n2"), round)
	}
	inner.sent = func() { round = rounds.Begin() }
	if err := send(); err != nil || rounds.Acked("n2") >= round {
		t.Fatal("a call that was on its way when the round began counts for it")
	}
}

func TestMatchIsOfTheNewestTerm(t *testing.T) {
	t.Parallel()
	r := NewRounds()
	say := func(term, previous uint64, entries int, success bool) uint64 {
		req := &raft.AppendEntriesRequest{Term: term, PrevLogEntry: previous, Entries: make([]*raft.Log, entries)}
		round := r.sending(req)
		r.answered("n2", round, req, &raft.AppendEntriesResponse{Term: term, Success: success})
		return r.Match("n2")
	}
	for i, step := range []struct {
		term, previous uint64
		entries        int
		success        bool
		want           uint64
	}{
		{3, 90, 0, false, 0}, // its log differs there
		{3, 40, 5, true, 45},
		{3, 0, 0, true, 45}, // a heartbeat
		{3, 20, 5, true, 45},
		{4, 0, 0, true, 0}, // what it had in another term, it may have cut
		{4, 30, 1, true, 31},
		{3, 90, 9, true, 31}, // late
	} {
		if got := say(step.term, step.previous, step.entries, step.success); got != step.want {
			t.Errorf("step %d: got %d, want %d", i, got, step.want)
		}
	}
	if got := r.Match("n3"); got != 0 {
		t.Errorf("of a server that never answered: %d", got)
	}
}
