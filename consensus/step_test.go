package consensus

import (
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

func TestNextStep(t *testing.T) {
	t.Parallel()
	const v, n = raft.Voter, raft.Nonvoter
	for _, c := range []struct {
		name string
		kind ChangeKind
		f    changeFacts
		want stepKind
	}{
		{"a new node is added", ChangeJoin, changeFacts{new: absent, old: absent}, stepAdd},
		{"is waited for", ChangeJoin, changeFacts{new: n, old: absent}, stepWait},
		{"is promoted when caught up", ChangeJoin, changeFacts{new: n, old: absent, caughtUp: true}, stepPromote},
		{"unless it is silent", ChangeJoin, changeFacts{new: n, old: absent, caughtUp: true, newSilent: true}, stepWait},
		{"or would cost the quorum", ChangeJoin, changeFacts{new: n, old: absent, caughtUp: true, addLoses: "x"}, stepWait},
		{"a voter has joined", ChangeJoin, changeFacts{new: v, old: absent}, stepEnd},

		{"a silent old node goes first", ChangeReplace, changeFacts{new: n, old: v, voters: 3, caughtUp: true, oldSilent: true}, stepRemoveOld},
		{"but not before the new one has caught up", ChangeReplace, changeFacts{new: n, old: v, voters: 3, oldSilent: true}, stepWait},
		{"nor where the rest has no quorum", ChangeReplace, changeFacts{new: n, old: v, voters: 3, caughtUp: true, oldSilent: true, removeLoses: "x"}, stepPromote},
		{"one that answers goes last", ChangeReplace, changeFacts{new: n, old: v, voters: 3, caughtUp: true, oldAnswers: true}, stepPromote},
		{"a new leader does not know yet", ChangeReplace, changeFacts{new: n, old: v, voters: 3, caughtUp: true}, stepWait},
		{"it is gone, the new one follows", ChangeReplace, changeFacts{new: n, old: absent, voters: 2, caughtUp: true}, stepPromote},
		{"the new one votes, the old one goes", ChangeReplace, changeFacts{new: v, old: v, voters: 4, oldAnswers: true}, stepRemoveOld},
		{"the old one leads", ChangeReplace, changeFacts{new: v, old: v, voters: 4, oldAnswers: true, oldLeads: true}, stepHandOver},
		{"replaced", ChangeReplace, changeFacts{new: v, old: absent, voters: 3}, stepEnd},

		{"removal", ChangeRemove, changeFacts{new: absent, old: v, voters: 3}, stepRemoveOld},
		{"of a non-voter", ChangeRemove, changeFacts{new: absent, old: n, voters: 1}, stepRemoveOld},
		{"of the last voter", ChangeRemove, changeFacts{new: absent, old: v, voters: 1, force: true}, stepWait},
		{"of the leader", ChangeRemove, changeFacts{new: absent, old: v, voters: 3, oldLeads: true}, stepHandOver},
		{"that loses the quorum", ChangeRemove, changeFacts{new: absent, old: v, voters: 3, removeLoses: "x"}, stepWait},
		{"that is forced", ChangeRemove, changeFacts{new: absent, old: v, voters: 3, removeLoses: "x", force: true}, stepRemoveOld},
		{"removed", ChangeRemove, changeFacts{new: absent, old: absent, voters: 2}, stepEnd},
	} {
		if got := nextStep(c.kind, c.f); got.do != c.want || got.do == stepWait && got.why == "" {
			t.Errorf("%s: got %v (%s), want %v", c.name, got.do, got.why, c.want)
		}
	}
}

func TestCaughtUpMeansWithinAnElection(t *testing.T) {
	t.Parallel()
	var c catchUp
	at := time.Unix(0, 0)
	for i, look := range []struct {
		after       time.Duration
		match, last uint64
		want        bool
	}{
		{0, 10, 1000, false},
		{10 * time.Second, 990, 2000, false},
		{time.Second, 1000, 2100, false}, // the first thousand took too long
		{100 * time.Millisecond, 2000, 2200, false},
		{100 * time.Millisecond, 2100, 2300, true},
	} {
		at = at.Add(look.after)
		if got := c.reached(look.match, look.last, at, 350*time.Millisecond); got != look.want {
			t.Errorf("look %d: got %v", i, got)
		}
	}
}
