package log

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/cespare/xxhash/v2"

	"github.com/edri-io/edri/event"
)

// maxChunkBytes is the size at which a chunk is full; a larger record has one of
// its own. Two full chunks with bbolt's headers fill a leaf of four 4 KiB pages.
const maxChunkBytes = 8160

const (
	crcBytes  = 4
	hashBytes = 8
)

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
//	value  xxh64, 8 bytes little endian | record | record | …
//
// The hash is XXH64 over the records with the first position as its seed, so that
// a row that was moved under another key is found out too. It is as fast as a
// CRC32C and wide enough to stand for the row in the segment's digest, so that the
// records' bytes are gone through once.
//
// A row ends where the next record would make it larger than maxChunkBytes. That
// depends on the records alone, not on how flushes or cuts came, so every node has
// the same rows.
type chunk struct {
	first event.Position
	hash  uint64
	body  []byte   // aliases the row
	ends  []uint32 // where each record ends in body, in order

	touched byte // what touch read
}

func chunkHash(first event.Position, body []byte) uint64 {
	var d xxhash.Digest
	d.ResetWithSeed(uint64(first))
	_, _ = d.Write(body) // it never fails
	return d.Sum64()
}

// sealChunk writes the hash into the first eight bytes of value and returns it.
func sealChunk(first event.Position, value []byte) uint64 {
	hash := chunkHash(first, value[hashBytes:])
	binary.LittleEndian.PutUint64(value, hash)
	return hash
}

// decodeChunk reads a row into c, whose offsets it reuses.
func decodeChunk(c *chunk, key, value []byte) error {
	if len(key) != 8 || len(value) < hashBytes {
		return errChunk
	}
	c.first, c.hash = event.Position(binary.BigEndian.Uint64(key)), binary.LittleEndian.Uint64(value)
	c.body, c.ends = value[hashBytes:], c.ends[:0]
	c.touch()
	if chunkHash(c.first, c.body) != c.hash {
		return errChecksum
	}
	if !c.split() || len(c.ends) == 0 || c.first == 0 {
		return errChunk
	}
	return nil
}

// touch reads a byte of each cache line. A processor loads about ten lines at once
// where, as here, none depends on another; the hash alone would wait for each in
// turn, which for rows that are not in a cache costs 15%.
func (c *chunk) touch() {
	var x byte
	for i := 0; i < len(c.body); i += 64 {
		x ^= c.body[i]
	}
	c.touched = x
}

// split finds where records end. It is cutFrame for all of them, in half the time.
func (c *chunk) split() bool {
	for at := 0; at < len(c.body); {
		length, n := uint64(c.body[at]), 1
		if length >= 0x80 {
			length, n = binary.Uvarint(c.body[at:])
		}
		if n <= 0 || length > uint64(len(c.body)-at-n) {
			return false
		}
		at += n + int(length)
		c.ends = append(c.ends, uint32(at))
	}
	return true
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
