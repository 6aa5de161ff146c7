package raftlog

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
)

/*
A record, the payload of one entry frame of raft-wal. Little-endian; its length is
a multiple of 8, so that a frame has no padding of its own and its last 8 bytes
cannot be taken for a commit frame. The place in the batch, from 0, tells which
batch a record belongs to when what lies before it is damaged (scan.go).

	0      1      2      3      4      5      6      7      8
	+------+------+------+------+------+------+------+------+
	| 0xED | 0x4C | vsn  | type | length of data            |  0
	+------+------+------+------+------+------+------+------+
	| index                                                 |  8
	+------+------+------+------+------+------+------+------+
	| term                                                  | 16
	+------+------+------+------+------+------+------+------+
	| appended at, Unix nanoseconds, 0 = not set            | 24
	+------+------+------+------+------+------+------+------+
	| length of extensions      | place in its batch        | 32
	+------+------+------+------+------+------+------+------+
	| data, extensions, zeros to a multiple of 8        ... | 40
	+------+------+------+------+------+------+------+------+
	| CRC32C of all before      | 'e' 'd' 'r' 'i'           |
	+------+------+------+------+------+------+------+------+
*/
const (
	recordMagic0  = 0xED
	recordMagic1  = 0x4C
	recordVersion = 1
	recordHeader  = 40
	recordTrailer = 8

	// codecID names this layout in raft-wal's segment headers.
	codecID = 0xED_10_00_01

	// maxRecordBytes is what raft-wal reads back in one piece.
	maxRecordBytes = 64 << 20
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	recordEnd  = [4]byte{'e', 'd', 'r', 'i'}
)

// codec implements wal.Codec. Its Decode lets the entry alias the buffer that it is
// given, against the letter of that interface: it may, because filer.go hands
// raft-wal buffers that nobody uses again.
type codec struct {
	arena *arena // nil: every record is allocated
	first uint64 // index of the first record of the batch, set before each batch
}

var _ wal.Codec = (*codec)(nil)

// ID implements wal.Codec.
func (c *codec) ID() uint64 { return codecID }

// Encode implements wal.Codec. raft-wal passes an empty *bytes.Buffer for each
// record, which is given the finished bytes instead of a copy of them.
func (c *codec) Encode(l *raft.Log, w io.Writer) error {
	size := recordSize(len(l.Data), len(l.Extensions))
	if size > maxRecordBytes {
		return fmt.Errorf("encode record %d: %w: %d bytes, at most %d", l.Index, ErrTooLarge, size, maxRecordBytes)
	}
	var dst []byte
	if c.arena != nil {
		dst = c.arena.take(size)
	} else {
		dst = make([]byte, 0, size)
	}
	dst = appendRecord(dst, l, uint32(l.Index-c.first))
	if buf, ok := w.(*bytes.Buffer); ok && buf.Len() == 0 {
		*buf = *bytes.NewBuffer(dst)
		return nil
	}
	_, err := w.Write(dst)
	return err
}

// Decode implements wal.Codec.
func (c *codec) Decode(b []byte, l *raft.Log) error { return decodeRecord(b, l) }

func recordSize(data, extensions int) int {
	return recordHeader + (data+extensions+7)&^7 + recordTrailer
}

// appendRecord appends the encoded l to dst.
func appendRecord(dst []byte, l *raft.Log, place uint32) []byte {
	start := len(dst)
	dst = append(dst, recordMagic0, recordMagic1, recordVersion, byte(l.Type))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(l.Data)))
	dst = binary.LittleEndian.AppendUint64(dst, l.Index)
	dst = binary.LittleEndian.AppendUint64(dst, l.Term)
	var at int64
	if !l.AppendedAt.IsZero() {
		at = l.AppendedAt.UnixNano()
	}
	dst = binary.LittleEndian.AppendUint64(dst, uint64(at))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(l.Extensions)))
	dst = binary.LittleEndian.AppendUint32(dst, place)
	dst = append(dst, l.Data...)
	dst = append(dst, l.Extensions...)
	for (len(dst)-start)%8 != 0 {
		dst = append(dst, 0)
	}
	dst = binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
	return append(dst, recordEnd[:]...)
}

