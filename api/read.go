package api

import (
	"context"
	"errors"
	"time"

	"connectrpc.com/connect"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/api/edriv1/wire"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/log"
)

// progressInterval is how often a tail without matches says how far it looked,
// and looks whether its node still belongs to a working cluster.
const progressInterval = 5 * time.Second

func (s *service) read(ctx context.Context, r *connect.Request[readFrame], stream *connect.ServerStream[responseFrame]) error {
	scan, err := s.begin(ctx, r.Msg, false)
	if err != nil {
		return err
	}
	return s.copyEvents(ctx, scan, func(response []byte) error {
		return stream.Send(&responseFrame{Bytes: response})
	})
}

func (s *service) tail(ctx context.Context, r *connect.Request[readFrame], stream *connect.ServerStream[responseFrame]) error {
	scan, err := s.begin(ctx, r.Msg, true)
	if err != nil {
		return err
	}
	return s.copyEvents(ctx, scan, func(response []byte) error {
		return stream.Send(&responseFrame{Bytes: response})
	})
}

// begin decodes the request, waits until the node is fresh enough, and returns
// the read at its beginning.
func (s *service) begin(ctx context.Context, f *readFrame, tail bool) (*scan, error) {
	request, err := f.Message()
	if err != nil {
		return nil, invalid(err)
	}
	return s.beginScan(ctx, request, tail)
}

func (s *service) beginScan(ctx context.Context, request *edriv1.ReadRequest, tail bool) (*scan, error) {
	if _, err := newQuery(request); err != nil {
		return nil, err // before the wait
	}
	fresh, err := newFreshness(request.Consistency, request.MinPosition)
	if err != nil {
		return nil, err
	}
	if request.Cursor != "" {
		if err := s.await(ctx, freshness{}); err != nil {
			return nil, err // a node without its state does not know the epoch
		}
		reached, err := s.reached(request.Cursor)
		if err != nil {
			return nil, err
		}
		fresh.min = max(fresh.min, reached)
	}
	if err := s.await(ctx, fresh); err != nil {
		return nil, err
	}
	return newScan(s.cfg.Node, request, tail)
}

// reached returns the position up to which the journal was there when a cursor
// was made, perhaps on a node that is further than this one: without it a read
// that goes on here would leave out what lies between.
func (s *service) reached(cursor string) (event.Position, error) {
	v := s.cfg.Node.View()
	epoch := v.Epoch
	v.Close()
	c, err := log.ParseCursor(cursor, epoch)
	if err != nil {
		return 0, err
	}
	if c.Reverse {
		return max(c.Position, 1) - 1, nil
	}
	return c.Position, nil
}

// copyEvents sends ReadResponses of what the scan finds until it is over. Each
// is put together from the journal's bytes while the batch's view is open, and
// sent when it is closed.
func (s *service) copyEvents(ctx context.Context, scan *scan, send func(response []byte) error) error {
	ctx, cancel := s.untilStop(ctx)
	defer cancel()
	var last time.Time // that something was sent
	deliver := send
	send = func(response []byte) error {
		last = time.Now()
		return deliver(response)
	}
	var response []byte
	for sent := 0; ; sent++ {
		response = response[:0]
		events, caughtUp, err := scan.batch(func(r *log.Record) (int, error) {
			before := len(response)
			response = wire.AppendResponseEvent(response, uint64(r.Position), uint64(r.Revision), r.Stream, r.Stamp, r.Event)
			return len(response) - before, nil
		})
		if err != nil {
			return err
		}
		s.metrics.eventsRead.Add(float64(events))
		// Where other streams are busy, follow does not come to say how far it is.
		due := scan.tail && time.Since(last) >= s.progress
		if events > 0 || sent == 0 || scan.over() || !caughtUp || !scan.tail || due {
			response = wire.AppendResponseCursor(response, scan.cursor())
			if sent == 0 {
				response = wire.AppendResponseEnd(response, uint64(scan.end()))
			}
			if err := send(response); err != nil {
				return err
			}
		}
		if scan.over() {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return s.whyEnded(err)
		}
		if caughtUp {
			if err := s.follow(ctx, scan, send); err != nil {
				return err
			}
		}
	}
}

// follow waits until there is something beyond what the tail has looked at, and
// says how far that is from time to time.
func (s *service) follow(ctx context.Context, scan *scan, send func(response []byte) error) error {
	var cutOff cutOff
	for {
		wait, cancel := context.WithTimeout(ctx, s.progress)
		err := s.cfg.Node.WaitBeyond(wait, scan.looked)
		expired := wait.Err() != nil
		cancel()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return s.whyEnded(ctx.Err())
		case !expired:
			return err
		}
		if err := cutOff.check(s.cfg.Node); err != nil {
			return err
		}
		if err := send(wire.AppendResponseCursor(nil, scan.cursor())); err != nil {
			return err
		}
	}
}

// whyEnded is the error of a stream whose context has ended.
func (s *service) whyEnded(err error) error {
	if s.cfg.Lifetime.Err() != nil && errors.Is(err, context.Canceled) {
		return event.Errorf(event.CodeUnavailable, "the node is stopping")
	}
	return err
}
