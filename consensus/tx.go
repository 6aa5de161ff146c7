package consensus

import (
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/store"
)

// Tx is what an operation of a state machine sees and changes: the machine's own
// table, with the changes of the operations before it in the same commit, and
// the journal.
type Tx struct {
	core    *Core
	tx      *store.Tx
	machine string
	table   store.Table
}

// Now is the time of the entry, by which timers are set, in nanoseconds since 1970.
func (t *Tx) Now() int64 { return t.core.now }

// Stamp is the entry's place in time, never less than that of an earlier entry.
func (t *Tx) Stamp() int64 { return t.core.meta.Stamp }

// Position is that of the last event, with those of this commit so far.
func (t *Tx) Position() event.Position { return t.core.lastPosition() }

// Begin is the position that the first event of this commit has, or would have: what
// all operations of one commit have in common, and no two commits that append.
func (t *Tx) Begin() event.Position { return t.core.meta.Mark.Last + 1 }

// Incarnation returns a number that no session, subscription, schedule or run
// had before.
func (t *Tx) Incarnation() uint64 { return t.core.nextIncarnation() }

// Get returns the value of a key, nil if it is absent. It is valid until the
// next change.
func (t *Tx) Get(key []byte) ([]byte, error) { return t.tx.Get(t.table, key) }

// Put sets the value of a key.
func (t *Tx) Put(key, value []byte) {
	t.core.hashRow(t.table, key, value, false)
	t.tx.Put(t.table, key, value)
}

// Delete removes a key.
func (t *Tx) Delete(key []byte) {
	t.core.hashRow(t.table, key, nil, true)
	t.tx.Delete(t.table, key)
}

// Scan iterates over the keys in [lo, hi) in ascending or descending order; a
// nil bound is none.
func (t *Tx) Scan(lo, hi []byte, reverse bool) *store.Iterator {
	return t.tx.Scan(t.table, lo, hi, reverse)
}

// In returns the same transaction with the table of another machine, whose
// methods know what to do with it. It panics where there is no such machine.
func (t *Tx) In(machine string) *Tx {
	return &Tx{core: t.core, tx: t.tx, machine: machine, table: t.core.tables.of(machine)}
}

// Attempt calls f, which must use the transaction that it is given alone. If f returns an
// error, which Attempt returns too, nothing of what it did ever was: no row, event, note
// or incarnation. The operation may go on if the error is an *event.Error.
func (t *Tx) Attempt(f func(*Tx) error) error {
	began := t.core.savepoint()
	attempt := *t
	attempt.tx = t.tx.Scratch()
	if err := f(&attempt); err != nil {
		attempt.tx.Discard()
		t.core.rollback(began)
		return err
	}
	attempt.tx.Merge()
	return nil
}

// Append appends an event, encoded by event.AppendEvent, to a stream (empty: the
// event's subject, else its source). It is an append like that of a client, who
// cannot tell the difference: within the window the same event again is a
// duplicate, at the position returned and with revision 0; other content and
// another revision than expected are *event.Error, after which the operation may
// go on. Data and names are held to the limits that no cluster exceeds.
func (t *Tx) Append(stream string, expected event.Expected, encoded []byte) (event.Position, event.Revision, error) {
	h, err := event.CheckEncoded(encoded, event.DefaultLimits().EventData)
	if err != nil {
		return 0, 0, asEventError(err)
	}
	a := appendOp{stream: []byte(stream), expected: expected, event: encoded}
	if stream == "" {
		a.stream = h.DefaultStream()
	}
	if err := event.CheckName("stream", a.stream); err != nil {
		return 0, 0, asEventError(err)
	}
	f := h.Fingerprint()
	r, err := t.core.append(t.tx, &a, &f)
	return r.position, r.revision, err
}