// recordLength reads, from the first recordHeader bytes of a record, how long the
// whole of it is. ok is false where these bytes do not begin a record.
func recordLength(b []byte) (size int, ok bool) {
	if len(b) < recordHeader || b[0] != recordMagic0 || b[1] != recordMagic1 || b[2] != recordVersion {
		return 0, false
	}
	data := uint64(binary.LittleEndian.Uint32(b[4:]))
	extensions := uint64(binary.LittleEndian.Uint32(b[32:]))
	if data+extensions > maxRecordBytes {
		return 0, false
	}
	return recordSize(int(data), int(extensions)), true
}

// recordIndex is the index in the header of a record whose length was checked,
// recordBatch the index of the first record of its batch.
func recordIndex(b []byte) uint64 { return binary.LittleEndian.Uint64(b[8:]) }
func recordBatch(b []byte) uint64 {
	return recordIndex(b) - uint64(binary.LittleEndian.Uint32(b[36:]))
}

// checkRecord verifies everything about b but the index.
func checkRecord(b []byte) error {
	size, ok := recordLength(b)
	if !ok || size != len(b) {
		return fmt.Errorf("%w: record has no valid header or not its length (%d bytes)", ErrCorrupt, len(b))
	}
	trailer := b[size-recordTrailer:]
	if [4]byte(trailer[4:]) != recordEnd {
		return fmt.Errorf("%w: record %d has no end mark", ErrCorrupt, recordIndex(b))
	}
	want := binary.LittleEndian.Uint32(trailer)
	if got := crc32.Checksum(b[:size-recordTrailer], castagnoli); got != want {
		return fmt.Errorf("%w: record %d has CRC %08x, its bytes have %08x", ErrCorrupt, recordIndex(b), want, got)
	}
	return nil
}

// decodeRecord checks b and sets *l from it. l.Data and l.Extensions alias b.
func decodeRecord(b []byte, l *raft.Log) error {
	if err := checkRecord(b); err != nil {
		return err
	}
	data := int(binary.LittleEndian.Uint32(b[4:]))
	extensions := int(binary.LittleEndian.Uint32(b[32:]))
	*l = raft.Log{
		Index: recordIndex(b),
		Term:  binary.LittleEndian.Uint64(b[16:]),
		Type:  raft.LogType(b[3]),
	}
	if at := int64(binary.LittleEndian.Uint64(b[24:])); at != 0 {
		l.AppendedAt = time.Unix(0, at)
	}
	if end := recordHeader + data; data > 0 {
		l.Data = b[recordHeader:end:end]
	}
	if begin, end := recordHeader+data, recordHeader+data+extensions; extensions > 0 {
		l.Extensions = b[begin:end:end]
	}
	return nil
}

// arena is the memory of the records of one StoreLogs call. raft-wal copies them
// into its own buffer before the call ends, so it is used again by the next one.
type arena struct {
	buf []byte
}

// arenaKeepBytes is what is kept between calls; a larger one is left to the
// collector.
const arenaKeepBytes = 4 << 20

// reset makes room for size bytes; what was taken before may not be used any more.
func (a *arena) reset(size int) {
	if cap(a.buf) < size || cap(a.buf) > max(size, arenaKeepBytes) {
		a.buf = make([]byte, 0, size)
	}
	a.buf = a.buf[:0]
}

// take returns an empty slice with room for size bytes.
func (a *arena) take(size int) []byte {
	begin := len(a.buf)
	if cap(a.buf)-begin < size {
		return make([]byte, 0, size)
	}
	a.buf = a.buf[:begin+size]
	return a.buf[begin : begin : begin+size]
}
