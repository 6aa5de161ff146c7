package managerstest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers"
)

var _ managers.Cluster = (*Cluster)(nil)

// requestTimeout is how long a request that Call makes may be answered.
const requestTimeout = 30 * time.Second

// Cluster is a cluster in memory that delivers as a real one does: leases, attempts,
// backoff, dead letters, ordering keys (but JSON pointers), effects all or nothing. It
// keeps everything it was given, and tells time by package time, so that it can be used
// with testing/synctest.
type Cluster struct {
	mu            sync.Mutex
	events        []event.Recorded // position 1 first
	revisions     map[string]event.Revision
	ids           map[[2]string]event.Position // by source and id
	subscriptions map[string]*subscription
	requests      map[event.Position]chan event.Event // open; one response each
	givenUp       map[event.Position]string           // of them, and why
	generation    uint64
	keys          map[[2]string]managers.Key // by bucket and key
	keyChanges    event.Position
	// changed is closed, and replaced, whenever a member may find something new.
	changed chan struct{}
}

// NewCluster returns an empty cluster.
func NewCluster() *Cluster {
	return &Cluster{
		revisions:     make(map[string]event.Revision),
		ids:           make(map[[2]string]event.Position),
		subscriptions: make(map[string]*subscription),
		requests:      make(map[event.Position]chan event.Event),
		givenUp:       make(map[event.Position]string),
		keys:          make(map[[2]string]managers.Key),
		changed:       make(chan struct{}),
	}
}

// Append appends an event; stream "" is its subject, else its source.
func (c *Cluster) Append(_ context.Context, stream string, e event.Event) (event.Position, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.commitLocked([]managers.Append{{Stream: stream, Expected: event.ExpectAny, Event: e}})
}

// Read returns the events of a stream.
func (c *Cluster) Read(_ context.Context, stream string) ([]event.Recorded, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var found []event.Recorded
	for _, e := range c.events {
		if e.Stream == stream {
			found = append(found, e)
		}
	}
	return found, nil
}

// Call sends a request and waits for its response.
func (c *Cluster) Call(ctx context.Context, e event.Event) (event.Event, error) {
	response, err := c.send(e)
	if err != nil {
		return event.Event{}, err
	}
	select {
	case <-ctx.Done():
		return event.Event{}, ctx.Err()
	case r := <-response:
		return r, nil
	}
}

func (c *Cluster) send(e event.Event) (<-chan event.Event, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.ContainsFunc(c.sortedLocked(), func(s *subscription) bool { return s.selects(&e) }) {
		return nil, event.Errorf(event.CodeNoResponder, "no subscription selects type %s", e.Type)
	}
	if e.Extensions == nil {
		e.Extensions = make(map[string]event.Value)
	}
	e.Extensions[event.AttrKind] = event.String(event.KindRequest)
	// Before the members see it.
	response := make(chan event.Event, 1)
	c.requests[event.Position(len(c.events)+1)] = response
	if _, err := c.commitLocked([]managers.Append{{Expected: event.ExpectAny, Event: e}}); err != nil {
		delete(c.requests, event.Position(len(c.events)+1))
		return nil, err
	}
	return response, nil
}

// commitLocked appends all or nothing, and returns the position of the last event.
func (c *Cluster) commitLocked(appends []managers.Append) (event.Position, error) {
	revisions := make(map[string]event.Revision)
	fresh := make([]event.Recorded, 0, len(appends))
	position := event.Position(len(c.events))
	for _, a := range appends {
		if err := a.Event.Validate(); err != nil {
			return 0, err
		}
		if first, ok := c.ids[[2]string{a.Event.Source, a.Event.ID}]; ok {
			position = first // a duplicate, which is a success
			continue
		}
		stream := streamOf(a)
		actual, ok := revisions[stream]
		if !ok {
			actual = c.revisions[stream]
		}
		if !a.Expected.Allows(actual) {
			return 0, event.RevisionConflict(stream, a.Expected, actual)
		}
		revisions[stream] = actual + 1
		position = event.Position(len(c.events) + len(fresh) + 1)
		fresh = append(fresh, event.Recorded{
			Event: a.Event, Position: position, Revision: actual + 1, Stream: stream, Stamp: time.Now(),
		})
	}
	for _, e := range fresh {
		c.events = append(c.events, e)
		c.revisions[e.Stream] = e.Revision
		c.ids[[2]string{e.Source, e.ID}] = e.Position
	}
	for _, s := range c.sortedLocked() {
		c.matchLocked(s)
	}
	c.changedLocked()
	return position, nil
}

func streamOf(a managers.Append) string {
	for _, s := range []string{a.Stream, a.Event.Subject} {
		if s != "" {
			return s
		}
	}
	return a.Event.Source
}

func (c *Cluster) changedLocked() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// Expire ends the leases of a subscription's deliveries as if their members had been
// silent for too long.
func (c *Cluster) Expire(subscription string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, err := c.findLocked(subscription)
	if err != nil {
		return err
	}
	for _, p := range slices.Clone(s.pending) {
		if p.lease != nil {
			c.failLocked(s, p, "the lease ended", 0)
		}
	}
	return nil
}

func (c *Cluster) findLocked(name string) (*subscription, error) {
	s := c.subscriptions[name]
	if s == nil {
		return nil, event.Errorf(event.CodeNotFound, "subscription %q: is not there", name)
	}
	return s, nil
}

// Dead returns the dead letters of a subscription.
func (c *Cluster) Dead(_ context.Context, subscription string) ([]Dead, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, err := c.findLocked(subscription)
	if err != nil {
		return nil, err
	}
	return slices.Clone(s.dead), nil
}

// buryLocked moves an event to the dead letters.
func (c *Cluster) buryLocked(s *subscription, p *pending) {
	s.remove(p)
	s.dead = append(s.dead, Dead{p.position, p.reasons})
	letter := event.Event{
		ID: fmt.Sprintf("%d/%d/dead", s.generation, p.position), Source: "/subscriptions", Type: "edri.event.dead",
	}
	// It can be no duplicate and expects nothing.
	_, _ = c.commitLocked([]managers.Append{{Stream: s.DeadLetterStream, Expected: event.ExpectAny, Event: letter}})
	if _, open := c.requests[p.position]; open {
		c.givenUp[p.position] = p.reasons[len(p.reasons)-1]
	}
	c.answerLocked(p.position)
}

// answerLocked tells the caller of a request that it was given up, once no subscription
// may answer it.
func (c *Cluster) answerLocked(p event.Position) {
	reason, ok := c.givenUp[p]
	waiter, open := c.requests[p]
	if !open {
		delete(c.givenUp, p) // it was answered
	}
	if !ok || !open {
		return
	}
	for _, s := range c.subscriptions {
		if slices.ContainsFunc(s.pending, func(other *pending) bool { return other.position == p }) {
			return
		}
	}
	delete(c.givenUp, p)
	delete(c.requests, p)
	problem, _ := json.Marshal(map[string]any{ // of strings and a number
		"type": event.ProblemGivenUp, "title": "the request was given up", "status": 500, "detail": reason,
	})
	waiter <- event.Event{
		ID: fmt.Sprintf("%d/given up", p), Source: "/subscriptions", Type: "edri.request.given_up",
		DataContentType: "application/problem+json", Data: problem,
		Extensions: map[string]event.Value{event.AttrKind: event.String(event.KindResponse)},
	} // has room for the one
}
