package timers

import (
	"encoding/binary"
	"fmt"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/store"
)

// name is that of the state machine and its table.
const name = "timers"

const keyBytes = 16

// Timer names a timer that was set.
type Timer struct {
	Due    int64 // nanoseconds since 1970
	Number uint64
}

// Owner is a state machine that sets timers.
type Owner interface {
	// Name is that of the state machine. It is written into each of its timers.
	Name() string
	// Fire is called in apply, with the owner's own table, for each timer of it that
	// is due: the timer is gone already. It is as pure as apply itself, and every
	// error stops the node.
	Fire(tx *consensus.Tx, t Timer, payload []byte) error
}

// Set sets a timer of an owner in the transaction of one of its operations. A time
// that has passed is due at once. A due time below 0 panics: 1970 is the least.
func (t *Table) Set(tx *consensus.Tx, owner Owner, due int64, payload []byte) Timer {
	if due < 0 {
		panic(fmt.Sprintf("timers: due %d", due))
	}
	timer := Timer{Due: due, Number: tx.Incarnation()}
	value := binary.AppendUvarint(nil, uint64(len(owner.Name())))
	value = append(value, owner.Name()...)
	tx.In(name).Put(timer.key(), append(value, payload...))
	t.expectAt(due)
	return timer
}

// Cancel removes a timer. One that has fired, or was cancelled, is gone already,
// which is fine.
func (t *Table) Cancel(tx *consensus.Tx, timer Timer) { tx.In(name).Delete(timer.key()) }

func (t Timer) key() []byte {
	key := binary.BigEndian.AppendUint64(make([]byte, 0, keyBytes), uint64(t.Due))
	return binary.BigEndian.AppendUint64(key, t.Number)
}

var errRow = fmt.Errorf("%w: row of a timer", store.ErrCorrupt)

// decodeRow takes a row apart. The payload aliases it.
func decodeRow(key, value []byte) (t Timer, owner string, payload []byte, err error) {
	size, n := binary.Uvarint(value)
	if len(key) != keyBytes || n <= 0 || size > uint64(len(value)-n) {
		return Timer{}, "", nil, fmt.Errorf("%w: key %x, value of %d bytes", errRow, key, len(value))
	}
	t = Timer{Due: int64(binary.BigEndian.Uint64(key)), Number: binary.BigEndian.Uint64(key[8:])}
	return t, string(value[n : n+int(size)]), value[n+int(size):], nil
}
