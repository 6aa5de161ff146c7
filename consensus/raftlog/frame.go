package raftlog

import (
	"bytes"
	"encoding/binary"

	"github.com/hashicorp/raft-wal/types"
)

/*
raft-wal's segment file, as far as it is read here. All little-endian.

	file    = header (32 bytes), batch, batch, …, zeros
	header  = magic u32, zero u24, version u8, base index u64, segment id u64, codec u64
	batch   = entry frame × n, [index frame, in the last batch of a full segment], commit frame
	frame   = kind u8, zero u24, length or CRC u32, payload, zeros to a multiple of 8

A commit frame has no payload; its CRC32C covers everything from the end of the one
before it (the first one: from the start of the file) to its own start. A batch is
written at once and synced before the next one is written.
*/
const (
	fileHeader  = 32
	frameHeader = 8
	sectorBytes = 512 // what a disk writes whole or not at all

	walMagic = 0x58eb6b0d

	frameNone   = 0
	frameEntry  = 1
	frameIndex  = 2
	frameCommit = 3
)

type frame struct {
	kind   byte
	length uint32 // of the payload; 0 for a commit frame
	crc    uint32 // of a commit frame
}

// parseFrame reads a frame header. ok is false where it is none; kind is frameNone
// where all of it is zero.
func parseFrame(b []byte) (f frame, ok bool) {
	if len(b) < frameHeader || b[1] != 0 || b[2] != 0 || b[3] != 0 {
		return frame{}, false
	}
	value := binary.LittleEndian.Uint32(b[4:])
	switch f.kind = b[0]; f.kind {
	case frameNone:
		return f, value == 0
	case frameEntry, frameIndex:
		f.length = value
	case frameCommit:
		f.crc = value
	default:
		return frame{}, false
	}
	return f, true
}

// end is where the frame that begins at pos ends.
func (f frame) end(pos int64) int64 {
	return pos + frameHeader + (int64(f.length)+7)&^7
}

// validHeader reports whether b begins with the file header of the segment.
func validHeader(b []byte, info types.SegmentInfo) bool {
	return len(b) >= fileHeader &&
		binary.LittleEndian.Uint64(b) == walMagic &&
		binary.LittleEndian.Uint64(b[8:]) == info.BaseIndex &&
		binary.LittleEndian.Uint64(b[16:]) == info.ID &&
		binary.LittleEndian.Uint64(b[24:]) == info.Codec
}

// allZero reports whether b holds zeros only.
func allZero(b []byte) bool {
	for len(b) > len(zeroChunk) {
		if !bytes.Equal(b[:len(zeroChunk)], zeroChunk[:]) {
			return false
		}
		b = b[len(zeroChunk):]
	}
	return bytes.Equal(b, zeroChunk[:len(b)])
}

// hasHole reports whether a sector that overlaps [lo, hi) was not written: is zero
// where it lies at or beyond begin.
func hasHole(b []byte, begin, lo, hi int64) bool {
	for sector := lo &^ (sectorBytes - 1); sector < hi; sector += sectorBytes {
		from, to := max(sector, begin), min(sector+sectorBytes, int64(len(b)))
		if from >= to || allZero(b[from:to]) {
			return true
		}
	}
	return false
}
