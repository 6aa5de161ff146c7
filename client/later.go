package client

import (
	"context"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
)

// AppendLater has the cluster append an event to a stream at a time, or at once where
// that has passed, and reports whether it waited for that already. An event without an
// ID gets a new one, so that a repeat is none. It is appended whatever the stream's
// revision is then.
func (c *Client) AppendLater(ctx context.Context, stream string, e event.Event, at time.Time) (duplicate bool, err error) {
	request, err := laterMessage(stream, e, at)
	if err != nil {
		return false, err
	}
	unsure := false
	err = c.repeat(ctx, func(ctx context.Context, n *server) error {
		response, err := n.schedules.appendLater.CallUnary(ctx, connect.NewRequest(request))
		if err == nil {
			duplicate = response.Msg.Duplicate && !unsure
		}
		unsure = unsure || mayHaveHappened(err)
		return err
	})
	return duplicate, err
}

// opAppendLater is the number of the operation in edri.v1.Op.
const opAppendLater = 56

// AppendLaterOp returns the operation that AppendLater is. It can stand in any commit.
func AppendLaterOp(stream string, e event.Event, at time.Time) Op {
	m, err := laterMessage(stream, e, at)
	if err != nil {
		return Op{err: err}
	}
	return keyOp(opAppendLater, m)
}

func laterMessage(stream string, e event.Event, at time.Time) (*edriv1.AppendLater, error) {
	e, err := withID(e)
	if err != nil {
		return nil, err
	}
	b, err := event.AppendValid(nil, &e)
	if err != nil {
		return nil, err
	}
	m := &edriv1.AppendLater{Stream: stream, Event: new(edriv1.CloudEvent), At: at.UnixNano()}
	if err := proto.Unmarshal(b, m.Event); err != nil {
		return nil, event.Errorf(event.CodeInternal, "encode event: %v", err)
	}
	return m, nil
}

// CancelLater takes back an event that waits to be appended. not_found: none does; it
// may have been appended.
func (c *Client) CancelLater(ctx context.Context, source, id string) error {
	request := &edriv1.CancelLater{Source: source, Id: id}
	return c.once(ctx, func(ctx context.Context, n *server) error {
		_, err := n.schedules.cancelLater.CallUnary(ctx, connect.NewRequest(request))
		return err
	})
}
