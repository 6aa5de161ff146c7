package client

import (
	"context"
	"iter"

	"connectrpc.com/connect"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
)

// ReadOptions say how fresh an answer must be. The zero value is Stale.
type ReadOptions struct {
	Consistency Consistency
	// MinPosition makes the server wait until it has applied the position.
	MinPosition event.Position
}

// Get returns the event at a position, or not_found.
func (c *Client) Get(ctx context.Context, position event.Position, o ReadOptions) (event.Recorded, error) {
	request := &edriv1.GetRequest{
		Position:    uint64(position),
		Consistency: o.Consistency.wire(),
		MinPosition: uint64(o.MinPosition),
	}
	var recorded event.Recorded
	err := c.ask(ctx, func(ctx context.Context, n *server) error {
		response, err := n.get.CallUnary(ctx, connect.NewRequest(request))
		if err != nil {
			return err
		}
		recorded, err = decodeRecorded(response.Msg.Bytes)
		return err
	})
	return recorded, err
}

// Stream is a stream and where it ends.
type Stream struct {
	Name string
	// Revision and Position are those of its last event.
	Revision event.Revision
	Position event.Position
}

// Streams returns the streams whose names begin with prefix, in the order of
// their names' bytes. The sequence ends after the first error. A stream that is
// made while it runs is in it or not.
func (c *Client) Streams(ctx context.Context, prefix string) iter.Seq2[Stream, error] {
	return func(yield func(Stream, error) bool) {
		request := &edriv1.ListStreamsRequest{Prefix: prefix}
		for {
			page, err := c.listStreams(ctx, request)
			if err != nil {
				yield(Stream{}, err)
				return
			}
			for _, s := range page.Streams {
				if !yield(newStream(s), nil) {
					return
				}
				request.After = s.Name
			}
			if !page.More || len(page.Streams) == 0 {
				return
			}
		}
	}
}

// Stream returns one stream, or not_found.
func (c *Client) Stream(ctx context.Context, name string, o ReadOptions) (Stream, error) {
	if err := event.CheckName("stream", name); err != nil {
		return Stream{}, err
	}
	// The name itself is the first of those that begin with it.
	page, err := c.listStreams(ctx, &edriv1.ListStreamsRequest{
		Prefix: name, Limit: 1,
		Consistency: o.Consistency.wire(), MinPosition: uint64(o.MinPosition),
	})
	if err != nil {
		return Stream{}, err
	}
	if len(page.Streams) == 0 || page.Streams[0].Name != name {
		return Stream{}, event.Errorf(event.CodeNotFound, "stream %q does not exist", name)
	}
	return newStream(page.Streams[0]), nil
}

func (c *Client) listStreams(ctx context.Context, request *edriv1.ListStreamsRequest) (page *edriv1.ListStreamsResponse, err error) {
	err = c.ask(ctx, func(ctx context.Context, n *server) error {
		response, err := n.listStreams.CallUnary(ctx, connect.NewRequest(request))
		if err == nil {
			page = response.Msg
		}
		return err
	})
	return page, err
}

func newStream(s *edriv1.Stream) Stream {
	return Stream{Name: s.Name, Revision: event.Revision(s.Revision), Position: event.Position(s.Position)}
}

// ask calls one server after another until one answers, or the error will not
// pass, or ctx ends. Only for calls without effect.
func (c *Client) ask(ctx context.Context, call func(context.Context, *server) error) error {
	pause := backoff{max: maxReadWait, giveUp: c.cfg.GiveUpAfter}
	ctx, end := c.until(ctx)
	defer end()
	var tried tries
	for {
		if c.ctx.Err() != nil {
			return withCause(event.Errorf(event.CodeUnavailable, "not sent"), ErrClosed)
		}
		c.learnMembers()
		n := c.servers.any()
		err := call(ctx, n)
		if err == nil {
			return nil
		}
		e := fromRPC(err)
		tried.failed(ctx, e, answered(err))
		if ctx.Err() != nil {
			return tried.ended(ctx)
		}
		if !retryable(e.Code) {
			return e
		}
		c.lost(n, e, answered(err))
		if !pause.pause(ctx) {
			if ctx.Err() != nil {
				return tried.ended(ctx)
			}
			return tried.last
		}
	}
}
