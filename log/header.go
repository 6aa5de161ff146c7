package log

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/store"
)

// formatVersion is that of a segment file. A file of a newer version is refused.
const formatVersion = 1

const (
	headerBytes    = 112
	headerSealed   = 1 // flag
	headerChecksum = headerBytes - crcBytes
)

var errHeader = errors.New("malformed header")

// header is the row of a segment that says what is in it. It is rewritten in
// every transaction:
//
//	0    4  format version             all little endian
//	4    4  flags: 1 sealed
//	8    8  first position
//	16   8  last position, first-1 when empty
//	24   8  last position that the posting lists cover
//	32   8  stamp of the first record, 0 when empty
//	40   8  stamp of the last record, 0 when empty
//	48   8  bytes of all records
//	56   8  bytes of the records that the posting lists cover
//	64   8  0
//	72  32  digest of all rows, unless sealed without the last, which may yet grow
//	104  4  0
//	108  4  crc32c over what precedes
type header struct {
	first, last, indexed  event.Position
	firstStamp, lastStamp int64
	bytes, indexedBytes   int64
	sealed                bool
	digest                digest
}

func (h *header) empty() bool { return h.last < h.first }

func (h *header) append(dst []byte) []byte {
	start := len(dst)
	flags := uint32(0)
	if h.sealed {
		flags |= headerSealed
	}
	dst = binary.LittleEndian.AppendUint32(dst, formatVersion)
	dst = binary.LittleEndian.AppendUint32(dst, flags)
	for _, v := range [...]uint64{
		uint64(h.first), uint64(h.last), uint64(h.indexed), uint64(h.firstStamp), uint64(h.lastStamp),
		uint64(h.bytes), uint64(h.indexedBytes), 0,
	} {
		dst = binary.LittleEndian.AppendUint64(dst, v)
	}
	dst = append(dst, h.digest[:]...)
	dst = binary.LittleEndian.AppendUint32(dst, 0)
	return binary.LittleEndian.AppendUint32(dst, checksum(dst[start:]))
}

// parseHeader reads a header. A version that it does not know is ErrFormat,
// whatever follows it.
func parseHeader(b []byte) (header, error) {
	if len(b) < 4 {
		return header{}, errHeader
	}
	if v := binary.LittleEndian.Uint32(b); v > formatVersion {
		return header{}, fmt.Errorf("segment of version %d, known is %d: %w", v, formatVersion, store.ErrFormat)
	}
	if len(b) != headerBytes {
		return header{}, errHeader
	}
	if checksum(b[:headerChecksum]) != binary.LittleEndian.Uint32(b[headerChecksum:]) {
		return header{}, errChecksum
	}
	field := func(offset int) uint64 { return binary.LittleEndian.Uint64(b[offset:]) }
	h := header{
		first: event.Position(field(8)), last: event.Position(field(16)), indexed: event.Position(field(24)),
		firstStamp: int64(field(32)), lastStamp: int64(field(40)),
		bytes: int64(field(48)), indexedBytes: int64(field(56)),
		sealed: b[4]&headerSealed != 0,
	}
	copy(h.digest[:], b[72:])
	if h.first == 0 || h.last < h.first-1 || h.indexed < h.first-1 || h.indexed > h.last ||
		h.firstStamp > h.lastStamp || h.indexedBytes < 0 || h.indexedBytes > h.bytes || (h.sealed && h.indexed != h.last) ||
		!bytes.Equal(h.append(nil), b) {
		return header{}, errHeader
	}
	return h, nil
}
