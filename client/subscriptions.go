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

// SubscriptionInfo is a subscription and where it stands.
type SubscriptionInfo struct {
	event.Subscription
	// Generation is new at each seek, and of no other subscription.
	Generation uint64
	Paused     bool
	Note       string // why it is paused
	// Cursor: each event at or below it that matches is done, pending or dead.
	Cursor event.Position
	// Behind counts the positions between the cursor and the journal's end, whether
	// they match or not.
	Behind        uint64
	Pending, Dead int
	// OldestPosition and OldestStamp are of the oldest event that is not done; zero:
	// none is pending.
	OldestPosition event.Position
	OldestStamp    time.Time

	// What follows only the leader knows: members, the deliveries that they have, how
	// far it has looked for more.
	Members, InFlight int
	Matched           event.Position
	// Blocked: nothing new is handed out since MaxPending events are pending;
	// BlockingKey is the ordering key of the oldest.
	Blocked     bool
	BlockingKey string
}

// CreateSubscription makes a subscription that begins at start, or fails with exists.
// One of the same config that is there after an answer was lost counts as made.
func (c *Client) CreateSubscription(ctx context.Context, s event.Subscription, start managers.Start) (SubscriptionInfo, error) {
	if _, err := s.Normalised(); err != nil {
		return SubscriptionInfo{}, err
	}
	request := &edriv1.CreateSubscription{Name: s.Name, Config: configMessage(s), Start: startMessage(start)}
	info, unsure, err := c.changeSubscription(ctx, func(ctx context.Context, n *server) (*connect.Response[edriv1.Subscription], error) {
		return n.create.CallUnary(ctx, connect.NewRequest(request))
	})
	if unsure && event.CodeOf(err) == event.CodeExists {
		if there, failed := c.Subscription(ctx, s.Name, Linearizable); failed == nil && sameConfig(there.Subscription, s) {
			return there, nil
		}
	}
	return info, err
}

// EnsureSubscription makes a subscription that begins at start, or gives the one that
// is there this config, and leaves it where it stands. exists: that one has a newer
// Version.
func (c *Client) EnsureSubscription(ctx context.Context, s event.Subscription, start managers.Start) (SubscriptionInfo, error) {
	if _, err := s.Normalised(); err != nil {
		return SubscriptionInfo{}, err
	}
	request := &edriv1.CreateSubscription{Name: s.Name, Config: configMessage(s), Start: startMessage(start), Ensure: true}
	info, _, err := c.changeSubscription(ctx, func(ctx context.Context, n *server) (*connect.Response[edriv1.Subscription], error) {
		return n.create.CallUnary(ctx, connect.NewRequest(request))
	})
	return info, err
}

// Subscribe is EnsureSubscription for managers.
func (c *Client) Subscribe(ctx context.Context, s event.Subscription, start managers.Start) error {
	_, err := c.EnsureSubscription(ctx, s, start)
	return err
}

// UpdateSubscription replaces the config. A filter holds for events beyond the cursor;
// another ordering key is refused with check_failed while events are pending, and a lower
// Version where force is false: by it members of the definition before come back.
func (c *Client) UpdateSubscription(ctx context.Context, s event.Subscription, force bool) (SubscriptionInfo, error) {
	if _, err := s.Normalised(); err != nil {
		return SubscriptionInfo{}, err
	}
	request := &edriv1.UpdateSubscription{Name: s.Name, Config: configMessage(s), Force: force}
	info, _, err := c.changeSubscription(ctx, func(ctx context.Context, n *server) (*connect.Response[edriv1.Subscription], error) {
		return n.update.CallUnary(ctx, connect.NewRequest(request))
	})
	return info, err
}

// PauseSubscription stops delivery; note says why, for whoever looks.
func (c *Client) PauseSubscription(ctx context.Context, name, note string) (SubscriptionInfo, error) {
	return c.pauseSubscription(ctx, &edriv1.PauseSubscription{Name: name, Paused: true, Note: note})
}

