package client

import (
	"context"
	"iter"
	"time"

	"connectrpc.com/connect"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers"
)

// KeyEntry is a key at one of its revisions.
type KeyEntry struct {
	Key   string
	Value []byte
	// ContentType is a media type; empty: none was given.
	ContentType string
	// Revision is the position of the change. Created is the revision with which the key
	// came to be; a watch does not tell it.
	Revision, Created event.Position
	// Stamp is when it was committed, Expires when it expires; zero: never.
	Stamp, Expires time.Time
	Kind           KeyKind
}

// KeyKind says what a change did.
type KeyKind int

// The kinds of changes. BucketDeleted, in a watch alone, ends all keys at once.
const (
	KeyPut KeyKind = iota
	KeyDeleted
	KeyExpired
	BucketDeleted
)

// String returns "put", "deleted", "expired" or "bucket deleted".
func (k KeyKind) String() string {
	switch k {
	case KeyPut:
		return "put"
	case KeyDeleted:
		return "deleted"
	case KeyExpired:
		return "expired"
	case BucketDeleted:
		return "bucket deleted"
	}
	return "unknown"
}

// KeyReadOptions say how fresh an answer must be. The zero value is linearizable.
type KeyReadOptions struct {
	// Stale: what the server has applied.
	Stale bool
	// MinPosition makes the server wait until it has applied the position, and asks for
	// nothing beyond that.
	MinPosition event.Position
	// At asks for the key as it was when this position was the last; 0: now. Of Get alone.
	At event.Position
}

func (o KeyReadOptions) consistency() edriv1.Consistency {
	switch {
	case o.Stale:
		return edriv1.Consistency_CONSISTENCY_STALE
	case o.MinPosition > 0:
		return edriv1.Consistency_CONSISTENCY_UNSPECIFIED
	}
	return edriv1.Consistency_CONSISTENCY_LINEARIZABLE
}

// Bucket reads and changes the keys of one bucket.
type Bucket struct {
	client *Client
	name   string
}

// Bucket returns a bucket, which need not be there yet: "default" is made by its first
// put, others by CreateBucket.
func (c *Client) Bucket(name string) *Bucket { return &Bucket{client: c, name: name} }

// Put sets a key and returns its revision. It takes effect once, however often it has to
// be sent; an error of outcome_unknown alone says that it may have.
func (b *Bucket) Put(ctx context.Context, key string, value []byte, o PutOptions) (event.Position, error) {
	return b.change(ctx, PutKeyOp(b.name, key, value, o))
}

// CompareAndSet sets a key that is at a revision; 0: that is not there. Else the error is
// revision_conflict, which has the actual one.
func (b *Bucket) CompareAndSet(ctx context.Context, key string, revision event.Position, value []byte, o PutOptions) (event.Position, error) {
	o.Expected = &revision
	return b.change(ctx, PutKeyOp(b.name, key, value, o))
}

// Delete deletes a key and returns the revision of that; 0: it was not there.
func (b *Bucket) Delete(ctx context.Context, key string, o DeleteOptions) (event.Position, error) {
	return b.change(ctx, DeleteKeyOp(b.name, key, o))
}

func (b *Bucket) change(ctx context.Context, op Op) (event.Position, error) {
	result, err := b.client.Commit(ctx, op)
	if err != nil {
		return 0, err
	}
	return result.Results[0].Key.Revision, nil
}

// Txn does then if all conditions hold, else otherwise, as one change. The conditions and
// operations may be of other buckets too.
func (b *Bucket) Txn(ctx context.Context, t KeyTxn) (KeyTxnResult, error) {
	return b.client.Txn(ctx, t)
}

// Txn is Bucket.Txn.
func (c *Client) Txn(ctx context.Context, t KeyTxn) (KeyTxnResult, error) {
	result, err := c.Commit(ctx, KeyTxnOp(t))
	if err != nil {
		return KeyTxnResult{}, err
	}
	if result.Results[0].Txn == nil {
		return KeyTxnResult{}, event.Errorf(event.CodeInternal, "server answered a transaction with something else")
	}
	return *result.Results[0].Txn, nil
}

