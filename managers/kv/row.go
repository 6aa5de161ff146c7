package kv

import (
	"encoding/binary"
	"fmt"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/wire"
	"github.com/edri-io/edri/store"
	"github.com/edri-io/edri/timers"
)

// rowVersion begins every row but the number of buckets.
const rowVersion = 1

var errRow = fmt.Errorf("%w: row of the keys", store.ErrCorrupt)

// Kind says what a change did to its key.
type Kind byte

// The kinds of changes. They are edri.v1.KeyEntry.Kind.
const (
	KindPut Kind = iota
	KindDeleted
	KindExpired
	KindBucketDeleted // in a watch alone: the whole bucket
)

// entry is a key as it is or was.
//
//	1 version | 1 kind | uvarint revision | uvarint created | uvarint stamp |
//	uvarint due | uvarint timer | uvarint kept | 1 cut | uvarint n, n content type | value
//
// due and timer are of the timer, 0 without one: the expiry, or of a tombstone the end of
// its history. kept and cut hold in the newest row of a key alone: how many history rows
// it has (a tombstone is one itself), and whether there were others.
type entry struct {
	kind        Kind
	revision    event.Position
	created     event.Position
	stamp       int64
	due         int64
	timer       uint64
	kept        uint64
	cut         bool
	contentType []byte
	value       []byte
}

func (e *entry) append(dst []byte) []byte {
	dst = append(dst, rowVersion, byte(e.kind))
	for _, v := range []uint64{uint64(e.revision), uint64(e.created), uint64(e.stamp), uint64(e.due), e.timer, e.kept} {
		dst = binary.AppendUvarint(dst, v)
	}
	dst = append(dst, boolByte(e.cut))
	dst = wire.AppendText(dst, e.contentType)
	return append(dst, e.value...)
}

// parseEntry reads the row of an entry, which aliases it.
func parseEntry(row []byte) (entry, error) {
	r := wire.ReadRow(row)
	r.Version(rowVersion)
	e := entry{kind: Kind(r.Byte())}
	e.revision, e.created = event.Position(r.Uvarint()), event.Position(r.Uvarint())
	e.stamp, e.due = int64(r.Uvarint()), int64(r.Uvarint())
	e.timer, e.kept = r.Uvarint(), r.Uvarint()
	e.cut = r.Byte() != 0
	e.contentType = r.Text()
	e.value = r.Rest()
	if e.kind > KindExpired {
		r.Fail()
	}
	return e, r.Done(errRow, "entry")
}

func (e *entry) timerOf() timers.Timer { return timers.Timer{Due: e.due, Number: e.timer} }

// bucket is the row of a bucket:
//
//	1 version | BE8 id | edri.v1.BucketConfig as it came
type bucket struct {
	id     uint64
	config []byte
}

func (b *bucket) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(append(dst, rowVersion), b.id)
	return append(dst, b.config...)
}

func parseBucket(row []byte) (bucket, error) {
	r := wire.ReadRow(row)
	r.Version(rowVersion)
	b := bucket{id: r.BE8()}
	b.config = r.Rest()
	return b, r.Done(errRow, "bucket")
}

// content is the row of what is in a bucket:
//
//	1 version | uvarint keys | uvarint bytes of their values | uvarint floor | name
//
// Below the floor it is not known any more which keys there were.
type content struct {
	keys  uint64
	bytes uint64
	floor event.Position
	name  []byte
}

func (c *content) append(dst []byte) []byte {
	dst = append(dst, rowVersion)
	for _, v := range []uint64{c.keys, c.bytes, uint64(c.floor)} {
		dst = binary.AppendUvarint(dst, v)
	}
	return append(dst, c.name...)
}

func parseContent(row []byte) (content, error) {
	r := wire.ReadRow(row)
	r.Version(rowVersion)
	c := content{keys: r.Uvarint(), bytes: r.Uvarint(), floor: event.Position(r.Uvarint())}
	c.name = r.Rest()
	return c, r.Done(errRow, "content of a bucket")
}

func boolByte(b bool) byte {
	if b {
		return 1
	}
	return 0
}