// ResumeSubscription lets delivery go on.
func (c *Client) ResumeSubscription(ctx context.Context, name string) (SubscriptionInfo, error) {
	return c.pauseSubscription(ctx, &edriv1.PauseSubscription{Name: name})
}

func (c *Client) pauseSubscription(ctx context.Context, request *edriv1.PauseSubscription) (SubscriptionInfo, error) {
	info, _, err := c.changeSubscription(ctx, func(ctx context.Context, n *server) (*connect.Response[edriv1.Subscription], error) {
		return n.pause.CallUnary(ctx, connect.NewRequest(request))
	})
	return info, err
}

// SeekSubscription begins a new generation at start: what was pending is dropped, and
// deliveries that are out become stale. An outcome_unknown may have done it; to do it
// again drops what was handed out since.
func (c *Client) SeekSubscription(ctx context.Context, name string, start managers.Start) (info SubscriptionInfo, err error) {
	request := &edriv1.SeekSubscription{Name: name, Start: startMessage(start)}
	err = c.once(ctx, func(ctx context.Context, n *server) error {
		response, err := n.seek.CallUnary(ctx, connect.NewRequest(request))
		if err == nil {
			info, err = newSubscriptionInfo(response.Msg)
		}
		return err
	})
	return info, err
}

// DeleteSubscription ends a subscription and all that is pending. One that is not
// there after an answer was lost counts as deleted.
func (c *Client) DeleteSubscription(ctx context.Context, name string) error {
	request := &edriv1.DeleteSubscription{Name: name}
	unsure := false
	err := c.repeat(ctx, func(ctx context.Context, n *server) error {
		_, err := n.delete.CallUnary(ctx, connect.NewRequest(request))
		unsure = unsure || mayHaveHappened(err)
		return err
	})
	if unsure && event.CodeOf(err) == event.CodeNotFound {
		return nil
	}
	return err
}

// changeSubscription is repeat for calls that answer with the subscription. unsure: an
// answer was lost on the way.
func (c *Client) changeSubscription(ctx context.Context,
	call func(context.Context, *server) (*connect.Response[edriv1.Subscription], error),
) (info SubscriptionInfo, unsure bool, err error) {
	err = c.repeat(ctx, func(ctx context.Context, n *server) error {
		response, err := call(ctx, n)
		if err == nil {
			info, err = newSubscriptionInfo(response.Msg)
			return err
		}
		unsure = unsure || mayHaveHappened(err)
		return err
	})
	return info, unsure, err
}

// Subscription returns one subscription, or not_found.
func (c *Client) Subscription(ctx context.Context, name string, consistency Consistency) (info SubscriptionInfo, err error) {
	if err := event.CheckName("subscription", name); err != nil {
		return info, err
	}
	request := &edriv1.GetSubscriptionRequest{Name: name, Consistency: consistency.wire()}
	err = c.ask(ctx, func(ctx context.Context, n *server) error {
		response, err := n.show.CallUnary(ctx, connect.NewRequest(request))
		if err == nil {
			info, err = newSubscriptionInfo(response.Msg)
		}
		return err
	})
	return info, err
}

// Subscriptions returns the subscriptions whose names begin with prefix, in the order
// of their names' bytes. The sequence ends after the first error.
func (c *Client) Subscriptions(ctx context.Context, prefix string, consistency Consistency) iter.Seq2[SubscriptionInfo, error] {
	return func(yield func(SubscriptionInfo, error) bool) {
		request := &edriv1.ListSubscriptionsRequest{Prefix: prefix, Consistency: consistency.wire()}
		for more := true; more; {
			var page *edriv1.ListSubscriptionsResponse
			err := c.ask(ctx, func(ctx context.Context, n *server) error {
				response, err := n.list.CallUnary(ctx, connect.NewRequest(request))
				if err == nil {
					page = response.Msg
				}
				return err
			})
			if err != nil {
				yield(SubscriptionInfo{}, err)
				return
			}
			for _, s := range page.Subscriptions {
				info, err := newSubscriptionInfo(s)
				if !yield(info, err) || err != nil {
					return
				}
				request.After = s.Name
			}
			more = page.More && len(page.Subscriptions) > 0
		}
	}
}
