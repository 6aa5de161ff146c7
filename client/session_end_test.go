package client

import (
	"testing"

	"github.com/edri-io/edri/api/edriv1/wire"
	"github.com/edri-io/edri/event"
)

// sessionEnded is the answer to a commit of a session that is not there.
func sessionEnded(session, sequence uint64) []byte {
	e := event.Errorf(event.CodeSessionExpired, "session %d is not open", session)
	return wire.AppendOpenResult(nil, session, sequence, event.AppendError(nil, e))
}

func TestCommitOfAnEarlierStreamIsNotSentAnewInAnotherSession(t *testing.T) {
	t.Parallel()
	c, err := New(Config{Servers: []string{"http://127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	l := newLane(c, "")
	l.session, l.next = 7, 1
	a, b := newCall(make([]byte, 700<<10), 1), newCall(make([]byte, 700<<10), 1)
	l.offer(a)
	l.offer(b)
	l.rewind(nil) // stream 1: both are written, and executed; results lost
	l.take(nil)
	l.take(nil)
	l.rewind(nil) // stream 2: only the first frame so far
	l.take(nil)
	var r wire.CommitResult
	l.resolve([][]byte{sessionEnded(7, 1)}, &r)
	if !b.settled {
		t.Error("b was written to stream 1, yet goes out again under a new session")
	}
}

func TestEndOfAllSessionsLetsTheWaitingGoOn(t *testing.T) {
	t.Parallel()
	c, err := New(Config{Servers: []string{"http://127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	p := &c.pool
	for range maxLanes {
		l := newLane(c, "")
		l.onRoom = p.refill
		l.session, l.next = 7, 1
		p.lanes = append(p.lanes, l)
	}
	for range maxLanes*maxCalls + 1 {
		p.submit(newCall([]byte{1}, 1))
	}
	var r wire.CommitResult
	for _, l := range p.lanes {
		for range 2 {
			l.rewind(nil)
			for len(l.take(nil)) > 0 {
			}
		}
		l.resolve([][]byte{sessionEnded(7, 1)}, &r)
	}
	idle := 0
	for _, l := range p.lanes {
		if l.idle() {
			idle++
		}
	}
	p.submit(newCall([]byte{1}, 1))
	if idle == maxLanes && len(p.waiting) > 0 {
		t.Error("every lane is idle and the pool's calls wait for ever")
	}
}
