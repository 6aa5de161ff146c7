package client

import (
	"fmt"
	"testing"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
)

func lines(first, last uint64) []Op {
	var ops []Op
	for n := first; n <= last; n++ {
		ops = append(ops, AppendOp("import", event.ExpectAny, testEvent(fmt.Sprint(n))))
	}
	return ops
}

// An import that is broken off and run again, over a faulty cluster, adds every
// line once.
func TestProducerImportsEveryLineOnce(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 3)
	cluster.judge = randomly(5, 6)
	const total, size = 3000, 50
	for attempt := 0; ; attempt++ {
		c := cluster.client(t, Config{})
		p, err := c.Producer(testContext(t), "file")
		if err != nil {
			t.Fatalf("open producer: %v", err)
		}
		if p.Last() == total {
			break
		}
		var last *Pending
		sent := 0
		for first := p.Last() + 1; first <= total; first += size {
			end := min(first+size-1, total)
			last, err = p.Commit(testContext(t), first, end, true, lines(first, end))
			if err != nil {
				t.Fatalf("commit %d: %v", first, err)
			}
			if sent++; attempt < 3 && sent == 12 {
				break // the program dies with commits under way
			}
		}
		if attempt >= 3 && last != nil {
			if _, err := last.Wait(testContext(t)); err != nil {
				t.Fatalf("wait: %v", err)
			}
		}
		_ = c.Close()
	}
	there := cluster.count()
	if len(there) != total {
		t.Errorf("%d lines are there, want %d", len(there), total)
	}
	for id, n := range there {
		if n != 1 {
			t.Errorf("line %s is there %d times", id, n)
		}
	}
}

func TestProducerRefusesSequencesOutOfTurn(t *testing.T) {
	t.Parallel()
	c := newFakeCluster(t, 1).client(t, Config{})
	p, err := c.Producer(testContext(t), "file")
	if err != nil {
		t.Fatalf("open producer: %v", err)
	}
	for _, r := range [][2]uint64{{2, 3}, {0, 1}, {1, 0}} {
		_, err := p.Commit(testContext(t), r[0], r[1], false, nil)
		wantCode(t, err, event.CodeInvalid)
	}
	pending, err := p.Commit(testContext(t), 1, 10, false, lines(1, 2))
	if err != nil {
		t.Fatalf("commit: %v", err)
	}
	result, err := pending.Wait(testContext(t))
	if err != nil || len(result.Results) != 2 || result.Results[1].Position != 2 {
		t.Fatalf("got %+v, %v", result, err)
	}
}

// A refused commit must not let the lines behind it pass.
func TestProducerStopsAtARefusedCommit(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 1)
	cluster.judge = func(_ *fakeNode, c *edriv1.Commit) verdict {
		if c.Sequence == 2 {
			return sayInvalid
		}
		return execute
	}
	c := cluster.client(t, Config{})
	p, err := c.Producer(testContext(t), "file")
	if err != nil {
		t.Fatalf("open producer: %v", err)
	}
	var pending []*Pending
	for n := uint64(1); n <= 5; n++ {
		one, err := p.Commit(testContext(t), n, n, false, lines(n, n))
		if err != nil {
			break
		}
		pending = append(pending, one)
	}
	for i, one := range pending {
		_, err := one.Wait(testContext(t))
		if i == 0 && err != nil {
			t.Errorf("commit 1: %v", err)
		}
		if i == 1 {
			wantCode(t, err, event.CodeInvalid)
		}
		if i > 1 && err == nil {
			t.Errorf("commit %d passed the refused one", i+1)
		}
	}
	if there := cluster.count(); len(there) != 1 {
		t.Errorf("%d lines are there, want 1", len(there))
	}
	if _, err := p.Commit(testContext(t), 6, 6, false, nil); err == nil {
		t.Error("the producer went on")
	}
}
