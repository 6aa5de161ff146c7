package consensus

import (
	"encoding/binary"

	"github.com/edri-io/edri/store"
)

const (
	// defaultHashInterval is after how many entries the state's hash is kept for
	// comparison.
	defaultHashInterval = 10_000
	keptCheckpoints     = 16
)

// Checkpoint is the state's hash as of the first applied entry at or above an
// index that is a multiple of the interval. Nodes that have the same index must
// have the same hash.
type Checkpoint struct {
	Index, Hash uint64
}

// The state's hash is a chain: each entry's is made from the last one's and from
// all that applying the entry decided,
//
//	hash before ┊ rows written ┊ counters and the journal's mark ┊ results ┊ fingerprints
//
// so that a node that decided anything differently, once, has another hash for
// ever. What is written at Publish (streams, sessions) follows from these, and is
// written in batches that differ between nodes; it is not hashed itself. See
// docs/adr/0016.

// beginHash begins the hash of one entry.
func (c *Core) beginHash() {
	c.digest.Reset()
	c.hashNumbers(c.meta.Hash)
}

func (c *Core) hashNumbers(numbers ...uint64) {
	c.scratch = c.scratch[:0]
	for _, v := range numbers {
		c.scratch = binary.BigEndian.AppendUint64(c.scratch, v)
	}
	_, _ = c.digest.Write(c.scratch) // never fails
}

// hashRow takes a row in that the entry writes or deletes. That a failed commit
// takes it back is hashed with its result.
func (c *Core) hashRow(table store.Table, key, value []byte, deleted bool) {
	kind := uint64(table) << 1
	if deleted {
		kind |= 1
	}
	c.hashNumbers(kind, uint64(len(key)), uint64(len(value)))
	_, _ = c.digest.Write(key)
	_, _ = c.digest.Write(value)
}

// put writes a row of the core's own tables.
func (c *Core) put(table store.Table, key, value []byte) {
	c.hashRow(table, key, value, false)
	c.tx.Put(table, key, value)
}

// delete deletes a row of the core's own tables.
func (c *Core) delete(table store.Table, key []byte) {
	c.hashRow(table, key, nil, true)
	c.tx.Delete(table, key)
}

// endHash ends the hash of the entry at index, before that is the applied one.
func (c *Core) endHash(index, term uint64) {
	m := &c.meta
	c.hashNumbers(index, term, uint64(m.Stamp), m.Incarnation, c.window.floor, m.Trimmed, uint64(m.Feature))
	c.scratch = m.Mark.AppendTo(c.scratch[:0])
	_, _ = c.digest.Write(c.scratch)
	_, _ = c.digest.Write(c.results)
	_, _ = c.digest.Write(c.fingerprints)
	m.Hash = c.digest.Sum64()
	if at := index / c.hashInterval * c.hashInterval; at > m.Checkpoint.Index {
		m.Checkpoint = Checkpoint{Index: at, Hash: m.Hash}
		c.keepCheckpoint()
	}
}

// keepCheckpoint adds the newest to those that can be compared.
func (c *Core) keepCheckpoint() {
	kept := addCheckpoint(*c.checkpoints.Load(), c.meta.Checkpoint)
	c.checkpoints.Store(&kept)
}

// addCheckpoint returns a new list, oldest first, with one more.
func addCheckpoint(kept []Checkpoint, newest Checkpoint) []Checkpoint {
	if newest.Index == 0 || len(kept) > 0 && kept[len(kept)-1] == newest {
		return kept
	}
	drop := max(0, len(kept)+1-keptCheckpoints)
	return append(append([]Checkpoint(nil), kept[drop:]...), newest)
}

// Checkpoints returns the newest hashes, oldest first. Any goroutine may call it.
func (c *Core) Checkpoints() []Checkpoint { return *c.checkpoints.Load() }

// hashConfiguration makes a configuration part of the chain.
func (c *Core) hashConfiguration(configuration []byte) {
	c.beginHash()
	c.results, c.fingerprints = nil, c.fingerprints[:0] // of the entry before
	c.hashRow(c.tables.meta, configurationKey, configuration, false)
}
