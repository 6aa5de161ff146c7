package client

import (
	"context"
	"time"

	"connectrpc.com/connect"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
)

// Retention is how much of the history stays, and what of it is there. A bound of
// 0 is none.
type Retention struct {
	// Age is how old an event may become, by the time of its commit.
	Age time.Duration
	// Bytes bounds the records in the journal's files, which go as a whole.
	Bytes uint64
	// Events is how many of the last events stay.
	Events uint64
	// First and Last are the positions of the first event that is left, or would
	// be, and of the last.
	First, Last event.Position
}

// RetentionChange says which bounds change and to what; nil leaves one as it is.
type RetentionChange struct {
	Age    *time.Duration
	Bytes  *uint64
	Events *uint64
}

// Retention returns how much of the history stays.
func (c *Client) Retention(ctx context.Context, consistency Consistency) (r Retention, err error) {
	request := &edriv1.GetRetentionRequest{Consistency: consistency.wire()}
	err = c.ask(ctx, func(ctx context.Context, n *server) error {
		response, err := n.getRetention.CallUnary(ctx, connect.NewRequest(request))
		if err == nil {
			r = newRetention(response.Msg)
		}
		return err
	})
	return r, err
}

// SetRetention changes how much of the history stays, on all nodes. What then is
// too much ends within seconds and for good: a read of it is compacted.
func (c *Client) SetRetention(ctx context.Context, change RetentionChange) (r Retention, err error) {
	request := &edriv1.SetRetentionRequest{Bytes: change.Bytes, Events: change.Events}
	if change.Age != nil {
		age := int64(*change.Age)
		request.Age = &age
	}
	err = c.repeat(ctx, func(ctx context.Context, n *server) error {
		response, err := n.setRetention.CallUnary(ctx, connect.NewRequest(request))
		if err == nil {
			r = newRetention(response.Msg)
		}
		return err
	})
	return r, err
}

// PurgeStream ends the events of a stream before a revision: no read on any node
// returns them from then on. The stream's revisions go on as before. It is
// check_failed while the history of a run that is known is among them: see DeleteRun.
func (c *Client) PurgeStream(ctx context.Context, stream string, before event.Revision) error {
	request := &edriv1.PurgeStreamRequest{Stream: stream, Before: uint64(before)}
	return c.repeat(ctx, func(ctx context.Context, n *server) error {
		_, err := n.purgeStream.CallUnary(ctx, connect.NewRequest(request))
		return err
	})
}

func newRetention(m *edriv1.RetentionResponse) Retention {
	return Retention{
		Age: time.Duration(m.Age), Bytes: m.Bytes, Events: m.Events,
		First: event.Position(m.FirstPosition), Last: event.Position(m.LastPosition),
	}
}
