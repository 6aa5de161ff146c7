package router

import (
	"errors"
	"fmt"
	"math"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// fail executes fail: attempts of which no member told count. Events that wait were with
// nobody; those that are done are not concerned.
func (m *Machine) fail(tx *consensus.Tx, o failOp) ([]byte, error) {
	g, ok, err := getProgress(tx, o.generation)
	if !ok || err != nil {
		return nil, err
	}
	s, err := ownSubscription(tx, g.name)
	if err != nil {
		return nil, err
	}
	config, err := appliedConfig(g.name, s.config)
	if err != nil {
		return nil, err
	}
	id := s.id
	err = unpackPositions(o.positions, 0, math.MaxUint64, func(position event.Position) error {
		p, ok, err := getPending(tx, o.generation, position)
		if !ok || err != nil || p.done || p.due != 0 {
			return err
		}
		c := &claim{Machine: m, tx: tx, generation: o.generation, position: position, pending: p, verb: verbLost}
		c.addFailure(o.reason)
		switch attempts := c.pending.failures.count; {
		case attempts >= config.MaxDeliver:
			return c.giveUp(&config, id)
		case o.how == failLost && attempts > 1:
			c.wait(backoff(&config, attempts))
		default:
			c.wait(0)
		}
		return nil
	})
	if err != nil {
		return nil, proposed("fail", err)
	}
	return nil, nil
}

// proposed returns the error of an operation that the leader proposed, which ends the
// node: half of it must not be taken back as if a client could be told.
func proposed(what string, err error) error {
	if errors.Is(err, errWire) {
		return fmt.Errorf("%w: %s: %v", consensus.ErrUndecodable, what, err)
	}
	return fmt.Errorf("%s: %w", what, unforeseen{err})
}

// unforeseen hides that an error is an *event.Error, but not what else it is.
type unforeseen struct{ error }

func (u unforeseen) Is(target error) bool { return errors.Is(u.error, target) }
