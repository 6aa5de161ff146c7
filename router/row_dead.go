package router

import (
	"encoding/binary"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// dead is the row of a dead letter:
//
//	version | uvarint generation | uvarint stamp | failures
type dead struct {
	generation uint64 // in which it was given up
	stamp      int64  // when, in nanoseconds since 1970
	failures   failures
}

func (d *dead) append(dst []byte) []byte {
	dst = binary.AppendUvarint(append(dst, rowVersion), d.generation)
	dst = binary.AppendUvarint(dst, uint64(d.stamp))
	return d.failures.append(dst)
}

// parseDead reads a row, which the failures alias.
func parseDead(row []byte) (dead, error) {
	r := reader{rest: row}
	r.version()
	d := dead{generation: r.uvarint(), stamp: int64(r.uvarint()), failures: r.failures()}
	return d, r.done("dead letter")
}

// putDead writes a dead letter and pins its event.
func putDead(tx *consensus.Tx, id uint64, position event.Position, d *dead) error {
	tx.Put(eventKey(kindDead, id, position), d.append(nil))
	_, err := pin(tx, position, deadPin(id))
	return err
}

// deleteDead removes a dead letter and its pin.
func deleteDead(tx *consensus.Tx, id uint64, position event.Position) {
	tx.Delete(eventKey(kindDead, id, position))
	tx.Unpin(position, deadPin(id))
}
