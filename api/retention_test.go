package api

import (
	"slices"
	"testing"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
)

// wantFirst fails unless err is compacted and says what is first.
func wantFirst(t *testing.T, err error, first event.Position) {
	t.Helper()
	if e := wantCode(t, err, event.CodeCompacted); e != nil && e.First != first {
		t.Errorf("first is %d, want %d", e.First, first)
	}
}

func (f *fixture) readError(q client.Query) error {
	for _, err := range f.client.Read(testContext(f.t), q) {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestReadsBelowFirstAreCompacted(t *testing.T) {
	t.Parallel()
	f := serve(t, Config{})
	f.fill(2500)
	early := f.client.OpenRead(testContext(t), client.Query{Limit: 10})
	for early.Next() {
	}
	late := f.client.OpenRead(testContext(t), client.Query{Reverse: true, Limit: 10})
	for late.Next() {
	}
	f.node.retain(1200)

	for name, tc := range map[string]struct {
		query client.Query
		want  []event.Position
	}{
		"all":             {client.Query{}, ascending(1200, 2500)},
		"reverse":         {client.Query{Reverse: true}, descending(2500, 1200)},
		"stream":          {client.Query{Stream: "s"}, ascending(1200, 2500)},
		"from first":      {client.Query{From: 1200, To: 1210}, ascending(1200, 1210)},
		"up to below":     {client.Query{To: 1199}, nil},
		"by time":         {client.Query{Since: time.Now().Add(-time.Hour), Limit: 1}, ascending(1200, 1200)},
		"reverse, cursor": {client.Query{Reverse: true, Cursor: late.Cursor()}, descending(2490, 1200)},
	} {
		if got := f.positions(tc.query); !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %d positions %v…, want %d", name, len(got), got[:min(len(got), 5)], len(tc.want))
		}
	}
	for name, q := range map[string]client.Query{
		"below":          {From: 1199},
		"below, reverse": {From: 1199, Reverse: true},
		"cursor":         {Cursor: early.Cursor()}, // what follows position 10 is gone
		"cursor, stream": {Cursor: early.Cursor(), From: 2},
	} {
		t.Log(name)
		wantFirst(t, f.readError(q), 1200)
	}
	_, err := f.client.Get(testContext(t), 1199, client.ReadOptions{})
	wantFirst(t, err, 1200)
}

// A tail that does not keep up is told that it missed something.
func TestASlowTailIsCompacted(t *testing.T) {
	t.Parallel()
	f := serve(t, Config{})
	f.fill(10)
	tail := f.client.OpenTail(testContext(t), client.Query{From: 1})
	defer tail.Close()
	for range 10 {
		if !tail.Next() {
			t.Fatal(tail.Err())
		}
	}
	// The tail stands at the end: what it has read may go, and it follows.
	f.node.retain(11)
	if _, err := f.client.Append(testContext(t), "s", event.ExpectAny, testEvent("late")); err != nil {
		t.Fatal(err)
	}
	if !tail.Next() || tail.Event().Position != 11 {
		t.Fatalf("got position %d, %v", tail.Event().Position, tail.Err())
	}
	// Another begins where events were, in a cluster that went on.
	behind := f.client.OpenTail(testContext(t), client.Query{From: 5})
	defer behind.Close()
	if behind.Next() {
		t.Fatalf("got position %d", behind.Event().Position)
	}
	wantFirst(t, behind.Err(), 11)
}

func TestPurgedBeginningOfAStreamIsCompacted(t *testing.T) {
	t.Parallel()
	f := serve(t, Config{})
	f.fill(20)
	early := f.client.OpenRead(testContext(t), client.Query{Stream: "s", Limit: 3})
	for early.Next() {
	}
	if err := f.client.PurgeStream(testContext(t), "s", 11); err != nil {
		t.Fatal(err)
	}
	for _, q := range []client.Query{{}, {Stream: "s"}, {From: 1}, {TypePrefix: "test."}} {
		if got := f.positions(q); !slices.Equal(got, ascending(11, 20)) {
			t.Errorf("%+v: got %v", q, got)
		}
	}
	wantFirst(t, f.readError(client.Query{Stream: "s", From: 10}), 11)
	wantFirst(t, f.readError(client.Query{Stream: "s", Cursor: early.Cursor()}), 11)
	_, err := f.client.Get(testContext(t), 10, client.ReadOptions{})
	wantFirst(t, err, 11)
	wantCode(t, f.client.PurgeStream(testContext(t), "none", 1), event.CodeNotFound)
	wantCode(t, f.client.PurgeStream(testContext(t), "s", 99), event.CodeInvalid)
}

func TestRetentionIsSetAndShown(t *testing.T) {
	t.Parallel()
	f := serve(t, Config{})
	f.fill(3)
	age, bytes, events := 36*time.Hour, uint64(1<<40), uint64(7)
	if _, err := f.client.SetRetention(testContext(t), client.RetentionChange{Age: &age, Events: &events}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.client.SetRetention(testContext(t), client.RetentionChange{Bytes: &bytes}); err != nil {
		t.Fatal(err)
	}
	got, err := f.client.Retention(testContext(t), client.Linearizable)
	want := client.Retention{Age: age, Bytes: bytes, Events: events, First: 1, Last: 3}
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	_, err = f.client.SetRetention(testContext(t), client.RetentionChange{})
	wantCode(t, err, event.CodeInvalid)
	negative := -time.Second
	_, err = f.client.SetRetention(testContext(t), client.RetentionChange{Age: &negative})
	wantCode(t, err, event.CodeInvalid)
}
