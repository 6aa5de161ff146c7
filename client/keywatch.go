package client

import (
	"context"

	"connectrpc.com/connect"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
)

// WatchOptions say which keys a watch is of and where it begins.
type WatchOptions struct {
	// Key or Prefix; neither: all keys of the bucket.
	Key, Prefix string
	// From is the first position whose changes are told; 0: from now on.
	From event.Position
	// Cursor, in the place of From, goes on where an earlier watch of the same keys was.
	Cursor string
}

// Watch follows the changes of a bucket: in their order, none left out, none twice, those
// of one commit together. When a server does not serve, or stops to, it goes on at
// another where it was.
//
//	for w := b.Watch(ctx, o); w.Next(); {
//		use(w.Changes())
//	}
//	... w.Err() ...
//
// The error is compacted where the history does not reach back to the beginning any more:
// list the keys, and watch from behind the list's position.
func (b *Bucket) Watch(ctx context.Context, o WatchOptions) *KeyWatch {
	w := &KeyWatch{
		client: b.client, pause: backoff{max: maxReadWait, giveUp: b.client.cfg.GiveUpAfter},
		request: edriv1.WatchKeysRequest{Bucket: b.name, Key: o.Key, Prefix: o.Prefix, From: uint64(o.From), Cursor: o.Cursor},
	}
	w.ctx, w.cancel = b.client.until(ctx)
	return w
}

// KeyWatch is a watch under way. It is not for several goroutines, but Close.
type KeyWatch struct {
	client  *Client
	request edriv1.WatchKeysRequest // where it goes on: cursor and min position move
	pause   backoff
	tried   tries // since the last answer
	ctx     context.Context
	cancel  func()

	server *server
	stream *connect.ServerStreamForClient[edriv1.WatchKeysResponse]

	changes  []KeyEntry
	position event.Position
	err      error
}

// Next waits for changes, or for the word that there were none for a while. False: Err
// says why.
func (w *KeyWatch) Next() bool {
	for w.err == nil {
		if w.stream == nil && !w.connect() {
			continue
		}
		if w.stream.Receive() {
			w.accept(w.stream.Msg())
			return true
		}
		err := w.stream.Err()
		w.disconnect()
		if err == nil {
			w.again(event.Errorf(event.CodeUnavailable, "server closed the stream"), false)
		} else {
			w.again(fromRPC(err), answered(err))
		}
	}
	w.Close()
	return false
}

// Changes are of whole commits, in their order; none: there were none up to Position.
func (w *KeyWatch) Changes() []KeyEntry { return w.changes }

// Position is up to where all was told.
func (w *KeyWatch) Position() event.Position { return w.position }

// Cursor lets another watch of the same keys go on behind the changes.
func (w *KeyWatch) Cursor() string { return w.request.Cursor }

// Err is why Next returned false.
func (w *KeyWatch) Err() error { return w.err }

// Close ends the watch. It may be called at any time, and again.
func (w *KeyWatch) Close() { w.cancel() }

func (w *KeyWatch) accept(m *edriv1.WatchKeysResponse) {
	w.pause.succeeded()
	w.tried = tries{}
	w.changes, w.position = newKeyEntries(m.Changes), event.Position(m.Position)
	w.request.From, w.request.Cursor = 0, m.Cursor
	// Another server must have come as far as this one.
	w.request.MinPosition = max(w.request.MinPosition, m.Position)
}

func (w *KeyWatch) connect() bool {
	w.server = w.client.servers.any()
	stream, err := w.server.watchKeys.CallServerStream(w.ctx, connect.NewRequest(&w.request))
	if err != nil {
		w.again(fromRPC(err), answered(err))
		return false
	}
	w.stream = stream
	w.client.learnMembers()
	return true
}

func (w *KeyWatch) disconnect() {
	_ = w.stream.Close() // what is unread is not wanted
	w.stream = nil
}

// again waits before another server is tried, unless the error is final.
func (w *KeyWatch) again(e *event.Error, answered bool) {
	w.tried.failed(w.ctx, e, answered)
	if w.ctx.Err() == nil && retryable(e.Code) {
		w.client.lost(w.server, e, answered)
		w.client.cfg.Logger.Debug("watch goes on elsewhere", "server", w.server.url, "error", e)
		if w.pause.pause(w.ctx) {
			return
		}
	}
	w.err = e
	if w.ctx.Err() != nil {
		w.err = ended(w.ctx, w.tried.last)
	}
}
