package client

import (
	"context"
	"iter"
	"time"

	"connectrpc.com/connect"

	"github.com/edri-io/edri/api/edriv1/wire"
	"github.com/edri-io/edri/event"
)

// Read returns the events that match and that were there when the read began.
// The sequence ends after the first error.
func (c *Client) Read(ctx context.Context, q Query) iter.Seq2[event.Recorded, error] {
	return c.OpenRead(ctx, q).all
}

// Tail returns the events that match, and goes on with those that are appended,
// until ctx ends, which is its last error, or the limit or To is reached.
func (c *Client) Tail(ctx context.Context, q Query) iter.Seq2[event.Recorded, error] {
	return c.OpenTail(ctx, q).all
}

// OpenRead returns a reader that does what Read does.
func (c *Client) OpenRead(ctx context.Context, q Query) *Reader { return newReader(ctx, c, q, false) }

// OpenTail returns a reader that does what Tail does.
func (c *Client) OpenTail(ctx context.Context, q Query) *Reader { return newReader(ctx, c, q, true) }

// Reader reads events one after another. When a server does not serve, or stops
// to, it goes on at another where it was: no event is left out, none comes twice.
//
//	for r := c.OpenRead(ctx, q); r.Next(); {
//		use(r.Event())
//	}
//	... r.Err() ...
type Reader struct {
	client *Client
	tail   bool
	query  Query // what is still to be read: cursor, limit and min position move
	pause  backoff
	tried  tries // since the last batch

	ctx    context.Context
	cancel func()

	server *server
	stream *connect.ServerStreamForClient[responseFrame]

	// batch[at:] was received and not yet returned; query.Cursor stands after it,
	// before stands before it.
	batch  [][]byte
	at     int
	before string

	current event.Recorded
	err     error
	full    bool // the limit is reached with this batch
	done    bool // closed
}

func newReader(ctx context.Context, c *Client, q Query, tail bool) *Reader {
	r := &Reader{
		client: c, tail: tail, query: q, before: q.Cursor,
		pause: backoff{max: maxReadWait, giveUp: c.cfg.GiveUpAfter},
	}
	r.ctx, r.cancel = c.until(ctx)
	return r
}

// Next goes to the next event; of a tail it waits for it. False: there is none,
// or Err says why.
func (r *Reader) Next() bool {
	for !r.done {
		if r.at < len(r.batch) {
			return r.decode()
		}
		if !r.receive() {
			r.Close()
		}
	}
	return false
}

// Event is the event that Next went to.
func (r *Reader) Event() event.Recorded { return r.current }

// Err is why Next returned false, nil where all was read.
func (r *Reader) Err() error { return r.err }

// Cursor lets another reader of the same filter go on here. It skips nothing. It
// moves in the batches that the server sends: where the reader stands inside
// one, its events come again, except after the last that Next can give. To go on
// behind one event of a forward read exactly, use From with its position + 1.
func (r *Reader) Cursor() string {
	if r.at < len(r.batch) {
		return r.before
	}
	return r.query.Cursor
}

// Close ends the read. It may be called at any time, and again.
func (r *Reader) Close() {
	r.done = true
	r.cancel()
	r.disconnect()
}

func (r *Reader) disconnect() {
	if r.stream != nil {
		_ = r.stream.Close() // what is unread is not wanted
		r.stream = nil
	}
}

func (r *Reader) all(yield func(event.Recorded, error) bool) {
	defer r.Close()
	for r.Next() {
		if !yield(r.current, nil) {
			return
		}
	}
	if r.err != nil {
		yield(event.Recorded{}, r.err)
	}
}

// decode makes the next event of the batch current.
func (r *Reader) decode() bool {
	recorded, err := decodeRecorded(r.batch[r.at])
	if err != nil {
		r.err = err
		r.Close()
		return false
	}
	r.current = recorded
	r.at++
	return true
}

func decodeRecorded(b []byte) (event.Recorded, error) {
	var w wire.Recorded
	if err := w.Decode(b); err != nil {
		return event.Recorded{}, event.Errorf(event.CodeInternal, "decode recorded event: %v", err)
	}
	e, err := event.DecodeEvent(w.Event)
	if err != nil {
		return event.Recorded{}, event.Errorf(event.CodeInternal, "decode event at position %d: %v", w.Position, err)
	}
	return event.Recorded{
		Event:    e,
		Position: event.Position(w.Position),
		Revision: event.Revision(w.Revision),
		Stream:   string(w.Stream),
		Stamp:    time.Unix(0, w.Stamp).UTC(),
	}, nil
}

// receive gets the next batch, connecting where there is no stream. False: the
// read is over, with err or without.
func (r *Reader) receive() bool {
	if r.full {
		return false
	}
	if r.stream == nil && !r.connect() {
		return r.err == nil
	}
	if r.stream.Receive() {
		return r.accept(r.stream.Msg().Bytes)
	}
	err := r.stream.Err()
	r.disconnect()
	switch {
	case err != nil:
		return r.again(fromRPC(err), answered(err))
	case r.tail && r.query.To == 0:
		return r.again(event.Errorf(event.CodeUnavailable, "server closed the stream"), false)
	}
	return false
}

func (r *Reader) connect() bool {
	r.server = r.client.servers.any()
	procedure := r.server.read
	if r.tail {
		procedure = r.server.tail
	}
	stream, err := procedure.CallServerStream(r.ctx, connect.NewRequest(r.query.request()))
	if err != nil {
		r.again(fromRPC(err), answered(err))
		return false
	}
	r.stream = stream
	r.client.learnMembers()
	return true
}

// accept takes a ReadResponse in and moves the query behind it.
func (r *Reader) accept(b []byte) bool {
	batch, cursor, end, err := wire.SplitResponse(r.batch[:0], b)
	if err == nil && uint64(len(batch)) > r.query.Limit && r.query.Limit > 0 {
		err = wire.ErrMalformed
	}
	var last wire.Recorded
	if err == nil && len(batch) > 0 {
		err = last.Decode(batch[len(batch)-1])
	}
	if err != nil || cursor == "" {
		r.batch = r.batch[:0]
		return r.again(event.Errorf(event.CodeUnavailable, "decode answer: %v", err), false)
	}
	r.pause.succeeded()
	r.tried = tries{}
	r.batch, r.at = batch, 0
	r.before, r.query.Cursor = r.query.Cursor, cursor
	if !r.query.Reverse {
		// Another server must have come as far as this one.
		r.query.MinPosition = max(r.query.MinPosition, event.Position(last.Position), event.Position(end))
	}
	if first := max(r.query.From, 1); event.Position(end) >= first {
		// Nor may it go further: what is there by then was not when the read began.
		r.query.To = event.Position(end)
	}
	if r.query.Limit > 0 {
		r.query.Limit -= uint64(len(batch))
		r.full = r.query.Limit == 0
	}
	return true
}

// again waits before another server is tried. False: the error is final.
func (r *Reader) again(e *event.Error, answered bool) bool {
	r.tried.failed(r.ctx, e, answered)
	if r.ctx.Err() == nil && retryable(e.Code) {
		r.client.lost(r.server, e, answered)
		r.client.cfg.Logger.Debug("read goes on elsewhere", "server", r.server.url, "error", e)
		if r.pause.pause(r.ctx) {
			return true
		}
	}
	r.err = e
	if r.ctx.Err() != nil && !r.done {
		r.err = ended(r.ctx, r.tried.last)
	}
	return false
}
