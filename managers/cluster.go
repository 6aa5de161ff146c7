package managers

import (
	"context"
	"time"

	"github.com/edri-io/edri/event"
)

// Cluster is what a manager needs of a cluster. Package client has one that is
// remote, package server one within the node.
type Cluster interface {
	// Subscribe makes a subscription, or gives the one of that name this config. A
	// new one begins at start. It goes on trying as Consume does; exists says that the
	// subscription there has a newer Version than s.
	Subscribe(ctx context.Context, s event.Subscription, start Start) error
	// Consume is a member of a subscription until ctx ends: it calls handle for each
	// delivery, on up to c.Concurrency goroutines at a time, commits what it returns
	// and keeps the lease while it runs. It goes on over changes of the leader, and
	// returns once every handle has returned and its settlement was sent; what came
	// too late for that goes back uncounted. It returns nil when ctx ends, and an
	// *event.Error only where trying again is of no use: not_found, invalid, denied,
	// and exists once the subscription has a newer definition than c.Version.
	Consume(ctx context.Context, subscription string, c Consumer) error
}

// Start says where a new subscription begins. The zero Start is: with what is
// appended after it was made.
type Start struct {
	First    bool           // with the first event that is left
	Position event.Position // with the event at this position, or the next; 0: not set
	Time     time.Time      // with the first that was committed at or after this time, which must not lie ahead
}

// Consumer is how a member consumes.
type Consumer struct {
	// Member names it, for logs and people.
	Member string
	// Version of the definition that the member runs, see event.Subscription; 0: it
	// runs none, and goes on whatever the subscription's is.
	Version uint32
	// Concurrency is how many deliveries it has at a time; default 1.
	Concurrency int
	// Await, if set, is called before each Handle, whose context is made of what it
	// returns, and ends no later: a delivery waits in it for what Handle needs. That
	// is not part of Timeout; the lease is extended meanwhile.
	Await func(ctx context.Context, d Delivery) context.Context
	// Handle executes a delivery. Its context ends when the lease is lost, when
	// Timeout has passed, or when ctx of Consume has ended and Grace after it.
	Handle func(ctx context.Context, d Delivery) Settlement
	// Timeout of each handle, until which the lease is extended; default 30 s.
	Timeout time.Duration
	// Grace is how long handles may go on once ctx of Consume has ended; default 5 s.
	Grace time.Duration
	// Refused is told of a settlement that the cluster refused, such as effects that
	// conflict or a lease that was lost. The delivery comes again, here or elsewhere,
	// unless it is already_acked: where the lease is still held, Consume settles it
	// with a Nak whose reason is the error. Default: nothing.
	Refused func(d Delivery, err error)
}

// Delivery is an event that a member has a lease on.
type Delivery struct {
	event.Recorded
	Subscription string
	Generation   uint64
	// Attempt counts from 1.
	Attempt int
	// Lease is when it ends unless it is extended, which Consume does.
	Lease time.Time
	// Deadline is when responses to it are no longer taken, by the cluster's time;
	// zero: it is no request.
	Deadline time.Time
}

// EffectID is the same for every attempt: what a system outside the cluster
// deduplicates by.
func (d *Delivery) EffectID() string {
	return event.EffectID(d.Subscription, d.Generation, d.Position)
}

// isRequest reports whether somebody may wait for a response.
func (d *Delivery) isRequest() bool {
	kind := d.Extensions[event.AttrKind]
	return kind.String() == event.KindRequest
}

// Verb says how a delivery ends.
type Verb int

// The verbs.
const (
	Ack  Verb = iota // done, with effects
	Nak              // again, later
	Park             // to the dead letters now
	Skip             // done, without effect
)

// Settlement ends a delivery.
type Settlement struct {
	Verb Verb
	// Effects of an Ack, committed with it or not at all.
	Effects Effects
	// Reason of a Nak or Park.
	Reason string
	// Delay of a Nak; 0: by the subscription's backoff.
	Delay time.Duration
}

// Effects are what a handler changes, all in one commit with the acknowledgement.
type Effects struct {
	Appends []Append
	// Keys are changed in their order, after the appends.
	Keys []KeyChange
	// Response answers the delivery, which is a request; nil: it does not. Of an event that
	// is no request a manager gives it up.
	Response *event.Event

	err error // why Emit or Respond could not make an event
}

// Append appends an event.
type Append struct {
	Stream string // empty: the event's subject, else its source
	// Expected is what is asked of the stream: event.ExpectAny asks nothing, and the
	// zero value that the stream does not exist.
	Expected event.Expected
	Event    event.Event
}
