package consensus_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
)

// The texts of errors are kept with results, and so replicated: they are the same
// on two nodes with other directories, one of which was restarted, and say nothing
// that only one of them knows.
func TestErrorsOfApplyAreTheSameOnEveryNode(t *testing.T) {
	t.Parallel()
	one, other := newHarness(t), newHarness(t)
	feed := func(commit []byte) {
		a, b := one.raw(commit)[0].Result, other.raw(commit)[0].Result
		other.reopen(len(a)%2 == 0)
		if !bytes.Equal(a, b) {
			t.Errorf("one node answers %q, the other %q", a, b)
		}
		for _, h := range []*harness{one, other} {
			if strings.Contains(string(a), h.dir) {
				t.Errorf("%q names a directory", a)
			}
		}
	}
	s, p := one.openSession(), one.openProducer("p").Session
	if other.openSession() != s || other.openProducer("p").Session != p {
		t.Fatal("the nodes issued other sessions")
	}
	old := in(s, 1, add("a", "1"))
	old.Epoch = bytes.Repeat([]byte{9}, len(epoch))
	each := each(in(s, 5, at(9, add("a", "5")), addContent("a", "1", "other"), exists(add("none", "6"))))
	for _, c := range []*edriv1.Commit{
		old, in(s+99, 1), in(s, 3), in(s, 1, add("a", "1")), in(s, 2, at(9, add("a", "2"))),
		in(s, 3, addContent("a", "1", "other")), in(s, 4, exists(add("none", "3")), at(7, add("b", "4"))),
		each, {Session: s, FirstSequence: 4, Sequence: 9}, {Session: s, Sequence: 6, AckedThrough: 5}, in(s, 2),
		{Session: p, Sequence: 1, Ops: []*edriv1.Op{{Op: &edriv1.Op_CloseSession{CloseSession: &edriv1.CloseSession{}}}}},
	} {
		feed(one.seal(c))
	}
	feed(consensus.SettingCommit("unknown", 1, 7))
	feed(consensus.SettingCommit(consensus.SettingWindow, 0, 7))
}
