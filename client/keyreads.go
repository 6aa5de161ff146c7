package client

import (
	"bytes"
	"context"
	"sync"
	"time"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/api/edriv1/wire"
	"github.com/edri-io/edri/event"
)

const (
	// maxKeyBatches are without an answer at a time: while one is on its way back, another
	// may be on its way there.
	maxKeyBatches = 2
	// maxKeyBatch is how many keys one asks for.
	maxKeyBatch = 256
)

// keyReads has the linearizable reads that are asked for while others are under way go
// together, over one stream: a batch costs a node as much as one wait for its quorum,
// whatever it asks for. A lone read goes at once.
//
// Reads move from waiting to a batch of sent, and back where the stream breaks or the
// answer has only the first of a batch.
type keyReads struct {
	client *Client
	wake   chan struct{} // capacity 1: there may be something to send

	mu      sync.Mutex
	started bool
	closed  bool
	// waiting is bounded by the number of callers, each of whom waits for his own.
	waiting []*keyRead
	sent    [][]*keyRead // without an answer, in order
	spare   []*keyRead   // memory of an answered batch
	// quiet: no answer since owesQuietly was last called. patience: see silence.go.
	quiet    bool
	patience time.Duration
	last     *event.Error // why the last stream broke; nil: it has answered since
}

// keyRead is one read. Its result is set before done gets its token.
type keyRead struct {
	bucket, key string
	abandoned   bool          // under mu: nobody waits for it
	done        chan struct{} // capacity 1
	entry       KeyEntry
	err         error
}

var keyReadPool = sync.Pool{New: func() any { return &keyRead{done: make(chan struct{}, 1)} }}

func (r *keyReads) get(ctx context.Context, bucket, key string) (KeyEntry, error) {
	if err := ctx.Err(); err != nil {
		return KeyEntry{}, ended(ctx, nil)
	}
	read, _ := keyReadPool.Get().(*keyRead)
	read.bucket, read.key = bucket, key
	r.submit(read)
	select {
	case <-read.done:
		entry, err := read.entry, read.err
		*read = keyRead{done: read.done}
		keyReadPool.Put(read)
		return entry, err
	case <-ctx.Done():
		r.mu.Lock()
		read.abandoned = true
		last := r.last
		r.mu.Unlock()
		return KeyEntry{}, ended(ctx, last)
	}
}

// submit has a read be sent, or settles it: the client is closed.
func (r *keyReads) submit(read *keyRead) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.started {
		r.started, r.closed = true, !r.client.launch(r.run)
	}
	if r.closed {
		read.fail(notSentErr())
		return
	}
	r.waiting = append(r.waiting, read)
	r.signal()
}

func notSentErr() error {
	return withCause(event.Errorf(event.CodeUnavailable, "not sent"), ErrClosed)
}

func (r *keyReads) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// take moves what waits into a batch, and appends the GetManyKeysRequest for it to dst;
// empty where nothing waits, or enough is under way.
func (r *keyReads) take(dst []byte) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.sent) >= maxKeyBatches {
		return dst
	}
	batch := r.spare[:0]
	n := 0
	for ; n < len(r.waiting) && len(batch) < maxKeyBatch; n++ {
		if read := r.waiting[n]; !read.abandoned {
			batch = append(batch, read)
			dst = wire.AppendGetKey(dst, read.bucket, read.key)
		}
	}
	rest := copy(r.waiting, r.waiting[n:])
	clear(r.waiting[rest:])
	r.waiting, r.spare = r.waiting[:rest], nil
	if len(batch) == 0 {
		return dst
	}
	r.sent = append(r.sent, batch)
	return wire.AppendGetConsistency(dst, int32(edriv1.Consistency_CONSISTENCY_LINEARIZABLE))
}

// accept settles the batch that was sent first. What it has no answer for, since the
// values of the others are many bytes, waits again.
func (r *keyReads) accept(found []wire.KeyFound) *event.Error {
	r.mu.Lock()
	if len(r.sent) == 0 || len(found) == 0 || len(found) > len(r.sent[0]) {
		r.mu.Unlock()
		return event.Errorf(event.CodeInternal, "server answered %d reads that were not asked for", len(found))
	}
	batch := r.sent[0]
	r.sent = append(r.sent[:0], r.sent[1:]...)
	r.waiting = append(batch[len(found):len(batch):len(batch)], r.waiting...)
	r.quiet, r.patience, r.last = false, r.client.silenceAfter, nil
	r.mu.Unlock()
	for i := range found {
		batch[i].settle(&found[i])
	}
	r.signal()
	return nil
}

// rewind has all that was sent wait again: the stream is broken by err. It reports whether
// anybody waits.
func (r *keyReads) rewind(err *event.Error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []*keyRead
	for _, batch := range append(r.sent, r.waiting) {
		for _, read := range batch {
			if !read.abandoned {
				all = append(all, read)
			}
		}
	}
	r.sent, r.waiting, r.quiet, r.last = nil, all, false, err
	return len(all) > 0
}

// fail settles all reads with an error that will not pass.
func (r *keyReads) fail(err error) {
	r.mu.Lock()
	reads := r.waiting
	r.waiting = nil
	r.mu.Unlock()
	for _, read := range reads {
		read.fail(err)
	}
}

// close settles all reads, and those to come.
func (r *keyReads) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.rewind(nil)
	r.fail(notSentErr())
}

func (r *keyReads) idle() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.waiting) == 0
}

func (read *keyRead) settle(f *wire.KeyFound) {
	var e wire.KeyEntry
	switch {
	case f.Entry == nil:
		read.fail(decodeError(f.Error))
		return
	case e.Decode(f.Entry) != nil:
		read.fail(event.Errorf(event.CodeInternal, "server answered with a key that cannot be decoded"))
		return
	}
	read.entry = KeyEntry{
		Key: read.key, Value: bytes.Clone(e.Value), ContentType: string(e.ContentType), Kind: KeyKind(e.Kind),
		Revision: event.Position(e.Revision), Created: event.Position(e.Created), Stamp: time.Unix(0, e.Stamp).UTC(),
	}
	if e.Expires != 0 {
		read.entry.Expires = time.Unix(0, e.Expires).UTC()
	}
	read.done <- struct{}{}
}

func (read *keyRead) fail(err error) {
	read.err = err
	read.done <- struct{}{}
}

var _ creditor = (*keyReads)(nil)

func (r *keyReads) owesQuietly() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	quiet := r.quiet && len(r.sent) > 0
	r.quiet = len(r.sent) > 0
	return quiet
}

func (r *keyReads) patienceNow() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return max(r.patience, r.client.silenceAfter)
}

func (r *keyReads) growPatience() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.patience = min(2*max(r.patience, r.client.silenceAfter), maxPatience*r.client.silenceAfter)
}
