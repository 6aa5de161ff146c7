package managerstest

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers"
)

// Harness is a cluster with what the suite does to it from outside.
type Harness struct {
	Cluster managers.Cluster
	// Append appends an event to a stream.
	Append func(ctx context.Context, stream string, e event.Event) (event.Position, error)
	// Read returns all events of a stream; none where it does not exist.
	Read func(ctx context.Context, stream string) ([]event.Recorded, error)
	// Call sends a request and returns the response; one that is a problem may be an error
	// beside it.
	Call func(ctx context.Context, e event.Event) (event.Event, error)
	// Dead lists the dead letters of a subscription.
	Dead func(ctx context.Context, subscription string) ([]Dead, error)
}

// Dead is a dead letter: where the event stands, and why each attempt failed.
type Dead struct {
	Position event.Position
	Reasons  []string
}

// Harness returns the harness of a cluster in memory.
func (c *Cluster) Harness() Harness {
	return Harness{Cluster: c, Append: c.Append, Read: c.Read, Call: c.Call, Dead: c.Dead}
}

// Run holds an implementation of managers.Cluster to what managers rely on. open is
// called for each test and may return the same cluster again: no two tests share a
// name.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	for _, test := range []struct {
		name string
		run  func(*scene)
	}{
		{"each event is handled once with its effects", handlesOnce},
		{"an event without effects is done", doneWithoutEffects},
		{"a failure is tried again and ends in the dead letters", failsToDeadLetters},
		{"a rejected event is given up at once", rejects},
		{"a handler says when to try again", triesAgainLater},
		{"a panic is tried again", panics},
		{"effects that conflict are tried again", conflicts},
		{"a pool handles several at a time", pools},
		{"two members compete", competes},
		{"a slow handler keeps its lease", keepsLease},
		{"a handler past its timeout is tried again", timesOut},
		{"what a delivery waits for is not part of its time", waits},
		{"what is under way at the end is settled", finishes},
		{"what is not done at the end goes to others uncounted", handsBack},
		{"a request is answered", answers},
		{"a request that is given up is answered too", answersGivenUp},
		{"a newer version supersedes", supersedes},
		{"a process handles events", processes},
		{"keys change with the acknowledgement", keysChange},
		{"a key that is not as expected refuses the whole acknowledgement", keysConflict},
		{"a process reads and changes keys", keysOfAProcess},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			t.Cleanup(cancel)
			test.run(&scene{T: t, Harness: open(t), ctx: ctx})
		})
	}
}

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// scene is one test with names of its own.
type scene struct {
	*testing.T
	Harness
	ctx context.Context
}

// named makes a name that no other test has.
func (s *scene) named(what string) string {
	return strings.ReplaceAll(s.Name(), " ", "-") + "." + what
}

// thing is the data of the suite's events.
type thing struct {
	Number int `json:"number"`
}

// append appends an event of the type with a number to a stream of the test.
func (s *scene) append(typ string, number int) event.Position {
	s.Helper()
	data, err := json.Marshal(thing{number})
	if err != nil {
		s.Fatal(err)
	}
	e := event.Event{
		ID: fmt.Sprintf("%s-%d", typ, number), Source: "/managerstest", Type: typ,
		DataContentType: "application/json", Data: data,
	}
	position, err := s.Append(s.ctx, s.named("things"), e)
	if err != nil {
		s.Fatalf("append: %v", err)
	}
	return position
}

// manager returns a manager whose subscription begins with the test's own events and
// has little patience.
func (s *scene) manager(name string, cfg managers.Config) *managers.Manager {
	s.Helper()
	if cfg.Subscription.Backoff == nil {
		cfg.Subscription.Backoff = []time.Duration{10 * time.Millisecond}
	}
	cfg.Logger = slog.New(slog.NewTextHandler(s.Output(), nil))
	m, err := managers.New(s.named(name), cfg)
	if err != nil {
		s.Fatal(err)
	}
	return m
}

// subscribe makes the subscription of a manager that is run later, so that what is
// appended from now on is selected.
func (s *scene) subscribe(name, typ string, def event.Subscription) {
	s.Helper()
	def.Name = s.named(name)
	def.Filter = event.Filter{Exact: map[string]string{"type": typ}}
	if def.Backoff == nil {
		def.Backoff = []time.Duration{10 * time.Millisecond}
	}
	if err := s.Cluster.Subscribe(s.ctx, def, managers.Start{}); err != nil {
		s.Fatalf("subscribe: %v", err)
	}
}

// run runs the manager until stop is called, which returns what Run returned.
func (s *scene) run(m *managers.Manager) (stop func() error) {
	ctx, cancel := context.WithCancel(s.ctx)
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx, s.Cluster) }()
	stopped := false
	var err error
	stop = func() error {
		cancel()
		if !stopped {
			stopped, err = true, <-done
		}
		return err
	}
	s.Cleanup(func() {
		if err := stop(); err != nil {
			s.Errorf("Run: %v", err)
		}
	})
	return stop
}

// receive returns the next value, which must come.
func receive[T any](s *scene, values <-chan T) T {
	s.Helper()
	select {
	case v := <-values:
		return v
	case <-s.ctx.Done():
		s.Fatalf("waited in vain for a %T", *new(T))
		panic("not reached")
	}
}

// until waits until a condition holds.
func (s *scene) until(what string, holds func() bool) {
	s.Helper()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for !holds() {
		select {
		case <-again.C:
		case <-s.ctx.Done():
			s.Fatalf("waited in vain: %s", what)
		}
	}
}

// stream returns the events of a stream of the test.
func (s *scene) stream(what string) []event.Recorded {
	s.Helper()
	events, err := s.Read(s.ctx, s.named(what))
	if err != nil {
		s.Fatalf("read: %v", err)
	}
	return events
}

// dead returns the dead letters of a manager of the test.
func (s *scene) dead(name string) []Dead {
	s.Helper()
	dead, err := s.Dead(s.ctx, s.named(name))
	if err != nil {
		s.Fatalf("dead letters: %v", err)
	}
	return dead
}
