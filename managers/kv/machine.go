package kv

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/timers"
)

// Machine is the replicated state machine of keys.
type Machine struct {
	timers *timers.Table
	// Limits are what Check holds values to, by default event.DefaultLimits. They are
	// set before the node is opened.
	Limits event.Limits
}

var (
	_ consensus.Weigher = (*Machine)(nil)
	_ timers.Owner      = (*Machine)(nil)
)

// New returns a machine whose times to live are timers of a table, where it registers
// itself.
func New(t *timers.Table) *Machine {
	m := &Machine{timers: t, Limits: event.DefaultLimits()}
	t.Register(m)
	return m
}

// Name implements consensus.StateMachine.
func (m *Machine) Name() string { return machineName }

// Ops implements consensus.StateMachine.
func (m *Machine) Ops() (first, last uint32) { return opFirst, opLast }

// Apply implements consensus.StateMachine.
func (m *Machine) Apply(tx *consensus.Tx, op uint32, body []byte) ([]byte, error) {
	switch op {
	case opCreateBucket:
		return apply(tx, body, decodeCreateBucket, m.createBucket)
	case opUpdateBucket:
		return apply(tx, body, decodeUpdateBucket, m.updateBucket)
	case opDeleteBucket:
		return apply(tx, body, decodeDeleteBucket, m.deleteBucket)
	case opPut:
		return apply(tx, body, decodePut, func(tx *consensus.Tx, o putOp) ([]byte, error) {
			r, err := m.put(tx, o)
			return keyChanged(r), err
		})
	case opDelete:
		return apply(tx, body, decodeDelete, func(tx *consensus.Tx, o deleteOp) ([]byte, error) {
			r, err := m.delete(tx, o)
			return keyChanged(r), err
		})
	case opCompare:
		return apply(tx, body, decodeCompare, compare)
	case opTransact:
		return apply(tx, body, decodeTransact, m.transact)
	}
	return nil, fmt.Errorf("%w: unknown operation %d", consensus.ErrUndecodable, op)
}

// apply decodes an operation and executes it.
func apply[T any](tx *consensus.Tx, body []byte, decode func([]byte) (T, error), execute func(*consensus.Tx, T) ([]byte, error)) ([]byte, error) {
	o, err := decode(body)
	if err != nil {
		// Not %w: an *event.Error in it would only fail the operation.
		return nil, fmt.Errorf("%w: %v", consensus.ErrUndecodable, err)
	}
	return execute(tx, o)
}

// The payload of a timer begins with its kind.
const (
	timerExpire = 'e' // BE8 id, key: the key expires
	timerForget = 'f' // BE8 id, key: the history of a key that is not there goes
	timerSweep  = 's' // BE8 id: rows of a bucket that is gone are swept
)

func timerPayload(kind byte, id uint64, key []byte) []byte {
	return append(idKey(kind, id), key...)
}

// Fire implements timers.Owner.
func (m *Machine) Fire(tx *consensus.Tx, t timers.Timer, payload []byte) error {
	if len(payload) < 9 {
		return fmt.Errorf("%w: timer of keys with payload %x", consensus.ErrUndecodable, payload)
	}
	id, key := binary.BigEndian.Uint64(payload[1:]), payload[9:]
	switch payload[0] {
	case timerExpire:
		return m.expire(tx, t, id, key)
	case timerForget:
		return forget(tx, t, id, key)
	case timerSweep:
		return m.sweep(tx, id)
	}
	return fmt.Errorf("%w: timer of keys with payload %x", consensus.ErrUndecodable, payload)
}

// place is a bucket within a transaction: what apply knows of it while it changes keys.
type place struct {
	tx     *consensus.Tx
	id     uint64
	config Config
	content
}

// at returns a bucket by its name, or not_found.
func at(tx *consensus.Tx, name []byte) (place, error) {
	row, err := tx.Get(bucketKey(name))
	if err != nil {
		return place{}, err
	}
	if row == nil {
		return place{}, noBucket(name)
	}
	b, err := parseBucket(row)
	if err != nil {
		return place{}, err
	}
	p := place{tx: tx, id: b.id}
	if p.config, err = appliedConfig(b.config); err != nil {
		return place{}, err
	}
	row, err = tx.Get(idKey(kindContent, b.id))
	if err != nil {
		return place{}, err
	}
	if p.content, err = parseContent(row); err != nil {
		return place{}, err
	}
	p.name = bytes.Clone(p.name) // the row changes
	return p, nil
}

// save writes what is in the bucket.
func (p *place) save() {
	p.tx.Put(idKey(kindContent, p.id), p.content.append(nil))
}

// entry returns a key as it is, false where it is not there. It does not alias the row.
func (p *place) entry(key []byte) (entry, bool, error) {
	row, err := p.tx.Get(entryKey(p.id, key))
	if row == nil || err != nil {
		return entry{}, false, err
	}
	e, err := parseEntry(bytes.Clone(row))
	return e, err == nil, err
}

func noBucket[T ~string | ~[]byte](name T) *event.Error {
	return event.Errorf(event.CodeNotFound, "bucket %q does not exist", string(name))
}
