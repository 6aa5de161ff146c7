package consensus_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
)

func (h *harness) setWindow(size uint64) *edriv1.CommitResult {
	h.Helper()
	return h.decode(h.raw(consensus.SettingCommit(consensus.SettingWindow, size, 0))[0].Result)
}

func TestWindowSettingIsChecked(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for _, size := range []uint64{0, consensus.MaxWindow + 1} {
		if got := brief(h.setWindow(size)); got != "error invalid" {
			t.Errorf("%d: got %q", size, got)
		}
	}
	if got := brief(h.decode(h.raw(consensus.SettingCommit("other", 5, 0))[0].Result)); got != "error invalid" {
		t.Errorf("another setting: got %q", got)
	}
	if got := brief(h.setWindow(7)); got != "0: ok" {
		t.Errorf("7: got %q", got)
	}
}

// A first setting that apply refuses would leave a cluster with the default, and
// nobody told.
func TestNodeWithAWindowThatApplyRefusesDoesNotOpen(t *testing.T) {
	t.Parallel()
	_, err := consensus.Open(consensus.Config{
		Name: "n1", Dir: t.TempDir(), Peers: []consensus.Peer{{Name: "n1", Address: "127.0.0.1:1"}},
		Window: consensus.MaxWindow + 1, Fatal: func(int, error) {},
	})
	if err == nil || !strings.Contains(err.Error(), "Window is 10000001") {
		t.Errorf("got %v", err)
	}
}

func TestIdsAreUniqueAmongTheLastEvents(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.setWindow(3)
	h.one(alone(add("a", "1"), add("a", "2"), add("a", "3")))
	for i, step := range []struct {
		commit *edriv1.Commit
		want   string
	}{
		{alone(add("a", "1")), "3: dup 1"},
		{alone(add("a", "4")), "4: 4@4"},                      // 1 is out
		{alone(add("a", "2")), "4: dup 2"},                    // 2 is the oldest within
		{alone(add("a", "5"), add("a", "2")), "5: 5@5 dup 2"}, // judged as the commit began
		{alone(add("a", "1")), "6: 6@6"},
		{alone(addContent("a", "2", "other")), "7: 7@7"},
		{alone(add("a", "1"), add("a", "7"), add("a", "8"), add("a", "9"), add("a", "7")), "10: dup 6 8@8 9@9 10@10 dup 8"},
	} {
		if i%2 == 1 {
			h.reopen(i%3 == 0)
		}
		if got := brief(h.one(step.commit)); got != step.want {
			t.Errorf("step %d: got %q, want %q", i, got, step.want)
		}
	}
}

func TestFailedCommitLeavesTheWindowAlone(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.setWindow(2)
	h.one(alone(add("a", "1"), add("a", "2")))
	h.one(alone(add("a", "3"), add("a", "4"), at(99, add("a", "5"))))
	if got := brief(h.one(alone(add("a", "1"), add("a", "2")))); got != "2: dup 1 dup 2" {
		t.Errorf("got %q", got)
	}
}

func TestGrowingWindowBringsNothingBack(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for i := range 10 {
		h.one(alone(add("a", fmt.Sprint(i+1))))
	}
	h.setWindow(4) // 7 to 10 remain
	h.setWindow(8)
	h.reopen(true)
	if floor, last, _ := consensus.WindowBounds(t, h.core); floor != 7 || last != 10 {
		t.Fatalf("window is %d to %d", floor, last)
	}
	if got := brief(h.one(alone(add("a", "6"), add("a", "7")))); got != "11: 11@11 dup 7" {
		t.Errorf("got %q", got)
	}
	for i := range 10 {
		h.one(alone(add("a", fmt.Sprint(i+20))))
	}
	if floor, last, _ := consensus.WindowBounds(t, h.core); floor != 14 || last != 21 {
		t.Errorf("window is %d to %d, want the last 8", floor, last)
	}
}

func TestFingerprintsBelowTheWindowAreDeleted(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.setWindow(250)
	id := 0
	for range 52 { // rows are deleted at the last
		var ops []*edriv1.Op
		for range 100 {
			id++
			ops = append(ops, add("a", fmt.Sprint(id)))
		}
		h.one(alone(ops...))
	}
	if _, _, rows := consensus.WindowBounds(t, h.core); rows > 15 {
		t.Errorf("%d rows are kept for a window of one", rows)
	}
	h.reopen(true)
	if got := brief(h.one(alone(add("a", fmt.Sprint(id-249)), add("a", fmt.Sprint(id-250))))); got != "5201: dup 4951 5201@5201" {
		t.Errorf("got %q", got)
	}
}
