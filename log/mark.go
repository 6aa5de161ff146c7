package log

import (
	"encoding/binary"
	"fmt"

	"github.com/edri-io/edri/event"
)

// DefaultSegmentBytes is how many bytes of records fill a segment.
const DefaultSegmentBytes = 256 << 20

// Mark is how far the journal goes. The state holds it, in the transaction that
// made the journal go so far; opening a journal cuts it to its mark. The zero
// Mark is that of an empty journal.
type Mark struct {
	// First is the oldest position that is there, Last the newest. Empty means
	// First = Last + 1, or both 0 before the first event.
	First, Last event.Position
	// Segment is the first position of the active segment, 0 before the first
	// event; SegmentBytes is the size of the records in it.
	Segment      event.Position
	SegmentBytes int64
	// Stamp is that of the newest record; a later record's is not smaller.
	Stamp int64
}

// Add moves the mark over r, the next record. It decides where segments begin:
// it sets r.Roll, which it also returns, if r is the first of a segment that
// ends when its records would exceed segmentBytes (0: DefaultSegmentBytes). A
// stamp below the mark's is raised to it. Add depends on nothing but its
// arguments, so every node has the same segments.
func (m *Mark) Add(r *Record, segmentBytes int64) (roll bool) {
	if r.Position != m.Last+1 {
		panic(fmt.Sprintf("log: record %d follows %d", r.Position, m.Last))
	}
	if segmentBytes <= 0 {
		segmentBytes = DefaultSegmentBytes
	}
	size := r.size()
	r.Stamp = max(r.Stamp, m.Stamp)
	r.Roll = m.Segment == 0 || m.SegmentBytes+size > segmentBytes
	if r.Roll {
		m.Segment, m.SegmentBytes = r.Position, 0
	}
	m.First = max(m.First, 1)
	m.Last, m.Stamp = r.Position, r.Stamp
	m.SegmentBytes += size
	return r.Roll
}

const (
	markVersion = 1
	markBytes   = 1 + 5*8
)

// AppendTo appends the bytes of m to dst:
//
//	0   1  version, 1
//	1   8  First          all big endian
//	9   8  Last
//	17  8  Segment
//	25  8  SegmentBytes
//	33  8  Stamp
func (m Mark) AppendTo(dst []byte) []byte {
	dst = append(dst, markVersion)
	for _, v := range [...]uint64{
		uint64(m.First), uint64(m.Last), uint64(m.Segment), uint64(m.SegmentBytes), uint64(m.Stamp),
	} {
		dst = binary.BigEndian.AppendUint64(dst, v)
	}
	return dst
}

// ParseMark reads what AppendTo wrote.
func ParseMark(b []byte) (Mark, error) {
	if len(b) != markBytes || b[0] != markVersion {
		return Mark{}, fmt.Errorf("parse mark: %d bytes %.1x, want %d of version %d", len(b), b, markBytes, markVersion)
	}
	field := func(i int) uint64 { return binary.BigEndian.Uint64(b[1+8*i:]) }
	m := Mark{
		First: event.Position(field(0)), Last: event.Position(field(1)), Segment: event.Position(field(2)),
		SegmentBytes: int64(field(3)), Stamp: int64(field(4)),
	}
	if err := m.check(); err != nil {
		return Mark{}, fmt.Errorf("parse mark: %w", err)
	}
	return m, nil
}

func (m Mark) check() error {
	if m == (Mark{}) {
		return nil
	}
	if m.First == 0 || m.Last == 0 || m.First-1 > m.Last || m.Segment == 0 || m.Segment > m.Last || m.SegmentBytes <= 0 {
		return fmt.Errorf("mark %+v contradicts itself", m)
	}
	return nil
}
