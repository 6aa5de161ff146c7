package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/api/edriv1/wire"
	"github.com/edri-io/edri/event"
)

// getStream answers each key with its name as its value, or as the test says.
func (n *fakeNode) getStream(ctx context.Context, s *connect.BidiStream[getManyFrame, foundFrame]) error {
	c := n.cluster
	for {
		f, err := s.Receive()
		if err != nil {
			return err
		}
		m, err := f.Message()
		if err != nil {
			return err
		}
		if m.Consistency != edriv1.Consistency_CONSISTENCY_LINEARIZABLE {
			return fmt.Errorf("the read is %v", m.Consistency)
		}
		var keys []string
		for _, k := range m.Keys {
			keys = append(keys, k.Bucket+"/"+k.Key)
		}
		c.mu.Lock()
		answer := c.found
		c.reads = append(c.reads, keys)
		c.mu.Unlock()
		if answer == nil {
			answer = func(_ *fakeNode, keys []string) ([]wire.KeyFound, error) { return foundKeys(keys...), nil }
		}
		found, err := answer(n, keys)
		var own *event.Error
		switch {
		case errors.Is(err, errCutOff):
			return cut(ctx)
		case errors.As(err, &own):
			return connect.NewError(connect.CodeUnavailable, own) // the code that it has here
		case err != nil:
			return err
		}
		if found == nil {
			<-ctx.Done() // says nothing
			return ctx.Err()
		}
		var response []byte
		for _, k := range found {
			if k.Error != nil {
				response = wire.AppendFoundError(response, k.Error)
			} else {
				response = wire.AppendFoundEntry(response, k.Entry)
			}
		}
		if err := s.Send(&foundFrame{Bytes: wire.AppendFoundPosition(response, 7)}); err != nil {
			return err
		}
	}
}

var errCutOff = errors.New("the connection is cut")

func foundKeys(keys ...string) (found []wire.KeyFound) {
	for i, k := range keys {
		b, err := proto.Marshal(&edriv1.KeyEntry{
			Key: k, Value: []byte(k), ContentType: "text/plain", Revision: uint64(i + 1), Created: 1, Stamp: 5, Expires: 6e9,
		})
		if err != nil {
			panic(err)
		}
		found = append(found, wire.KeyFound{Entry: b})
	}
	return found
}

func mustGet(t *testing.T, ctx context.Context, c *Client, key string) {
	t.Helper()
	e, err := c.Bucket("b").Get(ctx, key, KeyReadOptions{})
	if err != nil {
		t.Errorf("get %s: %v", key, err)
		return
	}
	if e.Key != key || string(e.Value) != "b/"+key || e.ContentType != "text/plain" || e.Created != 1 || e.Revision == 0 ||
		!e.Stamp.Equal(time.Unix(0, 5)) || !e.Expires.Equal(time.Unix(6, 0)) {
		t.Errorf("get %s: %+v", key, e)
	}
}

// many gets n keys at a time.
func many(t *testing.T, ctx context.Context, c *Client, n int) {
	t.Helper()
	var readers sync.WaitGroup
	for i := range n {
		readers.Go(func() { mustGet(t, ctx, c, name("k", i)) })
	}
	readers.Wait()
}

func TestReadsThatAreAskedForMeanwhileGoTogether(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 1)
	c, ctx := cluster.client(t, Config{}), testContext(t)
	first, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	cluster.found = func(_ *fakeNode, keys []string) ([]wire.KeyFound, error) {
		once.Do(func() { close(first); <-release })
		return foundKeys(keys...), nil
	}
	var readers sync.WaitGroup
	readers.Go(func() { mustGet(t, ctx, c, "first") })
	<-first
	const n = 600
	for i := range n {
		readers.Go(func() { mustGet(t, ctx, c, name("k", i)) })
	}
	for asked := 0; asked < n; time.Sleep(time.Millisecond) { // until all wait
		c.reads.mu.Lock()
		asked = len(c.reads.waiting)
		for _, batch := range c.reads.sent[1:] {
			asked += len(batch)
		}
		c.reads.mu.Unlock()
	}
	close(release)
	readers.Wait()
	cluster.with(func() {
		total := 0
		for _, keys := range cluster.reads {
			total += len(keys)
			if len(keys) > maxKeyBatch {
				t.Errorf("%d keys in a request", len(keys))
			}
		}
		// The first, what came while it was under way and one more went, and the rest.
		if total != n+1 || len(cluster.reads) > 6 {
			t.Errorf("%d keys in %d requests", total, len(cluster.reads))
		}
	})
}

func TestReadsOutliveTheirStream(t *testing.T) {
	t.Parallel()
	for what, failure := range map[string]error{
		"cut": errCutOff, "unavailable": event.Errorf(event.CodeUnavailable, "no leader is known"),
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			cluster := newFakeCluster(t, 2)
			c, ctx := cluster.client(t, Config{}), testContext(t)
			mustGet(t, ctx, c, "a")
			var mu sync.Mutex
			failed := 0
			cluster.with(func() {
				cluster.found = func(n *fakeNode, keys []string) ([]wire.KeyFound, error) {
					mu.Lock()
					defer mu.Unlock()
					if n.index == 0 {
						failed++
						return nil, failure
					}
					return foundKeys(keys...), nil
				}
			})
			many(t, ctx, c, 100)
			mu.Lock()
			defer mu.Unlock()
			if failed == 0 || failed > 3 {
				t.Errorf("the node that fails was asked %d times", failed)
			}
		})
	}
}

