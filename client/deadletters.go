package client

import (
	"context"
	"iter"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
)

// DeadLetter is an event that a subscription gave up.
type DeadLetter struct {
	Position event.Position
	// Event is nil where retention has ended it.
	Event *event.Recorded
	// Stamp is when it was given up.
	Stamp    time.Time
	Attempts []Attempt
}

// Attempt is why and when a delivery failed.
type Attempt struct {
	Stamp  time.Time
	Reason string
}

// DeadLetters returns what a subscription gave up, in the order of positions. The
// sequence ends after the first error.
func (c *Client) DeadLetters(ctx context.Context, subscription string, consistency Consistency) iter.Seq2[DeadLetter, error] {
	return func(yield func(DeadLetter, error) bool) {
		request := &edriv1.ListDeadRequest{Subscription: subscription, Consistency: consistency.wire()}
		for more := true; more; {
			var page *edriv1.ListDeadResponse
			err := c.ask(ctx, func(ctx context.Context, n *server) error {
				response, err := n.listDead.CallUnary(ctx, connect.NewRequest(request))
				if err == nil {
					page = response.Msg
				}
				return err
			})
			if err != nil {
				yield(DeadLetter{}, err)
				return
			}
			for _, m := range page.Dead {
				letter, err := newDeadLetter(m)
				if !yield(letter, err) || err != nil {
					return
				}
				request.After = m.Position
			}
			more = page.More && len(page.Dead) > 0
		}
	}
}

func newDeadLetter(m *edriv1.DeadLetter) (DeadLetter, error) {
	letter := DeadLetter{Position: event.Position(m.Position), Stamp: time.Unix(0, m.Stamp).UTC()}
	for _, a := range m.Attempts {
		letter.Attempts = append(letter.Attempts, Attempt{Stamp: time.Unix(0, a.Stamp).UTC(), Reason: a.Reason})
	}
	if m.Event == nil {
		return letter, nil
	}
	b, err := proto.Marshal(m.Event)
	if err != nil {
		return letter, event.Errorf(event.CodeInternal, "decode dead letter at position %d: %v", m.Position, err)
	}
	recorded, err := decodeRecorded(b)
	letter.Event = &recorded
	return letter, err
}

// Redrive puts dead letters back among the pending, with no attempts, and returns how
// many; without positions all, of which a call takes 1,000 at most. An outcome_unknown
// may have done it: what it took is no dead letter any more, or again.
func (c *Client) Redrive(ctx context.Context, subscription string, positions ...event.Position) (count int, err error) {
	request := &edriv1.Redrive{Subscription: subscription}
	for _, p := range positions {
		request.Positions = append(request.Positions, uint64(p))
	}
	err = c.once(ctx, func(ctx context.Context, n *server) error {
		response, err := n.redrive.CallUnary(ctx, connect.NewRequest(request))
		if err == nil {
			count = int(response.Msg.Count)
		}
		return err
	})
	return count, err
}
