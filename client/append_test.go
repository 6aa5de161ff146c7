package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
)

func TestAppendTellsPositionAndRevision(t *testing.T) {
	t.Parallel()
	c := newFakeCluster(t, 1).client(t, Config{})
	mustAppend(t, c, "a", "1")
	mustAppend(t, c, "b", "2")
	if got, want := mustAppend(t, c, "a", "3"), (Appended{Position: 3, Revision: 2}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestRevisionConflictIsFinalAndTyped(t *testing.T) {
	t.Parallel()
	c := newFakeCluster(t, 1).client(t, Config{})
	mustAppend(t, c, "a", "1")
	_, err := c.Append(testContext(t), "a", 7, testEvent("2"))
	var e *event.Error
	if !errors.As(err, &e) || e.Code != event.CodeRevisionConflict || e.Expected != 7 || e.Actual != 1 {
		t.Fatalf("got %v, want a revision_conflict of 7 and 1", err)
	}
	mustAppend(t, c, "a", "3")
}

func TestInvalidEventsAreRefusedBeforeTheyTravel(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 1)
	c := cluster.client(t, Config{})
	e := testEvent("")
	_, err := c.Append(testContext(t), "a", event.ExpectAny, e)
	wantCode(t, err, event.CodeInvalid)
	_, err = c.Append(testContext(t), "a\x00", event.ExpectAny, testEvent("1"))
	wantCode(t, err, event.CodeInvalid)
	e = testEvent("1")
	e.Data = make([]byte, 1<<20+1)
	_, err = c.Append(testContext(t), "a", event.ExpectAny, e)
	wantCode(t, err, event.CodeTooLarge)
	_, err = c.Commit(testContext(t), make([]Op, 1001)...)
	wantCode(t, err, event.CodeTooLarge)
	if cluster.commits != 0 {
		t.Errorf("%d commits travelled", cluster.commits)
	}
}

func TestEmptyCommitIsAnEmptySuccess(t *testing.T) {
	t.Parallel()
	c := newFakeCluster(t, 1).client(t, Config{})
	result, err := c.Commit(testContext(t))
	if err != nil || len(result.Results) != 0 {
		t.Fatalf("got %+v, %v", result, err)
	}
}

// Whatever a node does to single commits: what was acknowledged is there once,
// what failed is not there, and nothing is there twice.
func TestFaultsLoseDoubleAndMisreportNothing(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			cluster := newFakeCluster(t, 3)
			cluster.leader = int(seed%4) - 1
			cluster.judge = randomly(seed, 20)
			c := cluster.client(t, Config{})
			var mu sync.Mutex
			acknowledged := map[string]event.Position{}
			var callers sync.WaitGroup
			for k := range 40 {
				callers.Go(func() {
					for i := range 25 {
						id := fmt.Sprintf("%d-%d", k, i)
						a, err := c.Append(testContext(t), name("s", k), event.Expected(i), testEvent(id))
						if err != nil {
							t.Errorf("append %s: %v", id, err)
							return
						}
						mu.Lock()
						acknowledged[id] = a.Position
						mu.Unlock()
					}
				})
			}
			callers.Wait()
			for id, n := range cluster.count() {
				if n != 1 {
					t.Errorf("event %s is there %d times", id, n)
				}
			}
			cluster.with(func() {
				if got, want := len(cluster.events), len(acknowledged); got != want {
					t.Errorf("%d events are there, %d were acknowledged", got, want)
				}
				for id, position := range acknowledged {
					if e := cluster.events[position-1]; e.Event.Id != id {
						t.Errorf("position %d was said to be %s and is %s", position, id, e.Event.Id)
					}
				}
			})
		})
	}
}

// Callers with short patience: an outcome_unknown may be there or not, a
// definite error is never there.
func TestShortDeadlinesNeverTurnUnknownIntoFailure(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 2)
	cluster.judge = randomly(99, 10)
	c := cluster.client(t, Config{})
	var mu sync.Mutex
	outcome := map[string]event.Code{}
	var callers sync.WaitGroup
	for k := range 50 {
		callers.Go(func() {
			for i := range 20 {
				id := fmt.Sprintf("%d-%d", k, i)
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+(k*i)%7)*time.Millisecond)
				_, err := c.Append(ctx, "s", event.ExpectAny, testEvent(id))
				cancel()
				mu.Lock()
				outcome[id] = event.CodeOf(err)
				mu.Unlock()
			}
		})
	}
	callers.Wait()
	mustAppend(t, c, "s", "last") // what is still under way is over then
	there := cluster.count()
	codes := map[event.Code]int{}
	for id, code := range outcome {
		codes[code]++
		n := there[id]
		switch code {
		case "":
			if n != 1 {
				t.Errorf("acknowledged %s is there %d times", id, n)
			}
		case event.CodeOutcomeUnknown:
			if n > 1 {
				t.Errorf("unknown %s is there %d times", id, n)
			}
		case event.CodeDeadlineExceeded:
			if n != 0 {
				t.Errorf("failed %s is there %d times", id, n)
			}
		default:
			t.Errorf("%s ended as %s", id, code)
		}
	}
	t.Logf("outcomes: %v", codes)
}

