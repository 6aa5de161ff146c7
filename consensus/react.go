package consensus

import (
	"errors"
	"fmt"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/store"
)

// Reactor is a StateMachine that goes on when an event is appended, by whomever, in the
// transaction that appends it.
type Reactor interface {
	StateMachine
	// Reacts reports whether the machine waits for any event at all. It is asked at an
	// entry's first event, with the machine's own table: while it does not, events cost
	// nothing. An error stops the node.
	Reacts(tx *Tx) (bool, error)
	// Appended is called in apply, with the machine's own table, for each event that was
	// not there before. It must append none. Its errors stop the node. It must not keep
	// what it is given.
	Appended(tx *Tx, e Appended) error
}

// Appended is an event that was just appended.
type Appended struct {
	Stream   string
	Position event.Position
	Event    []byte
}

// reactor is a Reactor during an entry.
type reactor struct {
	machine Reactor
	asked   bool // since the entry began
	reacts  bool
}

// React makes the machine's Appended be called from now on, where Reacts was false when
// it was asked.
func (t *Tx) React() {
	for i := range t.core.reactors {
		if r := &t.core.reactors[i]; r.machine.Name() == t.machine {
			r.asked, r.reacts = true, true
		}
	}
}

func reactorsOf(mux *Mux) []reactor {
	var list []reactor
	if mux != nil {
		for _, machine := range mux.machines {
			if r, ok := machine.(Reactor); ok {
				list = append(list, reactor{machine: r})
			}
		}
	}
	return list
}

// react lets the machines go on after an append. layer has the changes so far of the
// operation that appended; nil: the operation is an append and nothing else.
//
// That a machine does not react is remembered for one entry, and no longer than what made
// it so: see rollback.
func (c *Core) react(layer *store.Tx, e Appended) error {
	for i := range c.reactors {
		r := &c.reactors[i]
		if r.asked && !r.reacts {
			continue
		}
		if layer == nil {
			if c.overlay == nil {
				c.overlay = c.tx.Scratch()
			}
			layer = c.overlay
		}
		tx := Tx{core: c, tx: layer, machine: r.machine.Name(), table: c.tables.of(r.machine.Name())}
		if !r.asked {
			reacts, err := r.machine.Reacts(&tx)
			if err != nil {
				return reactionError(r, e, err)
			}
			r.asked, r.reacts = true, reacts
			if !reacts {
				continue
			}
		}
		if err := r.machine.Appended(&tx, e); err != nil {
			return reactionError(r, e, err)
		}
	}
	return nil
}

func reactionError(r *reactor, e Appended, err error) error {
	return fmt.Errorf("%s reacts to position %d: %w", r.machine.Name(), e.Position, unrefusable{err})
}

// unrefusable hides that an error is an *event.Error, which would only fail the operation,
// but not what else it is, by which the node ends.
type unrefusable struct{ error }

func (u unrefusable) Is(target error) bool { return errors.Is(u.error, target) }

// askAgain is called when changes are taken back: a machine that did not react may, for
// what ended its waits may be among them.
func (c *Core) askAgain() {
	for i := range c.reactors {
		if r := &c.reactors[i]; !r.reacts {
			r.asked = false
		}
	}
}

// beginReactions is called when an entry begins.
func (c *Core) beginReactions() {
	for i := range c.reactors {
		c.reactors[i].asked = false
	}
}
