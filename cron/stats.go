package cron

import (
	"sync"

	"github.com/edri-io/edri/consensus"
)

// Stats are what the node's schedules did, by the kind of their action.
type Stats struct {
	// Schedules is how many there are.
	Schedules uint64
	// ByAction counts what became of times while this node led, by the action's name.
	ByAction map[string]Counters
}

// Actions are the names of the kinds of actions.
var Actions = []string{actionAppend.String(), actionRequest.String(), actionKeys.String()}

// String returns the kind's name.
func (k actionKind) String() string {
	return map[actionKind]string{actionAppend: "append", actionRequest: "request", actionKeys: "keys"}[k]
}

func (c *Counters) add(other Counters) {
	c.Fired += other.Fired
	c.Skipped += other.Skipped
	c.Missed += other.Missed
	c.Late += other.Late
	c.Failed += other.Failed
}

// minus returns by how much c is more than before.
func (c Counters) minus(before Counters) Counters {
	return Counters{
		Fired: c.Fired - before.Fired, Skipped: c.Skipped - before.Skipped, Missed: c.Missed - before.Missed,
		Late: c.Late - before.Late, Failed: c.Failed - before.Failed,
	}
}

// tally sums up what the leader observes.
type tally struct {
	mu       sync.Mutex
	byAction map[actionKind]Counters
}

func (t *tally) observe(notes []any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, n := range notes {
		if n, ok := n.(noteCounted); ok {
			sum := t.byAction[n.kind]
			sum.add(n.Counters)
			if t.byAction == nil {
				t.byAction = map[actionKind]Counters{}
			}
			t.byAction[n.kind] = sum
		}
	}
}

// Stats returns what the schedules of this node did, and how many there are in a view.
func (s *Scheduler) Stats(v *consensus.View) (Stats, error) {
	row, err := v.Get(machineName, countKey)
	if err != nil {
		return Stats{}, err
	}
	out := Stats{ByAction: map[string]Counters{}}
	if out.Schedules, err = parseCount(row); err != nil {
		return Stats{}, err
	}
	s.tally.mu.Lock()
	defer s.tally.mu.Unlock()
	for kind, counters := range s.tally.byAction {
		out.ByAction[kind.String()] = counters
	}
	return out, nil
}