func TestSessionExpiredBeforeTheFirstSendIsInvisible(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 1)
	c := cluster.client(t, Config{})
	mustAppend(t, c, "s", "1")
	cluster.with(func() { clear(cluster.sessions) })
	mustAppend(t, c, "s", "2")
	if n := cluster.count()["2"]; n != 1 {
		t.Errorf("event 2 is there %d times", n)
	}
}

func TestSessionExpiredAfterAnUncertainSendIsOutcomeUnknown(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 1)
	first := true
	cluster.judge = func(_ *fakeNode, c *edriv1.Commit) verdict {
		if first {
			first = false
			defer func() { clear(cluster.sessions) }()
			return dropAfter
		}
		return execute
	}
	// The sessions are cleared in judge, before apply; so it was not executed, but
	// the client cannot know.
	c := cluster.client(t, Config{})
	_, err := c.Append(testContext(t), "s", event.ExpectAny, testEvent("1"))
	wantCode(t, err, event.CodeOutcomeUnknown)
	mustAppend(t, c, "s", "2")
}

func TestARestoredClusterIsOutcomeUnknownForWhatWasUnderWay(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 1)
	c := cluster.client(t, Config{})
	mustAppend(t, c, "s", "1")
	cluster.with(func() {
		first := true
		cluster.judge = func(*fakeNode, *edriv1.Commit) verdict {
			if first {
				first = false
				cluster.epoch = []byte("fedcba9876543210")
				return dropBefore
			}
			return execute
		}
	})
	_, err := c.Append(testContext(t), "s", event.ExpectAny, testEvent("2"))
	wantCode(t, err, event.CodeOutcomeUnknown)
	mustAppend(t, c, "s", "3")
}

func TestWindowOverrunIsOutcomeUnknown(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 1)
	first := true
	cluster.judge = func(_ *fakeNode, c *edriv1.Commit) verdict {
		if first {
			first = false
			return dropAfter
		}
		clear(cluster.sessions[c.Session].kept) // as if 256 others had come
		return execute
	}
	c := cluster.client(t, Config{})
	_, err := c.Append(testContext(t), "s", event.ExpectAny, testEvent("1"))
	wantCode(t, err, event.CodeOutcomeUnknown)
	if n := cluster.count()["1"]; n != 1 {
		t.Errorf("event 1 is there %d times", n)
	}
}

// A node with lower limits refuses a commit: its caller alone fails, and those
// behind it in the lane go on.
func TestARefusedCommitDoesNotHoldBackItsLane(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 1)
	cluster.judge = func(_ *fakeNode, c *edriv1.Commit) verdict {
		for _, op := range c.Ops {
			if op.GetAppend().GetEvent().GetId() == "bad" {
				return sayInvalid
			}
		}
		return execute
	}
	c := cluster.client(t, Config{})
	var callers sync.WaitGroup
	for k := range 30 {
		callers.Go(func() {
			if k%10 == 3 {
				_, err := c.Append(testContext(t), "s", event.ExpectAny, testEvent("bad"))
				if event.CodeOf(err) != event.CodeInvalid {
					t.Errorf("got %v, want invalid", err)
				}
				return
			}
			if _, err := c.Append(testContext(t), "s", event.ExpectAny, testEvent(name("ok", k))); err != nil {
				t.Errorf("append: %v", err)
			}
		})
	}
	callers.Wait()
	if there := cluster.count(); len(there) != 27 || there["bad"] != 0 {
		t.Errorf("there are %d events, %d of them bad", len(there), there["bad"])
	}
}

// The second of two refused commits was written before the first was refused. What the
// stream that is given up has to say of it is certain.
func TestARefusalBehindARefusalIsCertain(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 1)
	c := cluster.client(t, Config{})
	mustAppend(t, c, "s", "1") // there is a lane
	first := make(chan struct{})
	cluster.with(func() {
		cluster.judge = func(_ *fakeNode, c *edriv1.Commit) verdict {
			if len(c.Ops) > 0 && strings.HasPrefix(c.Ops[0].GetAppend().GetEvent().GetId(), "bad") {
				return sayInvalid
			}
			return execute // an emptied one too
		}
		cluster.hold = func(ctx context.Context) {
			close(first)
			for ctx.Err() == nil && !c.pool.lanes[0].wrote(2) {
				time.Sleep(time.Millisecond)
			}
		}
	})
	var callers sync.WaitGroup
	refused := func(id string) {
		callers.Go(func() {
			_, err := c.Append(testContext(t), "s", event.ExpectAny, testEvent(id))
			if event.CodeOf(err) != event.CodeInvalid {
				t.Errorf("%s: got %v, want invalid", id, err)
			}
		})
	}
	refused("bad-1")
	<-first
	cluster.with(func() { cluster.hold = nil })
	refused("bad-2")
	callers.Wait()
	mustAppend(t, c, "s", "2")
}

// wrote reports whether so many calls are under way.
func (l *lane) wrote(n int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sent >= n
}

