package client

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/api/edriv1/wire"
	"github.com/edri-io/edri/event"
)

// Whatever a server sends for an event: it is decoded or an error, and no panic.
func FuzzDecodeRecorded(f *testing.F) {
	e := testEvent("1")
	f.Add(wire.AppendRecorded(nil, 1, 1, "s", 1, event.AppendEvent(nil, &e)))
	f.Add([]byte("\x2a\x01\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := decodeRecorded(b)
		if err != nil {
			if event.CodeOf(err) != event.CodeInternal {
				t.Errorf("got %v, want internal", err)
			}
			return
		}
		encoded := event.AppendEvent(nil, &got.Event)
		if _, err := event.DecodeEvent(encoded); err != nil {
			t.Errorf("what was decoded cannot be read again: %v", err)
		}
	})
}

// Whatever a server answers: a lane settles each call at most once, and only by
// a result of its own session and sequence.
func FuzzResolve(f *testing.F) {
	add := func(results ...*edriv1.CommitResult) {
		b, err := proto.Marshal(&edriv1.CommitResultFrame{Results: results})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	appended := []*edriv1.OpResult{{Result: &edriv1.OpResult_Appended{Appended: &edriv1.Appended{Position: 1}}}}
	add(&edriv1.CommitResult{Session: 7, Sequence: 2, Results: appended}, &edriv1.CommitResult{Session: 7, Sequence: 1, Results: appended})
	add(&edriv1.CommitResult{Session: 7, Sequence: 1, Open: true, Error: &edriv1.Error{Code: "invalid"}})
	add(&edriv1.CommitResult{Session: 7, Sequence: 3, Error: &edriv1.Error{Code: "session_expired"}})
	add(&edriv1.CommitResult{Session: 8, Sequence: 1})
	c, err := New(Config{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		results, err := wire.SplitResults(nil, frame)
		if err != nil {
			return
		}
		l := newLane(c, "")
		defer l.stop()
		l.session, l.next = 7, 1
		calls := make([]*call, 4)
		for i := range calls {
			calls[i] = newCall([]byte("op"), 1)
			l.offer(calls[i])
		}
		l.take(nil)
		answered := map[uint64]bool{}
		ended := false
		for _, b := range results {
			var r wire.CommitResult
			if r.Decode(b) != nil {
				break
			}
			if r.Session == 7 {
				answered[r.Sequence] = true
				ended = ended || r.Error != nil
			}
		}
		var scratch wire.CommitResult
		l.resolve(results, &scratch)
		l.resolve(results, &scratch)
		for i, one := range calls {
			if one.settled && !answered[uint64(i+1)] && !ended {
				t.Errorf("call %d was settled by another's result", i+1)
			}
		}
		if l.sent > l.assigned || l.assigned > len(l.queue) {
			t.Errorf("sent %d, assigned %d of %d", l.sent, l.assigned, len(l.queue))
		}
	})
}
