package log

import (
	"encoding/binary"
	"errors"
	"math"
	"math/bits"
	"unsafe"

	"github.com/edri-io/edri/event"
)

// Record is one event with its place in the history.
type Record struct {
	Position event.Position
	Revision event.Revision
	// Stamp is when the event was committed, in nanoseconds since 1970.
	Stamp int64
	// Stream and Event, the encoded CloudEvent, must not be modified. In a
	// record that a Reader returned they alias the file and live as long as the
	// Reader says.
	Stream string
	Event  []byte
	// Roll says that the record is the first of its segment. Mark.Add sets it;
	// in a record that was read it is always false.
	Roll bool
}

var errRecord = errors.New("malformed record")

// A record in its chunk; the position follows from its place there:
//
//	uvarint n | stamp, 8 bytes little endian | uvarint revision | uvarint length, stream | event
//	          |<------------------------------- n bytes ------------------------------------->|
func appendRecord(dst []byte, r *Record) []byte {
	dst = binary.AppendUvarint(dst, uint64(r.bodySize()))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(r.Stamp))
	dst = binary.AppendUvarint(dst, uint64(r.Revision))
	dst = binary.AppendUvarint(dst, uint64(len(r.Stream)))
	dst = append(dst, r.Stream...)
	return append(dst, r.Event...)
}

// decodeRecord reads the n bytes of a record. Stream and Event alias b; the
// position is the caller's to set.
func decodeRecord(b []byte) (Record, error) {
	if len(b) < 8 {
		return Record{}, errRecord
	}
	stamp := int64(binary.LittleEndian.Uint64(b))
	b = b[8:]
	revision, n := binary.Uvarint(b)
	if n <= 0 {
		return Record{}, errRecord
	}
	b = b[n:]
	length, n := binary.Uvarint(b)
	if n <= 0 || length > uint64(len(b)-n) {
		return Record{}, errRecord
	}
	b = b[n:]
	return Record{
		Revision: event.Revision(revision),
		Stamp:    stamp,
		Stream:   unsafe.String(unsafe.SliceData(b), int(length)),
		Event:    b[length:len(b):len(b)],
	}, nil
}

// cutFrame splits the first length-prefixed record off b.
func cutFrame(b []byte) (body, rest []byte, err error) {
	length, n := binary.Uvarint(b)
	if n <= 0 || length > uint64(len(b)-n) || length > math.MaxInt32 {
		return nil, nil, errRecord
	}
	end := n + int(length)
	return b[n:end:end], b[end:], nil
}

func (r *Record) bodySize() int {
	return 8 + uvarintSize(uint64(r.Revision)) + uvarintSize(uint64(len(r.Stream))) + len(r.Stream) + len(r.Event)
}

// size is what the record adds to its chunk, and to Mark.SegmentBytes.
func (r *Record) size() int64 {
	n := r.bodySize()
	return int64(uvarintSize(uint64(n)) + n)
}

// clone returns a record that shares nothing with r.
func (r *Record) clone() Record {
	c := *r
	c.Stream = string(append([]byte(nil), r.Stream...))
	c.Event = append([]byte(nil), r.Event...)
	return c
}

func uvarintSize(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }
