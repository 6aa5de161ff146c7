package integration

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/integration/cluster"
)

// keyInput is what a client asked of a key. Values are unique, so that a value stands for
// its revision; "" is a key that is not there.
type keyInput struct {
	op            string // "get", "put", "delete", "compare"
	key           string
	expect, value string
}

// keyOutput is what it was told.
type keyOutput struct {
	value   string // of a get
	held    bool   // of a compare
	unknown bool   // it may have taken effect
}

// keyModel is one key: its value.
var keyModel = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byKey := map[string][]porcupine.Operation{}
		for _, o := range history {
			key := o.Input.(keyInput).key
			byKey[key] = append(byKey[key], o)
		}
		var parts [][]porcupine.Operation
		for _, part := range byKey {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		is, in, out := state.(string), input.(keyInput), output.(keyOutput)
		switch in.op {
		case "get":
			return out.value == is, is
		case "put":
			return true, in.value
		case "delete":
			return true, ""
		}
		holds := is == in.expect
		if !out.unknown && holds != out.held {
			return false, is
		}
		if holds {
			return true, in.value
		}
		return true, is
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v: %+v", input, output) },
}

// keyClients use keys and write down what they did.
type keyClients struct {
	t     *testing.T
	began time.Time

	mu      sync.Mutex
	history []porcupine.Operation
	unknown int
	// revisions has each value's.
	revisions map[string]event.Position

	done   atomic.Int64 // operations that were answered
	values atomic.Int64
}

var checkedKeys = []string{"a", "b", "c", "d", "e", "f"}

// run uses random keys until ctx ends.
func (k *keyClients) run(ctx context.Context, id int, c *client.Client) {
	b := c.Bucket("checked")
	random := rand.New(rand.NewPCG(uint64(id), uint64(k.began.UnixNano())))
	for ctx.Err() == nil {
		in := keyInput{op: "get", key: checkedKeys[random.IntN(len(checkedKeys))]}
		switch random.IntN(10) {
		case 0, 1:
			in.op = "put"
		case 2:
			in.op = "delete"
		case 3, 4, 5:
			in.op = "compare"
		}
		k.one(ctx, id, b, in)
	}
}

// one does an operation; a compare reads first, with a read that counts like others.
func (k *keyClients) one(ctx context.Context, id int, b *client.Bucket, in keyInput) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	var revision event.Position
	if in.op == "compare" || in.op == "get" {
		call := k.now()
		e, err := b.Get(ctx, in.key, client.KeyReadOptions{})
		if err != nil && event.CodeOf(err) != event.CodeNotFound {
			return // it had no effect
		}
		k.tell(id, keyInput{op: "get", key: in.key}, keyOutput{value: string(e.Value)}, call)
		k.sees(string(e.Value), e.Revision)
		if in.op == "get" {
			return
		}
		in.expect, revision = string(e.Value), e.Revision
	}
	if in.op != "delete" {
		in.value = fmt.Sprint(k.values.Add(1))
	}
	call := k.now()
	var err error
	var made event.Position
	switch in.op {
	case "put":
		made, err = b.Put(ctx, in.key, []byte(in.value), client.PutOptions{})
	case "delete":
		_, err = b.Delete(ctx, in.key, client.DeleteOptions{})
	default:
		made, err = b.CompareAndSet(ctx, in.key, revision, []byte(in.value), client.PutOptions{})
	}
	switch code := event.CodeOf(err); {
	case err == nil:
		k.tell(id, in, keyOutput{held: true}, call)
		k.sees(in.value, made)
	case code == event.CodeRevisionConflict && in.op == "compare":
		k.tell(id, in, keyOutput{}, call)
	case code == event.CodeOutcomeUnknown:
		k.tell(id, in, keyOutput{unknown: true}, call)
	case ctx.Err() == nil:
		k.t.Errorf("%+v: %v", in, err)
	}
}

func (k *keyClients) now() int64 { return int64(time.Since(k.began)) }

func (k *keyClients) tell(id int, in keyInput, out keyOutput, call int64) {
	o := porcupine.Operation{ClientId: id, Input: in, Output: out, Call: call, Return: k.now()}
	k.mu.Lock()
	defer k.mu.Unlock()
	if out.unknown {
		o.Return = math.MaxInt64 // it may take effect at any time to come
		k.unknown++
	} else {
		k.done.Add(1)
	}
	k.history = append(k.history, o)
}

