package consensus_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
)

func TestSessionSequences(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.openSession()
	for i, step := range []struct {
		commit *edriv1.Commit
		want   string
	}{
		{in(s, 2, add("a", "2")), "error unavailable"}, // a gap
		{in(s, 1, add("a", "1")), "1: 1@1"},
		{in(s, 1, add("a", "1")), "1: 1@1"}, // a repeat, not a duplicate
		{in(s, 1, add("a", "other")), "1: 1@1"},
		{in(s, 3, add("a", "2")), "error unavailable"},
		{in(s, 2, at(9, add("a", "2"))), "error revision_conflict a expected 9 actual 1"},
		{in(s, 2, add("a", "2")), "error revision_conflict a expected 9 actual 1"}, // consumed
		{in(s, 3), "1:"},
		{in(s+1, 1, add("a", "2")), "error session_expired"},
		{&edriv1.Commit{Session: s, FirstSequence: 4, Sequence: 6, Ops: []*edriv1.Op{add("a", "2")}}, "2: 2@2"},
		{&edriv1.Commit{Session: s, FirstSequence: 4, Sequence: 6}, "2: 2@2"},
		{in(s, 6), "error invalid"}, // part of 4 to 6
		{in(s, 5), "error invalid"},
		{&edriv1.Commit{Session: s, FirstSequence: 6, Sequence: 7}, "error invalid"}, // overlaps
		{&edriv1.Commit{Session: s, Sequence: 7, AckedThrough: 3}, "2:"},
		{in(s, 3), "error outcome_unknown"},
		{&edriv1.Commit{Session: s, FirstSequence: 4, Sequence: 6}, "2: 2@2"},
		{in(s, 7), "2:"},
	} {
		if got := brief(h.one(step.commit)); got != step.want {
			t.Errorf("step %d: got %q, want %q", i, got, step.want)
		}
	}
}

func TestGapNamesTheExpectedSequence(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.openSession()
	h.one(in(s, 1))
	r := h.one(in(s, 5))
	if want := fmt.Sprintf("sequence 5 of session %d came before 2, which is expected next", s); r.Error.GetMessage() != want {
		t.Errorf("got %q, want %q", r.Error.GetMessage(), want)
	}
}

func TestRepeatGetsTheSameBytes(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.openSession()
	var sealed, results [][]byte
	for i := range uint64(20) {
		c := in(s, i+1, add("a", fmt.Sprint(i)), add("b", fmt.Sprint("b", i)))
		if i%3 == 0 {
			c.Ops[1] = at(77, c.Ops[1])
		}
		c.Each = i%2 == 0
		sealed = append(sealed, h.seal(c))
		results = append(results, h.raw(sealed[i])[0].Result)
	}
	for _, when := range []string{"at once", "after a flush", "after a replay"} {
		for i, o := range h.raw(sealed...) {
			if !bytes.Equal(o.Result, results[i]) {
				t.Errorf("%s: sequence %d: got %x, want %x", when, i+1, o.Result, results[i])
			}
		}
		h.reopen(when == "at once")
	}
}

func TestSessionKeepsItsLastResults(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.openSession()
	const n = consensus.MaxKeptResults + 10
	for i := range uint64(n) {
		h.one(in(s, i+1, add("a", fmt.Sprint(i))))
	}
	for sequence, want := range map[uint64]string{
		1: "error outcome_unknown", 10: "error outcome_unknown", 11: "11: 11@11", n: fmt.Sprintf("%d: %d@%d", n, n, n),
	} {
		if got := brief(h.one(in(s, sequence))); got != want {
			t.Errorf("sequence %d: got %q, want %q", sequence, got, want)
		}
	}
}

func TestSessionKeepsAtMostSoManyBytes(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.openSession()
	long := strings.Repeat("x", 200)
	size := 0
	for i := range uint64(20) {
		var ops []*edriv1.Op
		for k := range 20 { // a violation repeats the name of its stream twice
			ops = append(ops, at(5, add(long, fmt.Sprint(i, k))))
		}
		size = len(h.raw(h.seal(in(s, i+1, ops...)))[0].Result)
	}
	kept := consensus.MaxKeptBytes / (size + 8)
	if kept < 2 || kept > 15 {
		t.Fatalf("results of %d bytes do not test the limit", size)
	}
	for i := range 20 {
		got := brief(h.one(in(s, uint64(i+1))))
		if want := i >= 20-kept; strings.HasPrefix(got, "error check_failed") != want {
			t.Errorf("sequence %d: got %.40q, kept should be %v", i+1, got, want)
		}
	}
}