// A node that answers nothing is left for another, though nobody's context ends.
func TestAReadDoesNotWaitForASilentNode(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 2)
	cluster.leader = -1
	c, ctx := cluster.client(t, Config{}), testContext(t)
	c.silenceAfter = 20 * time.Millisecond
	cluster.found = func(n *fakeNode, keys []string) ([]wire.KeyFound, error) {
		if n.index == 0 {
			return nil, nil
		}
		return foundKeys(keys...), nil
	}
	many(t, ctx, c, 10)
}

// Of an answer with fewer keys than were asked for the others are asked for again.
func TestReadsWithoutAnAnswerAreAskedForAgain(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 1)
	c, ctx := cluster.client(t, Config{}), testContext(t)
	cluster.found = func(_ *fakeNode, keys []string) ([]wire.KeyFound, error) {
		return foundKeys(keys[:min(3, len(keys))]...), nil
	}
	many(t, ctx, c, 50)
}

func TestAReadFailsAlone(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 1)
	c, ctx := cluster.client(t, Config{}), testContext(t)
	cluster.found = func(_ *fakeNode, keys []string) ([]wire.KeyFound, error) {
		found := foundKeys(keys...)
		for i, k := range keys {
			switch k {
			case "b/none":
				found[i] = wire.KeyFound{Error: event.AppendError(nil, event.Errorf(event.CodeNotFound, "no such key"))}
			case "b/broken":
				found[i].Entry = []byte{0xff}
			}
		}
		return found, nil
	}
	var readers sync.WaitGroup
	for key, want := range map[string]event.Code{"none": event.CodeNotFound, "broken": event.CodeInternal} {
		readers.Go(func() {
			_, err := c.Bucket("b").Get(ctx, key, KeyReadOptions{})
			wantCode(t, err, want)
		})
	}
	many(t, ctx, c, 20)
	readers.Wait()
}

// An answer to what was not asked ends the reads, and does not settle the wrong ones.
func TestAnAnswerToWhatWasNotAskedIsRefused(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 1)
	c, ctx := cluster.client(t, Config{}), testContext(t)
	cluster.found = func(*fakeNode, []string) ([]wire.KeyFound, error) { return foundKeys("a", "b"), nil }
	_, err := c.Bucket("b").Get(ctx, "k", KeyReadOptions{})
	wantCode(t, err, event.CodeInternal)
}

func TestAbandonedReadsAreNotSent(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 1)
	c, ctx := cluster.client(t, Config{}), testContext(t)
	release := make(chan struct{})
	cluster.found = func(_ *fakeNode, keys []string) ([]wire.KeyFound, error) {
		<-release
		return foundKeys(keys...), nil
	}
	var readers sync.WaitGroup
	get := func(key string) {
		readers.Go(func() { mustGet(t, ctx, c, key) })
		eventuallyTrue(t, key+" is sent", func() bool {
			c.reads.mu.Lock()
			defer c.reads.mu.Unlock()
			return slices.ContainsFunc(c.reads.sent, func(batch []*keyRead) bool { return batch[0].key == key })
		})
	}
	get("one")
	get("two") // now as many are under way as may be
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	_, err := c.Bucket("b").Get(short, "given up", KeyReadOptions{})
	wantCode(t, err, event.CodeDeadlineExceeded)
	close(release)
	readers.Wait()
	mustGet(t, ctx, c, "three")
	cluster.with(func() {
		if all := fmt.Sprint(cluster.reads); strings.Contains(all, "given up") {
			t.Errorf("sent %s", all)
		}
	})
}

func TestReadsEndWithTheirClient(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 1)
	c, ctx := cluster.client(t, Config{}), testContext(t)
	arrived := make(chan struct{})
	cluster.found = func(*fakeNode, []string) ([]wire.KeyFound, error) { close(arrived); return nil, nil }
	done := make(chan error, 1)
	go func() {
		_, err := c.Bucket("b").Get(ctx, "k", KeyReadOptions{})
		done <- err
	}()
	<-arrived
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Errorf("a read under way: %v", err)
	}
	if _, err := c.Bucket("b").Get(ctx, "k", KeyReadOptions{}); !errors.Is(err, ErrClosed) {
		t.Errorf("a read after the end: %v", err)
	}
}

func TestReadsGiveUpWhereNoServerServes(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 1)
	c, ctx := cluster.client(t, Config{GiveUpAfter: 50 * time.Millisecond}), testContext(t)
	cluster.found = func(*fakeNode, []string) ([]wire.KeyFound, error) {
		return nil, event.Errorf(event.CodeUnavailable, "no leader is known")
	}
	_, err := c.Bucket("b").Get(ctx, "k", KeyReadOptions{})
	wantCode(t, err, event.CodeUnavailable)
}

func eventuallyTrue(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}