func TestWritesFollowTheLeaderAndSurviveItsDeath(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 3)
	cluster.leader = 1
	var at []int
	cluster.judge = func(n *fakeNode, c *edriv1.Commit) verdict {
		at = append(at, n.index)
		if n.index != cluster.leader {
			return sayNotLeader
		}
		return execute
	}
	c := cluster.client(t, Config{})
	mustAppend(t, c, "s", "1")
	cluster.with(func() {
		if len(at) != 1 || at[0] != 1 {
			t.Errorf("the first commit went to %v, want the leader 1 alone", at)
		}
	})
	cluster.nodes[1].stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		mustAppend(t, c, "s", "2")
	}()
	cluster.with(func() { cluster.leader = 2 })
	<-done
	cluster.nodes[1].restart()
	mustAppend(t, c, "s", "3")
}

// A node that no longer leads forwards; the lane moves to the new leader without
// losing, doubling or failing anything.
func TestWritesMoveToANewLeader(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 2)
	c := cluster.client(t, Config{})
	c.watchEvery = 5 * time.Millisecond
	moved := make(chan struct{})
	cluster.judge = func(n *fakeNode, _ *edriv1.Commit) verdict {
		if n.index == 1 {
			select {
			case <-moved:
			default:
				close(moved)
			}
		}
		return execute
	}
	var callers sync.WaitGroup
	var sent [20]int
	for k := range sent {
		callers.Go(func() {
			for arrived := false; !arrived; sent[k]++ {
				mustAppend(t, c, "s", fmt.Sprintf("%d-%d", k, sent[k]))
				if k == 0 && sent[k] == 10 {
					cluster.with(func() { cluster.leader = 1 })
				}
				select {
				case <-moved:
					arrived = true
				default:
				}
			}
		})
	}
	callers.Wait()
	want := 0
	for _, n := range sent {
		want += n
	}
	there := cluster.count()
	if len(there) != want {
		t.Errorf("%d events are there, want %d", len(there), want)
	}
	for id, n := range there {
		if n != 1 {
			t.Errorf("event %s is there %d times", id, n)
		}
	}
	cluster.with(func() {
		if len(cluster.sessions) != 1 {
			t.Errorf("%d sessions, want the same one", len(cluster.sessions))
		}
	})
}

// Thousands of callers: all are served, in few frames, within the window of each
// session.
func TestManyCallersShareFramesAndSessions(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 1)
	c := cluster.client(t, Config{})
	var callers sync.WaitGroup
	for k := range 5000 {
		callers.Go(func() {
			if _, err := c.Append(testContext(t), name("s", k), 0, testEvent(name("e", k))); err != nil {
				t.Errorf("append: %v", err)
			}
		})
	}
	callers.Wait()
	cluster.with(func() {
		if len(cluster.events) != 5000 {
			t.Errorf("%d events are there, want 5000", len(cluster.events))
		}
		if len(cluster.sessions) > maxLanes {
			t.Errorf("%d sessions, want at most %d", len(cluster.sessions), maxLanes)
		}
		if cluster.frames > cluster.commits/3 {
			t.Errorf("%d commits in %d frames: they are not coalesced", cluster.commits, cluster.frames)
		}
	})
}

func TestCloseEndsCallsAndSessions(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 1)
	c := cluster.client(t, Config{})
	mustAppend(t, c, "s", "1")
	if err := c.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Fatalf("close again: %v", err)
	}
	cluster.with(func() {
		if len(cluster.sessions) != 0 {
			t.Errorf("%d sessions stand open", len(cluster.sessions))
		}
	})
	_, err := c.Append(testContext(t), "s", event.ExpectAny, testEvent("2"))
	wantCode(t, err, event.CodeUnavailable)
	if !errors.Is(err, ErrClosed) {
		t.Errorf("got %v, want ErrClosed in it", err)
	}
}

func TestCloseWithACommitUnderWayIsOutcomeUnknown(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 1)
	arrived := make(chan struct{})
	cluster.judge = func(*fakeNode, *edriv1.Commit) verdict {
		close(arrived)
		return swallow
	}
	c := cluster.client(t, Config{})
	failed := make(chan error)
	go func() {
		_, err := c.Append(testContext(t), "s", event.ExpectAny, testEvent("1"))
		failed <- err
	}()
	<-arrived
	_ = c.Close()
	wantCode(t, <-failed, event.CodeOutcomeUnknown)
}

func TestNoServerIsUnavailableWithinThePatience(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 1)
	cluster.nodes[0].stop()
	c := cluster.client(t, Config{GiveUpAfter: 50 * time.Millisecond})
	_, err := c.Append(testContext(t), "s", event.ExpectAny, testEvent("1"))
	wantCode(t, err, event.CodeUnavailable)
	_, err = c.Status(testContext(t))
	wantCode(t, err, event.CodeUnavailable)

	c = cluster.client(t, Config{})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = c.Append(ctx, "s", event.ExpectAny, testEvent("1"))
	wantCode(t, err, event.CodeDeadlineExceeded)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want context.DeadlineExceeded in it", err)
	}
	if LastTry(err) == nil {
		t.Errorf("got %v, want why no server was reached", err)
	}
}
