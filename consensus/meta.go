package consensus

import (
	"encoding/binary"
	"fmt"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/log"
)

const metaVersion = 2

var (
	metaKey          = []byte("core")
	configurationKey = []byte("configuration")
)

// Meta says up to where the state's other rows are current, and holds the
// counters that belong to no table.
type Meta struct {
	Index, Term uint64      // last Raft entry that was applied
	Epoch       event.Epoch // zero until the first leader of all
	Stamp       int64       // of the last entry, in nanoseconds since 1970
	Incarnation uint64      // last number that was given out
	Floor       uint64      // lowest position in the deduplication window
	Trimmed     uint64      // fingerprint rows begin at this position
	Leader      string      // server id of the last leader that began its term
	Feature     uint32      // the cluster's feature level
	Hash        uint64      // of all that was decided up to Index, see statehash.go
	Checkpoint  Checkpoint  // the newest
	Mark        log.Mark    // how far the journal goes
}

// append appends the row.
//
//	offset  bytes
//	     0      1  version, 2
//	     1     80  index, term, stamp, incarnation, floor, trimmed, feature level,
//	               hash, index and hash of the checkpoint: big-endian
//	    81     16  epoch
//	    97      n  uvarint length, leader
//	               then the journal's mark, see package log
func (m *Meta) append(dst []byte) []byte {
	dst = append(dst, metaVersion)
	for _, v := range [...]uint64{m.Index, m.Term, uint64(m.Stamp), m.Incarnation, m.Floor, m.Trimmed,
		uint64(m.Feature), m.Hash, m.Checkpoint.Index, m.Checkpoint.Hash} {
		dst = binary.BigEndian.AppendUint64(dst, v)
	}
	dst = append(dst, m.Epoch[:]...)
	dst = binary.AppendUvarint(dst, uint64(len(m.Leader)))
	dst = append(dst, m.Leader...)
	return m.Mark.AppendTo(dst)
}

func decodeMeta(b []byte) (Meta, error) {
	const epochAt, fixed = 81, 97
	if len(b) <= fixed || b[0] != metaVersion {
		return Meta{}, fmt.Errorf("%w: meta: version or length", errRow)
	}
	var m Meta
	var stamp, feature uint64
	for i, v := range []*uint64{&m.Index, &m.Term, &stamp, &m.Incarnation, &m.Floor, &m.Trimmed,
		&feature, &m.Hash, &m.Checkpoint.Index, &m.Checkpoint.Hash} {
		*v = binary.BigEndian.Uint64(b[1+8*i:])
	}
	m.Stamp, m.Feature = int64(stamp), uint32(feature)
	if feature == 0 || feature != uint64(m.Feature) {
		return Meta{}, fmt.Errorf("%w: meta: feature level %d", errRow, feature)
	}
	m.Epoch = event.Epoch(b[epochAt:fixed])
	size, n := binary.Uvarint(b[fixed:])
	rest := b[fixed+max(n, 0):]
	if n <= 0 || size > uint64(len(rest)) {
		return Meta{}, fmt.Errorf("%w: meta: leader", errRow)
	}
	m.Leader = string(rest[:size])
	mark, err := log.ParseMark(rest[size:])
	if err != nil {
		return Meta{}, fmt.Errorf("%w: meta: %w", errRow, err)
	}
	m.Mark = mark
	if m.Floor == 0 || m.Trimmed > m.Floor || m.Floor > uint64(m.Mark.Last)+1 {
		return Meta{}, fmt.Errorf("%w: meta: window %d-%d, rows from %d", errRow, m.Floor, m.Mark.Last, m.Trimmed)
	}
	return m, nil
}

// be8 returns v as 8 bytes, big-endian: the form of numbers in keys and rows.
func be8(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }
