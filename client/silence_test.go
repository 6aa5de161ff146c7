package client

import (
	"context"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/api/edriv1/wire"
	"github.com/edri-io/edri/event"
)

func TestAStreamThatAnswersNoMoreIsReplaced(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 1)
	swallowed := false
	cluster.judge = func(*fakeNode, *edriv1.Commit) verdict {
		if !swallowed {
			swallowed = true
			return swallow
		}
		return execute
	}
	c := cluster.client(t, Config{})
	c.silenceAfter = 20 * time.Millisecond
	mustAppend(t, c, "s", "1")
	if n := cluster.count()["1"]; n != 1 {
		t.Errorf("event 1 is there %d times", n)
	}
}

// A cluster that is slow is not made slower: while its node says that it lives,
// nothing is sent again.
func TestSlowAnswersAreWaitedFor(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 2)
	c := cluster.client(t, Config{})
	c.silenceAfter = 100 * time.Millisecond
	mustAppend(t, c, "s", "0")
	cluster.with(func() {
		for len(cluster.asked) > 0 {
			<-cluster.asked
		}
		cluster.frames = 0
		cluster.hold = func(ctx context.Context) {
			for range 2 { // looks of the client
				select {
				case <-cluster.asked:
				case <-ctx.Done():
				}
			}
		}
	})
	mustAppend(t, c, "s", "1")
	cluster.with(func() {
		if cluster.frames != 1 {
			t.Errorf("the commit was sent %d times", cluster.frames)
		}
	})
}

// A leader that has just been elected says for a moment that it cannot serve:
// it is asked again, and nobody else is made to forward to it.
func TestALeaderThatIsNotReadyYetIsNotShunned(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 3)
	cluster.leader = 1
	var at []int
	cluster.judge = func(n *fakeNode, _ *edriv1.Commit) verdict {
		if at = append(at, n.index); len(at) <= 3 {
			return sayUnavailable
		}
		return execute
	}
	c := cluster.client(t, Config{})
	mustAppend(t, c, "s", "1")
	cluster.with(func() {
		if !slices.Equal(at, []int{1, 1, 1, 1}) {
			t.Errorf("the commit was sent to %v, want the leader 1 alone", at)
		}
	})
}

// A node that lives but belongs to no cluster is left at the first look.
func TestANodeWithoutALeaderIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 2)
	cluster.leader = -1
	first := -1
	cluster.judge = func(n *fakeNode, _ *edriv1.Commit) verdict {
		if first < 0 {
			first = n.index
		}
		if n.index == first {
			return swallow
		}
		return execute
	}
	c := cluster.client(t, Config{})
	c.silenceAfter = 50 * time.Millisecond
	began := time.Now()
	mustAppend(t, c, "s", "1")
	if took := time.Since(began); took < c.silenceAfter {
		t.Errorf("left after %v, before the first look", took)
	}
}

func TestPatienceGrowsWithoutResultsAndStartsOverWithOne(t *testing.T) {
	t.Parallel()
	c, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	l := newLane(c, "")
	defer l.stop()
	for _, want := range []time.Duration{1, 2, 4, 4} {
		if got := l.patienceNow(); got != want*firstPatience {
			t.Errorf("got patience %v, want %v", got, want*firstPatience)
		}
		l.growPatience()
	}
	l.session, l.next = 7, 1
	l.offer(newCall([]byte("op"), 1))
	l.take(nil)
	refused := wire.AppendOpenResult(nil, 7, 1, event.AppendError(nil, event.Errorf(event.CodeUnavailable, "later")))
	var scratch wire.CommitResult
	if l.resolve([][]byte{refused}, &scratch); l.patienceNow() != maxPatience*firstPatience {
		t.Errorf("a refusal brought the patience to %v", l.patienceNow())
	}
	result, err := proto.Marshal(&edriv1.CommitResult{Session: 7, Sequence: 1})
	if err != nil {
		t.Fatal(err)
	}
	l.resolve([][]byte{result}, &scratch)
	if got := l.patienceNow(); got != firstPatience {
		t.Errorf("after a result the patience is %v, want %v", got, firstPatience)
	}
}
