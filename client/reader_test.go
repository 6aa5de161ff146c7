package client

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/edri-io/edri/event"
)

// fill puts n events straight into the cluster.
func (c *fakeCluster) fill(t *testing.T, n int) {
	t.Helper()
	client := c.client(t, Config{})
	ops := make([]Op, 0, 1000)
	for i := range n {
		ops = append(ops, AppendOp("s", event.ExpectAny, testEvent(fmt.Sprint(i+1))))
		if len(ops) == cap(ops) || i == n-1 {
			if _, err := client.Commit(testContext(t), ops...); err != nil {
				t.Fatalf("fill: %v", err)
			}
			ops = ops[:0]
		}
	}
}

func TestReadGivesWhatWasAppended(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 1)
	c := cluster.client(t, Config{})
	e := testEvent("1")
	e.Subject, e.DataContentType = "subject", "text/plain"
	e.Extensions = map[string]event.Value{event.AttrCorrelation: event.String("c")}
	if _, err := c.Append(testContext(t), "s", 0, e); err != nil {
		t.Fatalf("append: %v", err)
	}
	for got, err := range c.Read(testContext(t), Query{}) {
		if err != nil {
			t.Fatalf("read: %v", err)
		}
		if got.Position != 1 || got.Revision != 1 || got.Stream != "s" || got.Stamp.IsZero() {
			t.Errorf("got place %+v", got)
		}
		if got.ID != e.ID || got.Subject != e.Subject || string(got.Data) != string(e.Data) ||
			got.Extensions[event.AttrCorrelation] != event.String("c") {
			t.Errorf("got event %+v, want %+v", got.Event, e)
		}
	}
}

func TestReadGoesOnAfterBrokenConnections(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 2)
	cluster.fill(t, 500)
	cluster.with(func() { cluster.cutReads = 3 })
	c := cluster.client(t, Config{})
	want := event.Position(1)
	for got, err := range c.Read(testContext(t), Query{}) {
		if err != nil {
			t.Fatalf("read: %v", err)
		}
		if got.Position != want {
			t.Fatalf("got position %d, want %d", got.Position, want)
		}
		want++
	}
	if want != 501 {
		t.Errorf("read up to %d, want 500", want-1)
	}
}

// What was there when the read began is given, no less and no more, although the
// node that goes on with it is behind, and catches up to more than that.
func TestReadEndsWhereItWouldHaveEndedAtItsFirstNode(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 2)
	cluster.fill(t, 100)
	cluster.with(func() {
		cluster.nodes[1].behind = 70
		cluster.readFrame, cluster.cutReads = 20, 1
	})
	c := cluster.client(t, Config{})
	r := c.OpenRead(testContext(t), Query{})
	n := 0
	for r.Next() {
		if n++; n == 1 {
			cluster.nodes[0].stop()
			cluster.with(func() { cluster.cutReads = 0 })
			mustAppend(t, c, "s", "later")
		}
	}
	if r.Err() != nil || n != 100 {
		t.Errorf("read %d events and %v, want the 100 that were there", n, r.Err())
	}
}

func TestTailResumesWithoutLossOrRepeat(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 2)
	cluster.fill(t, 50)
	cluster.with(func() { cluster.cutReads = 2; cluster.readFrame = 3 })
	c := cluster.client(t, Config{})
	ctx, cancel := context.WithCancel(testContext(t))
	defer cancel()
	written := make(chan struct{})
	go func() {
		defer close(written)
		for i := range 100 {
			mustAppend(t, c, "s", name("later", i))
		}
	}()
	want := event.Position(1)
	for got, err := range c.Tail(ctx, Query{Stream: "s"}) {
		if err != nil {
			if want != 151 || !errors.Is(err, context.Canceled) {
				t.Fatalf("tail at %d: %v", want, err)
			}
			continue
		}
		if got.Position != want {
			t.Fatalf("got position %d, want %d", got.Position, want)
		}
		if want++; want == 151 {
			cancel()
		}
	}
	<-written
}