// Get returns a key, or not_found. With At before what is kept, the error is compacted.
// Reads that are asked for at a time go together.
func (b *Bucket) Get(ctx context.Context, key string, o KeyReadOptions) (e KeyEntry, err error) {
	if o == (KeyReadOptions{}) {
		return b.client.reads.get(ctx, b.name, key)
	}
	request := &edriv1.GetKeyRequest{
		Bucket: b.name, Key: key, At: uint64(o.At), Consistency: o.consistency(), MinPosition: uint64(o.MinPosition),
	}
	err = b.client.ask(ctx, func(ctx context.Context, n *server) error {
		response, err := n.getKey.CallUnary(ctx, connect.NewRequest(request))
		if err == nil {
			e = newKeyEntry(response.Msg)
		}
		return err
	})
	return e, err
}

// ReadKey is Get for managers.
func (c *Client) ReadKey(ctx context.Context, bucket, key string) (managers.Key, error) {
	e, err := c.Bucket(bucket).Get(ctx, key, KeyReadOptions{})
	return managers.Key{
		Bucket: bucket, Key: e.Key, Value: e.Value, ContentType: e.ContentType, Revision: e.Revision, Expires: e.Expires,
	}, err
}

var _ managers.KeyReader = (*Client)(nil)

// KeyPage is a part of a list.
type KeyPage struct {
	Keys []KeyEntry
	// More: there are more, after the last of these.
	More bool
	// Position: the list is as it was when this was the last. A watch from the next on
	// misses nothing.
	Position event.Position
}

// Page returns keys that begin with prefix and come after the key after, in the order of
// their bytes: at most limit, 0 for 1,000, and less where their values are large.
func (b *Bucket) Page(ctx context.Context, prefix, after string, limit int, o KeyReadOptions) (page KeyPage, err error) {
	request := &edriv1.ListKeysRequest{
		Bucket: b.name, Prefix: prefix, After: after, Limit: uint32(max(limit, 0)),
		Consistency: o.consistency(), MinPosition: uint64(o.MinPosition),
	}
	err = b.client.ask(ctx, func(ctx context.Context, n *server) error {
		response, err := n.listKeys.CallUnary(ctx, connect.NewRequest(request))
		if err == nil {
			m := response.Msg
			page = KeyPage{Keys: newKeyEntries(m.Keys), More: m.More, Position: event.Position(m.Position)}
		}
		return err
	})
	return page, err
}

// List returns the keys that begin with prefix, in the order of their bytes. The sequence
// ends after the first error. A key that changes while it runs is in it as before or
// after.
func (b *Bucket) List(ctx context.Context, prefix string, o KeyReadOptions) iter.Seq2[KeyEntry, error] {
	return func(yield func(KeyEntry, error) bool) {
		after := ""
		for {
			page, err := b.Page(ctx, prefix, after, 0, o)
			if err != nil {
				yield(KeyEntry{}, err)
				return
			}
			for _, e := range page.Keys {
				if !yield(e, nil) {
					return
				}
				after = e.Key
			}
			if !page.More || len(page.Keys) == 0 {
				return
			}
			o.MinPosition = max(o.MinPosition, page.Position) // never back
		}
	}
}

// History returns what is kept of a key, oldest first, deletions among it; cut says that
// there was more before.
func (b *Bucket) History(ctx context.Context, key string, o KeyReadOptions) (list []KeyEntry, cut bool, err error) {
	request := &edriv1.KeyHistoryRequest{Bucket: b.name, Key: key, Consistency: o.consistency(), MinPosition: uint64(o.MinPosition)}
	for more := true; more; {
		var page *edriv1.KeyHistoryResponse
		err := b.client.ask(ctx, func(ctx context.Context, n *server) error {
			response, err := n.keyHistory.CallUnary(ctx, connect.NewRequest(request))
			if err == nil {
				page = response.Msg
			}
			return err
		})
		if err != nil {
			return nil, false, err
		}
		list = append(list, newKeyEntries(page.Entries)...)
		cut = page.Cut
		if more = page.More && len(page.Entries) > 0; more {
			request.After = uint64(list[len(list)-1].Revision)
		}
	}
	return list, cut, nil
}

func newKeyEntries(messages []*edriv1.KeyEntry) []KeyEntry {
	list := make([]KeyEntry, len(messages))
	for i, m := range messages {
		list[i] = newKeyEntry(m)
	}
	return list
}

func newKeyEntry(m *edriv1.KeyEntry) KeyEntry {
	e := KeyEntry{
		Key: m.Key, Value: m.Value, ContentType: m.ContentType, Kind: KeyKind(m.Kind),
		Revision: event.Position(m.Revision), Created: event.Position(m.Created), Stamp: time.Unix(0, m.Stamp).UTC(),
	}
	if m.Expires != 0 {
		e.Expires = time.Unix(0, m.Expires).UTC()
	}
	return e
}
