package api

import (
	"context"
	"time"

	"connectrpc.com/connect"
	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/log"
	"github.com/edri-io/edri/managers/kv"
)

// watchKeys follows the stream of a bucket. What a view shows ends with a commit, so
// that the changes after the last commit that another one follows are whole once the
// view is read to its end.
func (s *service) watchKeys(ctx context.Context, r *connect.Request[watchFrame], stream *connect.ServerStream[edriv1.WatchKeysResponse]) error {
	w, err := s.beginWatch(ctx, r.Msg)
	if err != nil {
		return err
	}
	w.send = stream.Send
	ctx, cancel := s.untilStop(ctx)
	defer cancel()
	if err := w.progress(); err != nil { // from where on it watches
		return err
	}
	for {
		_, caughtUp, err := w.scan.batch(w.take)
		if err != nil {
			return err
		}
		if caughtUp {
			w.whole(w.scan.looked)
		}
		// Where other streams are busy, nobody else says how far it is.
		if len(w.ready) > 0 || time.Since(w.sent) >= s.progress {
			if err := w.progress(); err != nil {
				return err
			}
		}
		if err := ctx.Err(); err != nil {
			return s.whyEnded(err)
		}
		if !caughtUp {
			continue
		}
		err = s.follow(ctx, w.scan, func([]byte) error { return w.progress() })
		if err != nil {
			return err
		}
	}
}

// watch is a watch under way.
type watch struct {
	watched kv.Watched
	scan    *scan
	// ready are whole commits, up to the position through; open is the commit after
	// them, of which more may come.
	ready   []*edriv1.KeyEntry
	through event.Position
	open    []*edriv1.KeyEntry
	commit  event.Position
	send    func(*edriv1.WatchKeysResponse) error
	sent    time.Time // the last response
}

func (s *service) beginWatch(ctx context.Context, f *watchFrame) (*watch, error) {
	request, err := f.Message()
	if err != nil {
		return nil, invalid(err)
	}
	w := &watch{watched: kv.Watched{Bucket: request.Bucket, Key: request.Key, Prefix: request.Prefix}}
	if err := w.watched.Check(); err != nil {
		return nil, err
	}
	if request.From != 0 && request.Cursor != "" {
		return nil, event.Errorf(event.CodeInvalid, "from and cursor exclude each other")
	}
	read := &edriv1.ReadRequest{
		Stream: w.watched.Stream(), From: request.From, Cursor: request.Cursor, MinPosition: request.MinPosition,
	}
	if request.From == 0 && request.Cursor == "" {
		// From now on: what is acknowledged before is not told, what comes later is.
		if err := s.awaitKeys(ctx, edriv1.Consistency_CONSISTENCY_LINEARIZABLE, request.MinPosition); err != nil {
			return nil, err
		}
		v := s.cfg.Node.View()
		read.From = uint64(v.Journal().Last()) + 1
		v.Close()
	}
	if request.From > 1 {
		// Who has seen what lies before goes on at a node that has it too.
		read.MinPosition = max(read.MinPosition, request.From-1)
	}
	if w.scan, err = s.beginScan(ctx, read, true); err != nil {
		return nil, err
	}
	if err := s.bucketToWatch(request.Bucket); err != nil {
		return nil, err
	}
	w.through = w.scan.looked
	return w, nil
}

// bucketToWatch refuses to wait for a bucket that never was.
func (s *service) bucketToWatch(name string) error {
	v := s.cfg.Node.View()
	defer v.Close()
	_, err := v.Stream(kv.StreamPrefix + name)
	if event.CodeOf(err) == event.CodeNotFound && name != kv.DefaultBucket {
		return event.Errorf(event.CodeNotFound, "bucket %q does not exist", name)
	}
	if event.CodeOf(err) == event.CodeNotFound {
		return nil
	}
	return err
}

// take takes a record of the bucket's stream.
func (w *watch) take(r *log.Record) (int, error) {
	change, ok, err := w.watched.Change(r)
	if err != nil || !ok {
		return 0, err
	}
	if change.Commit != w.commit {
		w.whole(r.Position - 1)
		w.commit = change.Commit
	}
	w.open = append(w.open, entryMessage(&change.Entry))
	return len(change.Value) + len(change.Key), nil
}

// whole says that all of the commit that is open is there, and nothing beyond it up to a
// position.
func (w *watch) whole(through event.Position) {
	w.ready = append(w.ready, w.open...)
	w.open, w.commit, w.through = nil, 0, through
}

// progress sends the commits that are whole, be there none, and how far that is.
func (w *watch) progress() error {
	cursor := log.EncodeCursor(log.Cursor{Epoch: w.scan.epoch, Position: w.through, Filter: w.scan.query.Hash()})
	response := &edriv1.WatchKeysResponse{Changes: w.ready, Cursor: cursor, Position: uint64(w.through)}
	w.ready, w.sent = nil, time.Now()
	return w.send(response)
}