func TestNewestResultIsKeptWhateverItsSize(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.openSession()
	var ops []*edriv1.Op
	for k := range 900 {
		ops = append(ops, at(5, add(strings.Repeat("x", 100), fmt.Sprint(k))))
	}
	sealed := h.seal(in(s, 1, ops...))
	first := h.raw(sealed)[0].Result
	if len(first) <= consensus.MaxKeptBytes {
		t.Fatalf("a result of %d bytes does not test the limit", len(first))
	}
	h.reopen(true)
	if again := h.raw(sealed)[0].Result; !bytes.Equal(first, again) {
		t.Error("the repeat got another result")
	}
	h.one(in(s, 2))
	if got := brief(h.one(in(s, 1))); got != "error outcome_unknown" {
		t.Errorf("after the next commit: got %.60q", got)
	}
}

func TestAcknowledgedResultsAreDropped(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.openSession()
	before := len(consensus.Dump(t, h.core))
	for i := range uint64(5000) { // also moves what is kept within its memory
		r := h.one(&edriv1.Commit{Session: s, Sequence: i + 1, AckedThrough: max(i, 3) - 3})
		if r.Error != nil {
			t.Fatalf("sequence %d: %s", i+1, brief(r))
		}
	}
	if after := len(consensus.Dump(t, h.core)); after > before+100 {
		t.Errorf("the state grew from %d to %d bytes", before, after)
	}
	if got := brief(h.one(in(s, 4996))); got != "error outcome_unknown" {
		t.Errorf("acknowledged: got %q", got)
	}
	if got := brief(h.one(in(s, 4997))); got != "0:" {
		t.Errorf("not acknowledged: got %q", got)
	}
}

func TestProducersRememberTheirSequence(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	p := h.openProducer("file")
	if p.LastSequence != 0 {
		t.Errorf("a new producer is at %d", p.LastSequence)
	}
	h.one(&edriv1.Commit{Session: p.Session, FirstSequence: 1, Sequence: 1000, Each: true,
		Ops: []*edriv1.Op{add("a", "1"), add("a", "2")}})
	h.reopen(true)
	again := h.openProducer("file")
	if again.Session != p.Session || again.LastSequence != 1000 {
		t.Errorf("opened again: %v, want session %d at 1000", again, p.Session)
	}
	if other := h.openProducer("other"); other.Session == p.Session || other.LastSequence != 0 {
		t.Errorf("another name: %v", other)
	}
	if got := brief(h.closeSession(p.Session, 1001)); got != "error invalid" {
		t.Errorf("close: got %q", got)
	}
	h.raw(consensus.ExpireSessionsCommit([]consensus.IdleSession{{ID: p.Session, Used: h.stamp}}, 0))
	if again := h.openProducer("file"); again.LastSequence != 1001 {
		t.Errorf("after close and expiry: %v", again)
	}
}

func TestClosedSessionIsExpired(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.openSession()
	if got := brief(h.closeSession(s, 2)); got != "error unavailable" {
		t.Errorf("out of turn: got %q", got)
	}
	if got := brief(h.closeSession(s, 1)); got != "0: ok" {
		t.Errorf("got %q", got)
	}
	for range 2 {
		if got := brief(h.one(in(s, 2))); got != "error session_expired" {
			t.Errorf("got %q", got)
		}
		h.reopen(true)
	}
	if next := h.openSession(); next == s {
		t.Errorf("session %d was issued twice", s)
	}
}

func TestOpenAndCloseWithinOneBatch(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.openSession() + 1
	open := h.seal(&edriv1.Commit{Ops: []*edriv1.Op{{Op: &edriv1.Op_OpenSession{OpenSession: &edriv1.OpenSession{}}}}})
	end := h.seal(&edriv1.Commit{Session: s, Sequence: 1, Ops: []*edriv1.Op{{Op: &edriv1.Op_CloseSession{CloseSession: &edriv1.CloseSession{}}}}})
	h.raw(open, end, h.seal(in(s, 2)))
	h.reopen(true)
	if got := brief(h.one(in(s, 2))); got != "error session_expired" {
		t.Errorf("got %q", got)
	}
}

func TestOnlyIdleSessionsExpire(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	idle, busy := h.openSession(), h.openSession()
	h.openProducer("p")
	h.one(in(busy, 1))
	v := h.core.View()
	seen, err := v.IdleSessions(h.stamp+1, 10)
	few, _ := v.IdleSessions(h.stamp+1, 1)
	old, _ := v.IdleSessions(h.stamp, 10)
	v.Close()
	if err != nil || len(seen) != 2 || len(few) != 1 || len(old) != 1 || old[0].ID != idle {
		t.Fatalf("idle are %v, %v and %v, error %v", seen, few, old, err)
	}
	h.one(in(busy, 2)) // between the leader's look and the entry
	h.raw(consensus.ExpireSessionsCommit(append(seen, consensus.IdleSession{ID: 999}), 0))
	if got := brief(h.one(in(idle, 1))); got != "error session_expired" {
		t.Errorf("idle session: got %q", got)
	}
	if got := brief(h.one(in(busy, 3))); got != "0:" {
		t.Errorf("busy session: got %q", got)
	}
}
