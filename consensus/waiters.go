package consensus

import (
	"crypto/rand"
	"encoding/binary"
	"sync"
	"time"

	"github.com/edri-io/edri/event"
)

// Done receives the outcome of the i-th commit of a submission: the wire bytes
// of its CommitResult, or an error that says that it was not executed or that
// its outcome is unknown. The result must not be modified.
type Done func(i int, result []byte, err *event.Error)

// submission is a list of commits whose outcomes are owed to one caller. Its
// commits have consecutive waiter ids from first.
type submission struct {
	waiters  *waiters
	done     Done
	deadline time.Time
	first    uint64
	open     []bool // by index; false once done was called
	left     int
}

var _ origin = (*submission)(nil)

// settled implements origin: the outcome comes from apply.
func (s *submission) settled(int) {}

// refused implements origin.
func (s *submission) refused(i int, err *event.Error) { s.waiters.refuse(s, i, err) }

// waiters holds the submissions of this node that are not answered yet.
//
// Every outcome of an entry is resolved where the entry is applied, so that an
// answer neither depends on the leader's life nor comes before the node that
// gives it has the effects.
type waiters struct {
	mu     sync.Mutex
	next   uint64
	byID   map[uint64]*submission
	queue  []*submission // in order of deadline, since all have the same patience
	closed bool
}

func newWaiters() *waiters {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	// A random start keeps the ids of different nodes, and of one node's
	// different lives, apart: an entry of another's is then nobody's here.
	return &waiters{next: binary.LittleEndian.Uint64(b[:]), byID: map[uint64]*submission{}}
}

// add registers n commits and returns the submission, whose ids are
// first..first+n-1. It returns nil once the node is closing.
func (w *waiters) add(n int, deadline time.Time, done Done) *submission {
	s := &submission{waiters: w, done: done, deadline: deadline, open: make([]bool, n), left: n}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil
	}
	s.first = w.next
	w.next += uint64(n)
	for i := range n {
		s.open[i] = true
		w.byID[s.first+uint64(i)] = s
	}
	w.queue = append(w.queue, s)
	return s
}

// answer is an outcome on its way to its caller.
type answer struct {
	sub    *submission
	index  int
	result []byte
	err    *event.Error
}

func (a answer) deliver() { a.sub.done(a.index, a.result, a.err) }

// take removes the waiter with this id, if it is open here.
func (w *waiters) takeLocked(id uint64) (*submission, int, bool) {
	s, ok := w.byID[id]
	if !ok {
		return nil, 0, false
	}
	delete(w.byID, id)
	i := int(id - s.first)
	s.open[i] = false
	s.left--
	return s, i, true
}

// resolve answers the waiters of this node among the outcomes.
func (w *waiters) resolve(outcomes []Outcome) {
	var answers []answer
	w.mu.Lock()
	if len(w.byID) > 0 {
		for _, o := range outcomes {
			if s, i, ok := w.takeLocked(o.Waiter); ok {
				answers = append(answers, answer{sub: s, index: i, result: o.Result})
			}
		}
	}
	w.mu.Unlock()
	for _, a := range answers {
		a.deliver()
	}
}

// refuse answers one commit of a submission with an error, if it is still open.
func (w *waiters) refuse(s *submission, i int, err *event.Error) {
	w.mu.Lock()
	_, _, ok := w.takeLocked(s.first + uint64(i))
	w.mu.Unlock()
	if ok {
		s.done(i, nil, err)
	}
}

// expire answers all that waited past its deadline: nobody knows whether those
// commits will take effect.
func (w *waiters) expire(now time.Time) {
	w.giveUp(func(s *submission) bool { return s.left == 0 || now.After(s.deadline) })
}

// close answers everything and refuses what comes after.
func (w *waiters) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.giveUp(func(*submission) bool { return true })
}

func (w *waiters) giveUp(due func(*submission) bool) {
	var answers []answer
	w.mu.Lock()
	for len(w.queue) > 0 && due(w.queue[0]) {
		s := w.queue[0]
		w.queue = w.queue[1:]
		for i, open := range s.open {
			if open {
				w.takeLocked(s.first + uint64(i))
				answers = append(answers, answer{sub: s, index: i, err: errOutcomeUnknown()})
			}
		}
	}
	w.mu.Unlock()
	for _, a := range answers {
		a.deliver()
	}
}

func errOutcomeUnknown() *event.Error {
	return event.Errorf(event.CodeOutcomeUnknown, "the commit was proposed, but its outcome is not known; ask again with the same session and sequence")
}
