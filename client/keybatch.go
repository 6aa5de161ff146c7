package client

import (
	"context"
	"sync"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
)

const (
	// maxKeyBatches are under way at a time: while one is on its way back, another may be
	// on its way there.
	maxKeyBatches = 2
	// maxKeyBatch is how many keys one asks for.
	maxKeyBatch = 256
)

// keyReads has the linearizable reads that are asked for while others are under way go
// together: one request costs a node as much as one wait for its quorum, whatever it
// asks for. A lone read goes at once.
type keyReads struct {
	client *Client

	mu sync.Mutex
	// waiting is bounded by the number of callers, each of whom waits for his own.
	waiting []*keyRead
	batches int // under way
}

// keyRead is one read. Its result is set before done is closed.
type keyRead struct {
	key   *edriv1.GetKey
	batch *keyBatch // under mu; nil: it waits
	done  chan struct{}
	entry KeyEntry
	err   error
}

// keyBatch is a request that is under way; it is given up when all its readers are.
type keyBatch struct {
	readers int // under mu
	cancel  context.CancelFunc
}

func (r *keyReads) get(ctx context.Context, bucket, key string) (KeyEntry, error) {
	if err := ctx.Err(); err != nil {
		return KeyEntry{}, ended(ctx, nil)
	}
	read := &keyRead{key: &edriv1.GetKey{Bucket: bucket, Key: key}, done: make(chan struct{})}
	if !r.submit(read) {
		return KeyEntry{}, withCause(event.Errorf(event.CodeUnavailable, "not sent"), ErrClosed)
	}
	select {
	case <-read.done:
		return read.entry, read.err
	case <-ctx.Done():
		r.abandon(read)
		return KeyEntry{}, ended(ctx, nil)
	}
}

// submit has a read be sent. False: the client is closed.
func (r *keyReads) submit(read *keyRead) bool {
	r.client.mu.Lock() // before r.mu
	defer r.client.mu.Unlock()
	if r.client.closed {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting = append(r.waiting, read)
	if r.batches < maxKeyBatches {
		r.batches++
		r.client.running.Add(1)
		go func() {
			defer r.client.running.Done()
			r.run()
		}()
	}
	return true
}

// run sends what waits until nothing does.
func (r *keyReads) run() {
	for {
		ctx, cancel := context.WithCancel(r.client.ctx)
		reads := r.take(cancel)
		if len(reads) == 0 {
			cancel()
			return
		}
		r.ask(ctx, reads)
		cancel()
	}
}

// take returns the reads that go next; none: the batch's goroutine ends with that.
func (r *keyReads) take(cancel context.CancelFunc) []*keyRead {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := min(len(r.waiting), maxKeyBatch)
	if n == 0 {
		r.waiting = nil
		r.batches--
		return nil
	}
	reads := r.waiting[:n:n]
	r.waiting = r.waiting[n:]
	b := &keyBatch{readers: n, cancel: cancel}
	for _, read := range reads {
		read.batch = b
	}
	return reads
}

// abandon lets go of a read whose caller is gone.
func (r *keyReads) abandon(read *keyRead) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if b := read.batch; b != nil {
		if b.readers--; b.readers == 0 {
			b.cancel()
		}
		return
	}
	for i, w := range r.waiting {
		if w == read {
			r.waiting = append(r.waiting[:i:i], r.waiting[i+1:]...)
			return
		}
	}
}

// ask settles the reads. Where the answer has only the first of them, it asks again.
func (r *keyReads) ask(ctx context.Context, reads []*keyRead) {
	for len(reads) > 0 {
		request := &edriv1.GetManyKeysRequest{Consistency: edriv1.Consistency_CONSISTENCY_LINEARIZABLE, Keys: make([]*edriv1.GetKey, len(reads))}
		for i, read := range reads {
			request.Keys[i] = read.key
		}
		var found []*edriv1.KeyFound
		err := r.client.ask(ctx, func(ctx context.Context, n *server) error {
			response, err := n.getMany.CallUnary(ctx, connect.NewRequest(request))
			if err == nil {
				found = response.Msg.Found
			}
			return err
		})
		if err == nil && (len(found) == 0 || len(found) > len(reads)) {
			err = event.Errorf(event.CodeInternal, "server answered %d of %d reads", len(found), len(reads))
		}
		if err != nil {
			for _, read := range reads {
				read.err = err
				close(read.done)
			}
			return
		}
		for i, f := range found {
			reads[i].settle(f)
		}
		reads = reads[len(found):]
	}
}

func (read *keyRead) settle(f *edriv1.KeyFound) {
	switch {
	case f.GetEntry() != nil:
		read.entry = newKeyEntry(f.GetEntry())
	default:
		encoded, err := proto.Marshal(f.GetError())
		if err != nil {
			encoded = nil
		}
		read.err = decodeError(encoded)
	}
	close(read.done)
}
