package consensus_test

import (
	"testing"

	"github.com/edri-io/edri/consensus"
)

func TestChangesOfTheMembersAreOneAtATime(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	do := func(commit []byte) string { return brief(h.decode(h.raw(commit)[0].Result)) }
	join := consensus.Change{Kind: consensus.ChangeJoin, New: "n2.b", Address: "two:1"}
	for i, step := range []struct {
		commit []byte
		want   string
	}{
		{consensus.BeginChangeCommit(join, 0), "0: ok"},
		{consensus.BeginChangeCommit(join, 0), "0: ok"}, // the same again
		{consensus.BeginChangeCommit(consensus.Change{Kind: consensus.ChangeRemove, Old: "n1.a"}, 0), "error unavailable"},
		{consensus.ExpectCommit("n1", "n1.a", 0), "0: ok"},
		{consensus.ExpectCommit("n7", "n1.a", 0), "0: ok"},
		{consensus.ExpectCommit("", "n1.a", 0), "error invalid"},
		{consensus.EndChangeCommit(99, "", "", 0), "0: ok"}, // another, long ended
	} {
		if got := do(step.commit); got != step.want {
			t.Errorf("step %d: got %q, want %q", i, got, step.want)
		}
	}
	h.reopen(true)
	pending := func() *consensus.Change {
		v := h.core.View()
		defer v.Close()
		c, err := v.PendingChange()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	got := pending()
	if got == nil || got.Number == 0 || got.New != "n2.b" || got.Address != "two:1" || got.Began == 0 {
		t.Fatalf("pending is %+v", got)
	}
	do(consensus.EndChangeCommit(got.Number, "n1.a", "", 0))
	if again := pending(); again != nil {
		t.Fatalf("pending is %+v after its end", again)
	}
	v := h.core.View()
	members, err := v.Members()
	expected, err2 := v.Expectations()
	v.Close()
	if err != nil || err2 != nil || len(expected) != 0 || len(members) != 2 || !members[0].Removed || members[1].RaftAddress != "two:1" {
		t.Errorf("members %+v, expected %v, errors %v, %v", members, expected, err, err2)
	}
	if got := do(consensus.AdvertiseCommit("n1.a", "http://back", "back:1", 0)); got != "error denied" {
		t.Errorf("what was removed advertises itself: got %q", got)
	}
	if got := do(consensus.BeginChangeCommit(consensus.Change{Kind: consensus.ChangeJoin, New: "n1.a"}, 0)); got != "error denied" {
		t.Errorf("what was removed joins: got %q", got)
	}
}
