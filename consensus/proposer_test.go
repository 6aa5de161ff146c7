package consensus

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/event"
)

// Only what Raft certainly did not take may be called a refusal: everything else
// may still be committed by a later leader.
func TestOnlyThreeErrorsOfRaftAreRefusals(t *testing.T) {
	t.Parallel()
	refusals := map[error]event.Code{
		raft.ErrNotLeader:                    event.CodeNotLeader,
		raft.ErrLeadershipTransferInProgress: event.CodeNotLeader,
		raft.ErrEnqueueTimeout:               event.CodeOverloaded,
	}
	for err, code := range refusals {
		if got := refusalOf(fmt.Errorf("wrapped: %w", err)); got == nil || got.Code != code {
			t.Errorf("%v: got %v, want %s", err, got, code)
		}
	}
	for _, err := range []error{nil, raft.ErrLeadershipLost, raft.ErrRaftShutdown, raft.ErrAbortedByRestore, errors.New("write failed")} {
		if got := refusalOf(err); got != nil {
			t.Errorf("%v: got refusal %v, want an open outcome", err, got)
		}
	}
}

// fakeRaft hands out futures that the test answers.
type fakeRaft struct {
	entries chan fakeFuture
}

type fakeFuture struct {
	entry []byte
	err   chan error
}

func (f fakeFuture) Error() error          { return <-f.err }
func (f fakeFuture) Response() interface{} { return nil }
func (f fakeFuture) Index() uint64         { return 0 }

func (r *fakeRaft) Apply(entry []byte, _ time.Duration) raft.ApplyFuture {
	f := fakeFuture{entry, make(chan error, 1)}
	r.entries <- f
	return f
}

// recorder is an origin that remembers what became of its commits.
type recorder struct {
	mu       sync.Mutex
	settledN int
	refusals []event.Code
	changed  chan struct{}
}

func newRecorder() *recorder {
	return &recorder{changed: make(chan struct{}, 1024)}
}

func (r *recorder) settled(int) {
	r.mu.Lock()
	r.settledN++
	r.mu.Unlock()
	r.changed <- struct{}{}
}

func (r *recorder) refused(_ int, err *event.Error) {
	r.mu.Lock()
	r.refusals = append(r.refusals, err.Code)
	r.mu.Unlock()
	r.changed <- struct{}{}
}

func items(r *recorder, n, size int) []queued {
	list := make([]queued, n)
	for i := range list {
		list[i] = queued{commit: make([]byte, size), from: r, index: i}
	}
	return list
}

func commitsOf(t *testing.T, entry []byte) int {
	t.Helper()
	e, err := DecodeEntry(entry)
	if err != nil {
		t.Fatal(err)
	}
	return e.Len()
}

func TestProposerCoalescesWhatWaitsWhileTwoEntriesFly(t *testing.T) {
	t.Parallel()
	fake := &fakeRaft{entries: make(chan fakeFuture, 8)}
	p := newProposer(fake, make(chan struct{}), func() EntryHeader { return EntryHeader{Feature: FeatureLevel} })
	r := newRecorder()
	if err := p.enqueue(items(r, 1, 10)); err == nil || err.Code != event.CodeNotLeader {
		t.Fatalf("before leading: got %v, want not_leader", err)
	}
	p.setOpen(true)
	enqueue := func(n, size int) {
		t.Helper()
		if err := p.enqueue(items(r, n, size)); err != nil {
			t.Fatal(err)
		}
	}
	enqueue(1, 10)
	first := <-fake.entries
	enqueue(1, 10)
	second := <-fake.entries
	enqueue(3, 10)
	enqueue(2, 600<<10)
	first.err <- nil
	third := <-fake.entries
	if got := []int{commitsOf(t, first.entry), commitsOf(t, second.entry), commitsOf(t, third.entry)}; got[0] != 1 || got[1] != 1 || got[2] != 4 {
		t.Errorf("entries hold %v commits, want 1, 1 and the four that fit into one", got)
	}
	second.err <- nil
	fourth := <-fake.entries
	if got := commitsOf(t, fourth.entry); got != 1 {
		t.Errorf("fourth entry holds %d commits, want the large one alone", got)
	}
	third.err <- raft.ErrNotLeader
	fourth.err <- raft.ErrLeadershipLost
	for range 7 {
		<-r.changed
	}
	p.close()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.settledN != 3 || len(r.refusals) != 4 {
		t.Errorf("%d settled, refused %v; want 3 settled and the 4 of the entry that Raft refused", r.settledN, r.refusals)
	}
}

// An entry that is lost with the leadership may be applied or not. Who has a session
// is told at once and asks again; who has none can only wait for apply.
func TestProposerTellsAtOnceOfUnknownOutcomesWhereTheyCanBeAskedForAgain(t *testing.T) {
	t.Parallel()
	fake := &fakeRaft{entries: make(chan fakeFuture, 1)}
	p := newProposer(fake, make(chan struct{}), func() EntryHeader { return EntryHeader{Feature: FeatureLevel} })
	defer p.close()
	p.setOpen(true)
	r := newRecorder()
	list := items(r, 3, 10)
	list[1].repeatable = true
	if err := p.enqueue(list); err != nil {
		t.Fatal(err)
	}
	entry := <-fake.entries
	entry.err <- raft.ErrLeadershipLost
	for range list {
		<-r.changed
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.settledN != 2 || len(r.refusals) != 1 || r.refusals[0] != event.CodeOutcomeUnknown {
		t.Errorf("%d settled, refused %v; want 2 settled and one outcome_unknown", r.settledN, r.refusals)
	}
}

func TestProposerRefusesWhatItsQueueCannotHold(t *testing.T) {
	t.Parallel()
	fake := &fakeRaft{entries: make(chan fakeFuture, 8)}
	p := newProposer(fake, make(chan struct{}), func() EntryHeader { return EntryHeader{Feature: FeatureLevel} })
	p.setOpen(true)
	r := newRecorder()
	for range proposerDepth {
		if err := p.enqueue(items(r, 1, 1)); err != nil {
			t.Fatal(err)
		}
		f := <-fake.entries
		defer func() { f.err <- nil }()
	}
	if err := p.enqueue(items(r, 1, maxQueuedBytes)); err != nil {
		t.Fatalf("the first in an empty queue: %v", err)
	}
	if err := p.enqueue(items(r, 1, 1)); err == nil || err.Code != event.CodeOverloaded {
		t.Errorf("a full queue: got %v, want overloaded", err)
	}
	p.setOpen(false)
	<-r.changed
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.refusals) != 1 || r.refusals[0] != event.CodeNotLeader {
		t.Errorf("queued when leadership ended: got %v, want not_leader", r.refusals)
	}
	go p.close()
}