// sees holds a value to one revision.
func (k *keyClients) sees(value string, revision event.Position) {
	if value == "" {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if was, ok := k.revisions[value]; ok && was != revision {
		k.t.Errorf("value %s has revisions %d and %d", value, was, revision)
	}
	k.revisions[value] = revision
}

// check has porcupine look for an order in which one key after the other did all that.
func (k *keyClients) check() {
	k.t.Helper()
	k.t.Logf("%d operations, %d of them with an unknown outcome", len(k.history), k.unknown)
	for i := range k.history { // clients' numbers must be of one operation at a time
		if k.history[i].Return == math.MaxInt64 {
			k.history[i].ClientId = 1000 + i
		}
	}
	if got := porcupine.CheckOperationsTimeout(keyModel, k.history, time.Minute); got != porcupine.Ok {
		k.t.Errorf("the history of the keys is %s, not linearizable", got)
	}
}

// twins are two keys that only ever change together.
type twins struct {
	t     *testing.T
	moved atomic.Int64
	read  atomic.Int64
}

func (w *twins) move(ctx context.Context, c *client.Client) {
	for i := 0; ctx.Err() == nil; i++ {
		value := fmt.Append(nil, i)
		_, err := c.Txn(ctx, client.KeyTxn{Then: []client.KeyStep{
			client.PutKey("left", "twin", value, client.PutOptions{}), client.PutKey("right", "twin", value, client.PutOptions{}),
		}})
		if err == nil {
			w.moved.Add(1)
		}
	}
}

// look reads both, as a transaction reads them.
func (w *twins) look(ctx context.Context, c *client.Client) {
	for ctx.Err() == nil {
		r, err := c.Txn(ctx, client.KeyTxn{Then: []client.KeyStep{client.GetKey("left", "twin"), client.GetKey("right", "twin")}})
		if err != nil {
			continue
		}
		w.read.Add(1)
		left, right := r.Steps[0].Entry, r.Steps[1].Entry
		if (left == nil) != (right == nil) || left != nil && string(left.Value) != string(right.Value) {
			w.t.Errorf("twins differ: %+v and %+v", left, right)
		}
	}
}

func TestKeysAreLinearizableUnderFaults(t *testing.T) {
	t.Parallel()
	rounds := 4
	if soak() {
		rounds = 40
	}
	c := start(t, 3)
	ctx := within(t, time.Duration(rounds)*40*time.Second)
	clients := make([]*client.Client, 8)
	for i := range clients {
		// Each begins elsewhere.
		urls := c.URLs()
		var err error
		clients[i], err = client.New(client.Config{Servers: append(urls[i%3:len(urls):len(urls)], urls[:i%3]...)})
		must(t, err)
		defer clients[i].Close()
	}
	for _, name := range []string{"checked", "left", "right"} {
		_, err := clients[0].CreateBucket(ctx, name, client.BucketConfig{})
		must(t, err)
	}
	k := &keyClients{t: t, began: time.Now(), revisions: map[string]event.Position{}}
	w := &twins{t: t}
	working, stop := context.WithCancel(ctx)
	defer stop()
	var users sync.WaitGroup
	for i, c := range clients {
		users.Go(func() { k.run(working, i, c) })
	}
	users.Go(func() { w.move(working, clients[0]) })
	users.Go(func() { w.look(working, clients[1]) })
	var watched keyWatcher
	users.Go(func() { watched.run(working, t, clients[2]) })

	disturb(ctx, t, c, rounds, func() int64 { return k.done.Load() })
	last := watched.await(ctx, t, clients[0])
	stop()
	users.Wait()
	k.check()
	watched.check(t, last)
	if w.moved.Load() == 0 || w.read.Load() == 0 {
		t.Errorf("twins were moved %d and read %d times", w.moved.Load(), w.read.Load())
	}
}

// The checker must bite: these histories no single key can have made.
func TestHistoriesThatAreNotLinearizableAreFound(t *testing.T) {
	t.Parallel()
	op := func(call, end int64, in keyInput, out keyOutput) porcupine.Operation {
		in.key = "k"
		return porcupine.Operation{ClientId: int(call), Input: in, Output: out, Call: call, Return: end}
	}
	put := op(1, 2, keyInput{op: "put", value: "1"}, keyOutput{held: true})
	unknown := op(3, math.MaxInt64, keyInput{op: "put", value: "2"}, keyOutput{unknown: true})
	for name, c := range map[string]struct {
		history []porcupine.Operation
		want    bool
	}{
		"a read of what was put":     {[]porcupine.Operation{put, op(3, 4, keyInput{op: "get"}, keyOutput{value: "1"})}, true},
		"a stale read":               {[]porcupine.Operation{put, op(3, 4, keyInput{op: "get"}, keyOutput{})}, false},
		"a put that is seen or not":  {[]porcupine.Operation{put, unknown, op(4, 5, keyInput{op: "get"}, keyOutput{value: "1"}), op(6, 7, keyInput{op: "get"}, keyOutput{value: "2"})}, true},
		"a put that is undone":       {[]porcupine.Operation{put, unknown, op(4, 5, keyInput{op: "get"}, keyOutput{value: "2"}), op(6, 7, keyInput{op: "get"}, keyOutput{value: "1"})}, false},
		"two comparisons that hold":  {[]porcupine.Operation{put, op(3, 5, keyInput{op: "compare", expect: "1", value: "2"}, keyOutput{held: true}), op(4, 6, keyInput{op: "compare", expect: "1", value: "3"}, keyOutput{held: true})}, false},
		"a comparison that does not": {[]porcupine.Operation{put, op(3, 4, keyInput{op: "compare", expect: "1", value: "2"}, keyOutput{})}, false},
	} {
		if got := porcupine.CheckOperations(keyModel, c.history); got != c.want {
			t.Errorf("%s: linearizable is %v", name, got)
		}
	}
}

// disturb kills and pauses leaders while work goes on in between.
func disturb(ctx context.Context, t *testing.T, c *cluster.Cluster, rounds int, done func() int64) {
	for round := range rounds {
		before := done()
		waitUntil(t, ctx, func() bool { return done() >= before+300 })
		victim := leader(t, c)
		if round%2 == 0 {
			must(t, victim.Kill())
			leader(t, c)
			must(t, victim.Start())
		} else {
			must(t, victim.Pause())
			leader(t, c)
			must(t, victim.Resume())
		}
		must(t, victim.WaitReady(ctx))
	}
	before := done()
	waitUntil(t, ctx, func() bool { return done() >= before+100 })
}

// keyWatcher follows the checked keys, whatever node is lost.
type keyWatcher struct {
	mu       sync.Mutex
	position event.Position
	told     []event.Position
}

func (w *keyWatcher) run(ctx context.Context, t *testing.T, c *client.Client) {
	watch := c.Bucket("checked").Watch(ctx, client.WatchOptions{From: 1})
	for watch.Next() {
		w.mu.Lock()
		for _, e := range watch.Changes() {
			w.told = append(w.told, e.Revision)
		}
		w.position = watch.Position()
		w.mu.Unlock()
	}
	if ctx.Err() == nil {
		t.Errorf("watch: %v", watch.Err())
	}
}

// await waits until the watch has told all that there is now, and returns up to where.
func (w *keyWatcher) await(ctx context.Context, t *testing.T, c *client.Client) []event.Position {
	var want []event.Position
	for e, err := range c.Read(ctx, client.Query{Stream: "kv/checked", TypePrefix: "edri.kv.", Consistency: client.Linearizable}) {
		must(t, err)
		if e.Subject != "" { // not the bucket's own
			want = append(want, e.Position)
		}
	}
	waitUntil(t, ctx, func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.position >= want[len(want)-1]
	})
	return want
}

// check holds what was told to the history: nothing is left out, nothing comes twice.
func (w *keyWatcher) check(t *testing.T, want []event.Position) {
	if len(w.told) < len(want) {
		t.Fatalf("%d changes were told, want at least %d", len(w.told), len(want))
	}
	for i, p := range want {
		if w.told[i] != p {
			t.Fatalf("change %d is told as %d, want %d", i, w.told[i], p)
		}
	}
}