func TestLimitHoldsAcrossConnections(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 1)
	cluster.fill(t, 100)
	cluster.with(func() { cluster.cutReads = 1 })
	c := cluster.client(t, Config{})
	for _, open := range []func(context.Context, Query) *Reader{c.OpenRead, c.OpenTail} {
		n := 0
		r := open(testContext(t), Query{Limit: 35})
		for r.Next() {
			n++
		}
		if r.Err() != nil || n != 35 {
			t.Errorf("read %d events and %v, want 35", n, r.Err())
		}
		if got := r.Cursor(); got != "35" {
			t.Errorf("got cursor %s, want 35", got)
		}
	}
}

func TestCursorSkipsNothing(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 1)
	cluster.fill(t, 30)
	c := cluster.client(t, Config{})
	r := c.OpenRead(testContext(t), Query{})
	for range 15 {
		r.Next()
	}
	cursor := r.Cursor()
	r.Close()
	if r.Next() {
		t.Error("a closed reader went on")
	}
	next := c.OpenRead(testContext(t), Query{Cursor: cursor})
	defer next.Close()
	if !next.Next() || next.Event().Position > 16 {
		t.Errorf("went on at %d, want 16 or before", next.Event().Position)
	}
}

func TestTailEndsWithItsContext(t *testing.T) {
	t.Parallel()
	c := newFakeCluster(t, 1).client(t, Config{})
	ctx, cancel := context.WithCancel(t.Context())
	r := c.OpenTail(ctx, Query{})
	go cancel()
	if r.Next() {
		t.Fatal("got an event of an empty history")
	}
	if err := r.Err(); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

// A client that only reads, and was told of one node, learns of the others at once:
// with the interval of its further questions this would take 2 s.
func TestReaderOutlivesTheServerItWasToldOf(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 2)
	cluster.fill(t, 1)
	c := cluster.client(t, Config{Servers: []string{cluster.nodes[0].url}})
	c.watchEvery = time.Hour
	r := c.OpenTail(testContext(t), Query{Stream: "s"})
	defer r.Close()
	if !r.Next() {
		t.Fatalf("no first event: %v", r.Err())
	}
	awaitServers(t, c, 2)
	cluster.nodes[0].stop()
	mustAppend(t, cluster.client(t, Config{Servers: []string{cluster.nodes[1].url}}), "s", "2")
	if !r.Next() || r.Event().Position != event.Position(2) {
		t.Errorf("got position %d, %v", r.Event().Position, r.Err())
	}
}

func TestQuestionsOutliveTheServerTheyWereToldOf(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 2)
	c := cluster.client(t, Config{Servers: []string{cluster.nodes[0].url}})
	c.watchEvery = time.Hour
	if _, err := c.Status(testContext(t)); err != nil {
		t.Fatal(err)
	}
	awaitServers(t, c, 2)
	cluster.nodes[0].stop()
	if status, err := c.Status(testContext(t)); err != nil || status.Server != cluster.nodes[1].url {
		t.Errorf("got an answer of %q, %v", status.Server, err)
	}
}

// awaitServers waits until the client knows so many servers.
func awaitServers(t *testing.T, c *Client, n int) {
	t.Helper()
	ctx := testContext(t)
	for {
		c.servers.mu.Lock()
		known := len(c.servers.urls)
		c.servers.mu.Unlock()
		if known >= n {
			return
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("the client knows %d servers, want %d", known, n)
		}
	}
}

func TestCloseOfTheClientEndsItsReads(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 1)
	cluster.fill(t, 1)
	c := cluster.client(t, Config{})
	r := c.OpenTail(testContext(t), Query{})
	if !r.Next() {
		t.Fatalf("no first event: %v", r.Err())
	}
	closed := make(chan error)
	go func() { closed <- c.Close() }()
	if r.Next() {
		t.Errorf("got position %d of a closed client", r.Event().Position)
	}
	if err := r.Err(); !errors.Is(err, ErrClosed) || event.CodeOf(err) != event.CodeUnavailable {
		t.Errorf("got %v, want unavailable with ErrClosed in it", err)
	}
	if err := <-closed; err != nil {
		t.Errorf("close: %v", err)
	}
	if r := c.OpenRead(testContext(t), Query{}); r.Next() || !errors.Is(r.Err(), ErrClosed) {
		t.Errorf("a read of a closed client ends with %v", r.Err())
	}
}
