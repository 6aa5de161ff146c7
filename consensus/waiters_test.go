package consensus

import (
	"testing"
	"time"

	"github.com/edri-io/edri/event"
)

type told struct {
	index  int
	result string
	code   event.Code
}

func collect(list *[]told) Done {
	return func(i int, result []byte, err *event.Error) {
		t := told{index: i, result: string(result)}
		if err != nil {
			t.code = err.Code
		}
		*list = append(*list, t)
	}
}

func TestWaitersAreAnsweredOnce(t *testing.T) {
	t.Parallel()
	w := newWaiters()
	var list []told
	s := w.add(3, time.Now().Add(time.Minute), collect(&list))
	other := newWaiters().add(1, time.Now(), collect(&list))
	w.resolve([]Outcome{
		{Waiter: other.first, Result: []byte("of another node")},
		{Waiter: s.first + 1, Result: []byte("one")},
	})
	w.resolve([]Outcome{{Waiter: s.first + 1, Result: []byte("again")}})
	s.refused(1, event.Errorf(event.CodeNotLeader, "late"))
	s.refused(0, event.Errorf(event.CodeNotLeader, "refused"))
	w.close()
	w.expire(time.Now().Add(time.Hour))
	want := []told{{1, "one", ""}, {0, "", event.CodeNotLeader}, {2, "", event.CodeOutcomeUnknown}}
	if len(list) != len(want) {
		t.Fatalf("got %v, want %v", list, want)
	}
	for i := range want {
		if list[i] != want[i] {
			t.Errorf("answer %d: got %v, want %v", i, list[i], want[i])
		}
	}
	if w.add(1, time.Now(), collect(&list)) != nil {
		t.Error("a closed registry took a submission")
	}
}

// A commit whose entry's fate Raft does not know is neither failed nor done.
func TestWaitersPastTheirDeadlineHaveAnUnknownOutcome(t *testing.T) {
	t.Parallel()
	w := newWaiters()
	var list []told
	now := time.Now()
	w.add(1, now.Add(time.Second), collect(&list))
	w.add(1, now.Add(3*time.Second), collect(&list))
	w.expire(now)
	if len(list) != 0 {
		t.Fatalf("before any deadline: %v", list)
	}
	w.expire(now.Add(2 * time.Second))
	if len(list) != 1 || list[0].code != event.CodeOutcomeUnknown {
		t.Errorf("past the first deadline: got %v, want one outcome_unknown", list)
	}
	if len(w.byID) != 1 {
		t.Errorf("%d commits are still remembered, want 1", len(w.byID))
	}
}
