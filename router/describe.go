package router

import (
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// Info is how a subscription is.
type Info struct {
	Subscription
	Pending, Dead int
	// Oldest is the first event that is pending, 0 for none, and its stamp.
	Oldest      event.Position
	OldestStamp int64
	// Live is what only the leader knows.
	Live Live
	// BlockingKey is the ordering key of the oldest pending event.
	BlockingKey string
}

// Live is how a subscription is in the leader's memory.
type Live struct {
	Members, InFlight int
	// Matched is up to where the leader has looked for events to hand out.
	Matched event.Position
	// Blocked: nothing new is handed out, since so much is pending.
	Blocked bool
}

// maxDeadCount is up to how many dead letters are counted.
const maxDeadCount = 100_000

// Describe returns how a subscription is, or *event.Error not_found.
func (r *Router) Describe(v *consensus.View, name string) (Info, error) {
	s, found, err := SubscriptionOf(v, name)
	if err != nil {
		return Info{}, err
	}
	if !found {
		return Info{}, noSubscription(name)
	}
	return r.describe(v, s)
}

// List returns up to limit subscriptions whose names begin with prefix and come after
// the name after, in the order of their bytes, and whether there are more.
func (r *Router) List(v *consensus.View, prefix, after string, limit int) (list []Info, more bool, err error) {
	for s, err := range Subscriptions(v, prefix, after) {
		if err != nil {
			return nil, false, err
		}
		if len(list) == limit {
			return list, true, nil
		}
		info, err := r.describe(v, s)
		if err != nil {
			return nil, false, err
		}
		list = append(list, info)
	}
	return list, false, nil
}

func (r *Router) describe(v *consensus.View, s Subscription) (Info, error) {
	info := Info{Subscription: s, Live: r.live(s.Config.Name)}
	for p, err := range PendingOf(v, s.Generation) {
		if err != nil {
			return info, err
		}
		if info.Pending == 0 {
			info.Oldest = p.Position
		}
		info.Pending++
	}
	var err error
	if info.Dead, err = DeadCount(v, s.ID, maxDeadCount); err != nil || info.Oldest == 0 {
		return info, err
	}
	rec, err := v.Journal().Get(info.Oldest)
	if event.CodeOf(err) == event.CodeCompacted {
		return info, nil // retention or a purge ended it; the leader skips it
	}
	if err != nil {
		return info, err
	}
	h, err := event.ScanHeader(rec.Event)
	info.OldestStamp, info.BlockingKey = rec.Stamp, string(parseOrderKey(s.Config.OrderingKey).of(&rec, &h))
	return info, err
}

func (r *Router) live(name string) Live {
	d := r.leading.Load()
	if d == nil {
		return Live{}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	q := d.queues[name]
	if q == nil {
		return Live{}
	}
	return Live{Members: len(q.members), InFlight: q.in[stateLeased], Matched: q.position(d.live), Blocked: q.full()}
}
