package log

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/edri-io/edri/event"
)

// maxChunkBytes is the size at which a chunk is full; a larger record has one of
// its own. Two full chunks with bbolt's headers fill a leaf of four 4 KiB pages.
const maxChunkBytes = 8160

const crcBytes = 4

var (
	castagnoli  = crc32.MakeTable(crc32.Castagnoli)
	errChecksum = errors.New("checksum does not match")
	errChunk    = errors.New("malformed chunk")
)

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// rowChecksum is the CRC32C over a row's key and what of its value follows the
// checksum, so that a row that was moved under another key is found out too.
func rowChecksum(key, body []byte) uint32 {
	return crc32.Update(checksum(key), castagnoli, body)
}

// sealRow writes the checksum into the first four bytes of value.
func sealRow(key, value []byte) {
	binary.LittleEndian.PutUint32(value, rowChecksum(key, value[crcBytes:]))
}

// openRow returns what of value follows the checksum.
func openRow(key, value []byte) ([]byte, error) {
	if len(value) < crcBytes || binary.LittleEndian.Uint32(value) != rowChecksum(key, value[crcBytes:]) {
		return nil, errChecksum
	}
	return value[crcBytes:], nil
}

func positionKey(p event.Position) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(p))
}

// A chunk is a row of consecutive records:
//
//	key    first position, 8 bytes big endian
//	value  crc32c, 4 bytes little endian | record | record | …
type chunk struct {
	first event.Position
	body  []byte   // aliases the row
	ends  []uint32 // where each record ends in body, in order
}

// decodeChunk reads a row into c, whose offsets it reuses.
func decodeChunk(c *chunk, key, value []byte) error {
	if len(key) != 8 {
		return errChunk
	}
	body, err := openRow(key, value)
	if err != nil {
		return err
	}
	c.first, c.body, c.ends = event.Position(binary.BigEndian.Uint64(key)), body, c.ends[:0]
	for rest := body; len(rest) > 0; {
		if _, rest, err = cutFrame(rest); err != nil {
			return err
		}
		c.ends = append(c.ends, uint32(len(body)-len(rest)))
	}
	if len(c.ends) == 0 || c.first == 0 {
		return errChunk
	}
	return nil
}

func (c *chunk) last() event.Position { return c.first + event.Position(len(c.ends)) - 1 }

func (c *chunk) contains(p event.Position) bool {
	return p >= c.first && p-c.first < event.Position(len(c.ends))
}

// frame returns the record at p with its length, which the chunk must contain.
func (c *chunk) frame(p event.Position) []byte {
	i, start := int(p-c.first), uint32(0)
	if i > 0 {
		start = c.ends[i-1]
	}
	return c.body[start:c.ends[i]]
}

// record decodes the record at p, which the chunk must contain.
func (c *chunk) record(p event.Position) (Record, error) {
	body, _, err := cutFrame(c.frame(p))
	if err != nil {
		return Record{}, err
	}
	r, err := decodeRecord(body)
	if err != nil {
		return Record{}, fmt.Errorf("position %d: %w", p, err)
	}
	r.Position = p
	return r, nil
}

// chunkWriter packs consecutive records into rows.
type chunkWriter struct {
	put   func(key, value []byte) error
	first event.Position
	value []byte // with room for the checksum; nil: no row begun
	grown bool   // value is not what stands in the file
}

// resume goes on with the row c.
func (w *chunkWriter) resume(c *chunk) {
	w.first = c.first
	w.value = append(make([]byte, crcBytes, maxChunkBytes), c.body...)
}

func (w *chunkWriter) add(r *Record) error {
	if w.value != nil && int64(len(w.value))+r.size() > maxChunkBytes {
		if err := w.flush(); err != nil {
			return err
		}
	}
	if w.value == nil {
		w.first = r.Position
		w.value = make([]byte, crcBytes, max(maxChunkBytes, crcBytes+r.size()))
	}
	w.value, w.grown = appendRecord(w.value, r), true
	return nil
}

// flush writes the row that was begun.
func (w *chunkWriter) flush() error {
	key, value, grown := positionKey(w.first), w.value, w.grown
	w.value, w.grown = nil, false // bbolt keeps the slice until the commit
	if !grown {
		return nil
	}
	sealRow(key, value)
	return w.put(key, value)
}
