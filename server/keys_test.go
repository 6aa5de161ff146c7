package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers"
)

// withKeys is a node and a client of it.
func withKeys(t *testing.T) (*client.Client, context.Context) {
	t.Helper()
	s := start(t, single(t))
	c, err := client.New(client.Config{Servers: []string{s.URL()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return c, ctx
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func codeIs(t *testing.T, what string, err error, want event.Code) {
	t.Helper()
	if got := event.CodeOf(err); got != want {
		t.Errorf("%s: got %v, want %s", what, err, want)
	}
}

func TestKeysOfANode(t *testing.T) {
	t.Parallel()
	c, ctx := withKeys(t)
	info := must[client.BucketInfo](t)(c.CreateBucket(ctx, "b", client.BucketConfig{History: 3}))
	if info.History != 3 || info.MaxValueBytes != 1<<20 || info.KeepDeleted != 24*time.Hour {
		t.Errorf("bucket is %+v", info)
	}
	_, err := c.CreateBucket(ctx, "b", client.BucketConfig{})
	codeIs(t, "create again", err, event.CodeExists)
	b := c.Bucket("b")
	one := must[event.Position](t)(b.Put(ctx, "k", []byte("one"), client.PutOptions{ContentType: "text/plain"}))
	two := must[event.Position](t)(b.CompareAndSet(ctx, "k", one, []byte("two"), client.PutOptions{TTL: time.Hour}))
	_, err = b.CompareAndSet(ctx, "k", one, []byte("three"), client.PutOptions{})
	var conflict *event.Error
	if !errors.As(err, &conflict) || conflict.Code != event.CodeRevisionConflict || conflict.Actual != event.Revision(two) {
		t.Errorf("compare with %d: %v", one, err)
	}
	e := must[client.KeyEntry](t)(b.Get(ctx, "k", client.KeyReadOptions{}))
	if string(e.Value) != "two" || e.Revision != two || e.Created != one || time.Until(e.Expires) < 50*time.Minute {
		t.Errorf("key is %+v", e)
	}
	e = must[client.KeyEntry](t)(b.Get(ctx, "k", client.KeyReadOptions{At: one}))
	if string(e.Value) != "one" || e.ContentType != "text/plain" || e.Revision != one {
		t.Errorf("key at %d is %+v", one, e)
	}
	_, err = b.Get(ctx, "k", client.KeyReadOptions{At: 1 << 40})
	codeIs(t, "a position to come", err, event.CodeInvalid)
	_, err = b.Get(ctx, "none", client.KeyReadOptions{Stale: true})
	codeIs(t, "no key", err, event.CodeNotFound)
	_, err = c.Bucket("none").Get(ctx, "none", client.KeyReadOptions{})
	codeIs(t, "no bucket", err, event.CodeNotFound)
	must[event.Position](t)(b.Delete(ctx, "k", client.DeleteOptions{}))
	list, cut, err := b.History(ctx, "k", client.KeyReadOptions{})
	if err != nil || cut || len(list) != 3 || list[2].Kind != client.KeyDeleted {
		t.Errorf("history is %+v, cut %v, %v", list, cut, err)
	}
	if err := c.DeleteBucket(ctx, "b"); err != nil {
		t.Errorf("delete bucket: %v", err)
	}
	for info, err := range c.Buckets(ctx, "", client.KeyReadOptions{}) {
		t.Errorf("bucket is there: %+v, %v", info, err)
	}
}

func TestBadKeysAreRefusedByName(t *testing.T) {
	t.Parallel()
	c, ctx := withKeys(t)
	b := c.Bucket("default")
	steps := make([]client.KeyStep, 10_000)
	for i := range steps {
		steps[i] = client.GetKey("default", "k")
	}
	_, many := b.Txn(ctx, client.KeyTxn{Then: steps})
	_, ttl := b.Put(ctx, "k", nil, client.PutOptions{TTL: -5 * time.Second})
	_, large := b.Put(ctx, "k", make([]byte, 1<<20+1), client.PutOptions{})
	_, control := b.Put(ctx, "a\tb", nil, client.PutOptions{})
	_, get := b.Get(ctx, "a\tb", client.KeyReadOptions{})
	_, history := c.CreateBucket(ctx, "b", client.BucketConfig{History: 5000})
	for want, err := range map[string]error{
		"10000 is more than 1000": many, "ttl: -5s": ttl,
		"value in bytes: 1048577 is more than 1048576": large, `key "a\tb": has the character U+0009`: control, `key "a\tb": has`: get,
		"config.history: 5000": history,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error about %s", err, want)
		}
		if code := event.CodeOf(err); code != event.CodeInvalid && code != event.CodeTooLarge {
			t.Errorf("%v is %s", err, code)
		}
	}
}

// What looks like the change of a key comes from nobody but the keys.
func TestNobodyElseAppendsToTheStreamsOfKeys(t *testing.T) {
	t.Parallel()
	c, ctx := withKeys(t)
	must[event.Position](t)(c.Bucket("default").Put(ctx, "k", []byte("v"), client.PutOptions{}))
	e := event.Event{ID: "1", Source: "/test", Type: "order.placed", Subject: "kv/default"}
	own := event.Event{ID: "2", Source: "/edri/kv", Type: "edri.kv.put", Subject: "k"}
	_, stream := c.Append(ctx, "kv/default", event.ExpectAny, e)
	_, subject := c.Append(ctx, "", event.ExpectAny, e)
	_, run := c.Append(ctx, "run/1", event.ExpectAny, e)
	_, typ := c.Append(ctx, "elsewhere", event.ExpectAny, own)
	_, request := c.Send(ctx, "elsewhere", own, client.CallOptions{Timeout: time.Second})
	_, later := c.AppendLater(ctx, "kv/later", e, time.Now().Add(time.Hour))
	for what, err := range map[string]error{
		`stream "kv/default": `: stream, `stream "kv/default": streams`: subject, `stream "run/1": `: run, `type "edri.kv.put": `: typ,
		`type "edri.kv.put": types`: request, `stream "kv/later": `: later,
	} {
		if event.CodeOf(err) != event.CodeInvalid || !strings.Contains(err.Error(), what) {
			t.Errorf("got %v, want invalid with %s", err, what)
		}
	}
}

// All of a commit, keys beside events, or nothing.
func TestKeysChangeTogetherWithEvents(t *testing.T) {
	t.Parallel()
	c, ctx := withKeys(t)
	e := event.Event{ID: "1", Source: "/test", Type: "test"}
	result, err := c.Commit(ctx,
		client.CompareKeyOp(client.KeyExists("default", "k", false)),
		client.PutKeyOp("default", "k", []byte("v"), client.PutOptions{}),
		client.AppendOp("s", event.ExpectAny, e),
		client.KeyTxnOp(client.KeyTxn{
			If:        []client.KeyCondition{client.KeyHas("default", "k", []byte("v"))},
			Then:      []client.KeyStep{client.PutKey("default", "l", []byte("w"), client.PutOptions{}), client.GetKey("default", "l"), client.GetKey("default", "none")},
			Otherwise: []client.KeyStep{client.DeleteKey("default", "k", client.DeleteOptions{})},
		}))
	if err != nil {
		t.Fatal(err)
	}
	txn := result.Results[3].Txn
	if result.Results[1].Key.Revision != 2 || result.Results[2].Position != 3 || txn == nil || !txn.Succeeded ||
		txn.Steps[0].Revision != 4 || string(txn.Steps[1].Entry.Value) != "w" || txn.Steps[2].Entry != nil {
		t.Errorf("results are %+v", result.Results)
	}
	e.ID = "2"
	_, err = c.Commit(ctx, client.AppendOp("s", event.ExpectAny, e), client.CompareKeyOp(client.KeyAt("default", "k", 1)))
	codeIs(t, "condition", err, event.CodeCheckFailed)
	if stream := must[client.Stream](t)(c.Stream(ctx, "s", client.ReadOptions{})); stream.Revision != 1 {
		t.Errorf("stream is %+v", stream)
	}
}

// A watch is told whole commits in their order, from wherever it goes on.
func TestAWatchTellsWholeCommits(t *testing.T) {
	t.Parallel()
	c, ctx := withKeys(t)
	b := c.Bucket("default")
	first := must[event.Position](t)(b.Put(ctx, "p/0", []byte("0"), client.PutOptions{}))
	page := must[client.KeyPage](t)(b.Page(ctx, "p/", "", 0, client.KeyReadOptions{}))
	if len(page.Keys) != 1 || page.Position != first {
		t.Errorf("page is %+v", page)
	}
	const commits, size = 40, 20
	var writers sync.WaitGroup
	writers.Go(func() {
		for i := range commits {
			steps := []client.KeyStep{client.PutKey("default", "q", nil, client.PutOptions{})}
			for j := range size {
				steps = append(steps, client.PutKey("default", fmt.Sprint("p/", j), fmt.Append(nil, i), client.PutOptions{}))
			}
			if _, err := b.Txn(ctx, client.KeyTxn{Then: steps}); err != nil {
				t.Errorf("transaction %d: %v", i, err)
			}
		}
	})
	defer writers.Wait()
	var told []client.KeyEntry
	cursor := ""
	for len(told) < commits*size {
		o := client.WatchOptions{Prefix: "p/", From: page.Position + 1}
		if cursor != "" {
			o = client.WatchOptions{Prefix: "p/", Cursor: cursor}
		}
		w := b.Watch(ctx, o)
		for range 3 { // and on with another
			if !w.Next() {
				t.Fatal(w.Err())
			}
			if len(w.Changes())%size != 0 {
				t.Errorf("%d changes in a response", len(w.Changes()))
			}
			told, cursor = append(told, w.Changes()...), w.Cursor()
			if len(told) == commits*size {
				break
			}
		}
		w.Close()
	}
	for i, e := range told {
		if e.Key != fmt.Sprint("p/", i%size) || string(e.Value) != fmt.Sprint(i/size) {
			t.Fatalf("change %d is %s=%s", i, e.Key, e.Value)
		}
	}
	if !slices.IsSortedFunc(told, func(a, b client.KeyEntry) int { return int(a.Revision) - int(b.Revision) }) {
		t.Error("changes are out of order")
	}
}

func TestAWatchSaysWhereHistoryIsGone(t *testing.T) {
	t.Parallel()
	c, ctx := withKeys(t)
	b := c.Bucket("default")
	for range 5 {
		must[event.Position](t)(b.Put(ctx, "k", nil, client.PutOptions{}))
	}
	if err := c.PurgeStream(ctx, "kv/default", 4); err != nil {
		t.Fatal(err)
	}
	w := b.Watch(ctx, client.WatchOptions{From: 1})
	if w.Next() {
		t.Errorf("changes are %v", w.Changes())
	}
	codeIs(t, "purged", w.Err(), event.CodeCompacted)
	w = c.Bucket("none").Watch(ctx, client.WatchOptions{})
	w.Next()
	codeIs(t, "no bucket", w.Err(), event.CodeNotFound)
}

func TestExpiryIsTold(t *testing.T) {
	t.Parallel()
	c, ctx := withKeys(t)
	b := c.Bucket("default")
	revision := must[event.Position](t)(b.Put(ctx, "k", nil, client.PutOptions{TTL: 50 * time.Millisecond}))
	w := b.Watch(ctx, client.WatchOptions{Key: "k", From: revision})
	defer w.Close()
	var kinds []client.KeyKind
	for len(kinds) < 2 && w.Next() {
		for _, e := range w.Changes() {
			kinds = append(kinds, e.Kind)
		}
	}
	if w.Err() != nil || !slices.Equal(kinds, []client.KeyKind{client.KeyPut, client.KeyExpired}) {
		t.Errorf("kinds are %v, %v", kinds, w.Err())
	}
	_, err := b.Get(ctx, "k", client.KeyReadOptions{})
	codeIs(t, "expired", err, event.CodeNotFound)
}

// The cursor of a watch that tells nothing goes on while others are busy.
func TestAWatchSaysHowFarItIsWhileOthersAreBusy(t *testing.T) {
	t.Parallel()
	c, ctx := withKeys(t)
	b := c.Bucket("default")
	must[event.Position](t)(b.Put(ctx, "other", nil, client.PutOptions{}))
	var busy sync.WaitGroup
	working, stop := context.WithCancel(ctx)
	busy.Go(func() {
		for n := 0; working.Err() == nil; n++ {
			if n%2 == 0 {
				_, _ = b.Put(working, "other", nil, client.PutOptions{})
			} else {
				_, _ = c.Append(working, "s", event.ExpectAny, event.Event{ID: fmt.Sprint(n), Source: "/test", Type: "test"})
			}
			time.Sleep(time.Millisecond)
		}
	})
	defer busy.Wait()
	defer stop()
	w := b.Watch(ctx, client.WatchOptions{Key: "k"})
	defer w.Close()
	last := event.Position(0)
	for n := range 2 {
		if !w.Next() || len(w.Changes()) > 0 || w.Position() <= last {
			t.Fatalf("mark %d is at %d, after %d, with %v: %v", n, w.Position(), last, w.Changes(), w.Err())
		}
		last = w.Position()
	}
}

// A worker of any language reads keys, and changes them in the commit of its ack.
func TestAProcessWorkerReadsAndChangesKeys(t *testing.T) {
	t.Parallel()
	c, ctx := withKeys(t)
	must[event.Position](t)(c.Bucket("default").Put(ctx, "rate", []byte("7"), client.PutOptions{}))
	must[client.Appended](t)(c.Append(ctx, "orders", event.ExpectAny, event.Event{ID: "1", Source: "/test", Type: "order"}))
	const script = `
read -r hello
read -r deliver
echo '{"get":{"id":5,"key":"rate"}}'
read -r found
echo '{"get":{"id":6,"bucket":"none","key":"x"}}'
read -r missing
echo "$found" >&2
case "$found$missing" in
*'"id":5,"found":true,"value":"7","revision":"2"'*'"id":6,"found":false'*) ;;
*) exit 1 ;;
esac
echo '{"ack":{"id":1,"put":[{"key":"total","value":{"n":7},"expected":0},{"key":"note","value":"x","ttlMs":3600000}],"delete":[{"key":"rate","expected":"2"}],"append":[{"stream":"done","event":{"type":"done"}}]}}'
read -r stop
`
	p := managers.Process{Command: []string{"/bin/sh", "-c", `echo '{"hello":{"protocol":1}}'` + script}}
	m := must[*managers.Manager](t)(managers.NewProcessWorker("clerk", managers.Config{
		Subscription: event.Subscription{Filter: event.Filter{Exact: map[string]string{"type": "order"}}},
		Start:        managers.Start{First: true}, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}, p))
	working, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() {
		if err := m.Run(working, c); err != nil {
			t.Errorf("worker: %v", err)
		}
	})
	defer running.Wait()
	defer stop()
	w := c.Bucket("default").Watch(ctx, client.WatchOptions{From: 3})
	defer w.Close()
	var changes []client.KeyEntry
	for len(changes) == 0 {
		if !w.Next() {
			t.Fatal(w.Err())
		}
		changes = w.Changes()
	}
	if len(changes) != 3 || changes[0].Key != "total" || string(changes[0].Value) != `{"n":7}` || changes[0].ContentType != "application/json" ||
		string(changes[1].Value) != "x" || changes[1].Expires.IsZero() || changes[2].Kind != client.KeyDeleted {
		t.Errorf("changes are %+v", changes)
	}
	if s := must[client.Stream](t)(c.Stream(ctx, "done", client.ReadOptions{})); s.Position != changes[0].Revision-1 {
		t.Errorf("the effects stand at %d and %d", s.Position, changes[0].Revision)
	}
}

// A node that stops ends the streams of its readers, and is not held back by them.
func TestReadersDoNotHoldTheirNodeBack(t *testing.T) {
	t.Parallel()
	s := start(t, single(t))
	c := must[*client.Client](t)(client.New(client.Config{Servers: []string{s.URL()}}))
	defer c.Close()
	b := c.Bucket("default")
	must[event.Position](t)(b.Put(t.Context(), "k", []byte("v"), client.PutOptions{}))
	must[client.KeyEntry](t)(b.Get(t.Context(), "k", client.KeyReadOptions{})) // the stream stays open
	began := time.Now()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("to stop took %v", took)
	}
}
