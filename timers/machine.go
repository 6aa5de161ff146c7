package timers

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"sync/atomic"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// opFire takes the timers that are due off the table. Its message has one field,
// 1: at most how many, so that what a later version takes at a time does not
// change what earlier entries did.
const opFire = 16

// maxFire is how many timers fire in one entry.
const maxFire = 1000

// Table is the state machine of the timers. Its owners are known before the first
// entry is applied and never change.
type Table struct {
	owners map[string]Owner
	// sooner is the earliest due time that was set since the leader looked last.
	sooner atomic.Int64
}

var _ consensus.StateMachine = (*Table)(nil)

// New returns an empty table.
func New() *Table {
	t := &Table{owners: map[string]Owner{}}
	t.sooner.Store(math.MaxInt64)
	return t
}

// Register makes an owner known, before the node is opened.
func (t *Table) Register(o Owner) { t.owners[o.Name()] = o }

// Name implements consensus.StateMachine.
func (t *Table) Name() string { return name }

// Ops implements consensus.StateMachine.
func (t *Table) Ops() (first, last uint32) { return opFire, opFire }

// Check implements consensus.StateMachine: clients fire nothing.
func (t *Table) Check(op uint32, _ []byte) error {
	return event.Errorf(event.CodeInvalid, "operation %d is the cluster's own", op)
}

// Apply implements consensus.StateMachine.
func (t *Table) Apply(tx *consensus.Tx, op uint32, body []byte) ([]byte, error) {
	limit, err := decodeFire(body)
	if err != nil {
		return nil, err
	}
	due, err := dueKeys(tx, limit)
	if err != nil {
		return nil, err
	}
	for _, key := range due {
		if err := t.fireRow(tx, key); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// dueKeys returns the keys of the first timers that are due. A timer that sets
// another for a time that has passed does not find it among them: that fires in
// the next entry, and not in this one for ever.
func dueKeys(tx *consensus.Tx, limit int) ([][]byte, error) {
	it := tx.Scan(nil, Timer{Due: max(tx.Now(), 0), Number: math.MaxUint64}.key(), false)
	defer it.Close()
	var keys [][]byte
	for len(keys) < limit && it.Next() {
		keys = append(keys, bytes.Clone(it.Key()))
	}
	if err := it.Err(); err != nil {
		return nil, fmt.Errorf("read due timers: %w", err)
	}
	return keys, nil
}

// fireRow takes a timer off the table and gives it to its owner, unless one that
// fired before it has cancelled it.
func (t *Table) fireRow(tx *consensus.Tx, key []byte) error {
	row, err := tx.Get(key)
	if row == nil || err != nil {
		return err
	}
	timer, name, payload, err := decodeRow(key, row)
	if err != nil {
		return err
	}
	payload = bytes.Clone(payload) // the row goes
	tx.Delete(key)
	owner := t.owners[name]
	if owner == nil {
		return fmt.Errorf("%w: timer %d of %q, which this binary does not know", consensus.ErrUndecodable, timer.Number, name)
	}
	if err := owner.Fire(tx.In(name), timer, payload); err != nil {
		// Nothing was asked that could be refused: an *event.Error ends the node too.
		return fmt.Errorf("fire timer %d of %s: %w", timer.Number, name, broken{err})
	}
	return nil
}

// broken hides that an error is an *event.Error, but not what else it is.
type broken struct{ error }

func (b broken) Is(target error) bool { return errors.Is(b.error, target) }

func encodeFire(limit int) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(limit))
}

func decodeFire(b []byte) (int, error) {
	number, kind, n := protowire.ConsumeTag(b)
	if n < 0 || number != 1 || kind != protowire.VarintType {
		return 0, fmt.Errorf("%w: fire %x", consensus.ErrUndecodable, b)
	}
	limit, m := protowire.ConsumeVarint(b[n:])
	if m < 0 || len(b) != n+m || limit > math.MaxInt32 {
		return 0, fmt.Errorf("%w: fire %x", consensus.ErrUndecodable, b)
	}
	return int(limit), nil
}
