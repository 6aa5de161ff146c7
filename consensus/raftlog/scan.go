package raftlog

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/hashicorp/raft-wal/types"
)

// scan is what one pass over a segment file found.
type scan struct {
	offsets    []uint32 // of the frame of each entry in whole batches, from the base index
	end        int64    // end of the last whole batch, 0 = there is none
	indexStart uint64   // where the entries of the index frame begin, 0 = not sealed
	rest       bool     // there is something beyond end
}

// last is the index of the last entry, 0 = none.
func (s *scan) last(info types.SegmentInfo) uint64 {
	if len(s.offsets) == 0 {
		return 0
	}
	return info.BaseIndex + uint64(len(s.offsets)) - 1
}

// scanSegment reads the whole batches of the segment file b and checks each: its CRC,
// and that its records are those of the expected indexes. It stops at the first
// place that does not continue; what lies there is judged by judgeRest.
func scanSegment(path string, b []byte, info types.SegmentInfo) (scan, error) {
	var (
		s       scan
		start   int64 // of the batch
		pos     = int64(fileHeader)
		entries []uint32
		index   uint64
	)
	for pos < int64(len(b)) {
		f, ok := parseFrame(b[pos:])
		if !ok || f.kind == frameNone || f.end(pos) > int64(len(b)) {
			break
		}
		switch f.kind {
		case frameEntry:
			entries = append(entries, uint32(pos))
		case frameIndex:
			index = uint64(pos) + frameHeader
		case frameCommit:
			if crc32.Checksum(b[start:pos], castagnoli) != f.crc {
				s.rest = true
				return s, nil
			}
			if start == 0 && !validHeader(b, info) {
				return s, corruptf(path, 0, "file header is not that of segment %d", info.ID)
			}
			for _, offset := range entries {
				if err := s.admit(path, b, info, offset); err != nil {
					return s, err
				}
			}
			s.end, s.indexStart = f.end(pos), index
			start, entries = s.end, entries[:0]
		}
		pos = f.end(pos)
	}
	s.rest = !allZero(b[s.end:])
	return s, nil
}

// admit adds one entry of a batch whose CRC is right.
func (s *scan) admit(path string, b []byte, info types.SegmentInfo, offset uint32) error {
	f, _ := parseFrame(b[offset:])
	record := b[int64(offset)+frameHeader:][:f.length]
	want := info.BaseIndex + uint64(len(s.offsets))
	if size, ok := recordLength(record); !ok || size != len(record) {
		return corruptf(path, int64(offset), "entry is no record of this program")
	}
	if got := recordIndex(record); got != want {
		return corruptf(path, int64(offset), "record has index %d, expected %d", got, want)
	}
	s.offsets = append(s.offsets, offset)
	return nil
}

// judgeRest decides what the bytes beyond the last whole batch of a tail are: nil for
// a batch that was being written when the machine stopped, ErrCorrupt for anything
// else.
//
// A batch is written once, over zeros, after the one before it was synced. If it is
// torn, then some of its sectors are still zero, and nothing was written after it.
// So it is damage, not a tear, where
//
//   - a frame or record header is neither whole nor missing, or two of them disagree;
//   - a record, or the batch, fails its CRC though none of its sectors is missing;
//   - anything follows the commit frame of the bad batch, or a commit frame and a
//     whole record of the next batch lie behind a gap.
//
// What this cannot tell from a tear: a flipped bit in the very last batch, in a record
// that itself holds a sector of zeros. (After an orderly stop even that is found: the
// meta file then says where the tail ends.)
func judgeRest(path string, b []byte, info types.SegmentInfo, s *scan) error {
	begin, pos := s.end, s.end
	if begin == 0 {
		if !validHeader(b, info) && !hasHole(b, 0, 0, fileHeader) {
			return corruptf(path, 0, "file header is not that of segment %d", info.ID)
		}
		pos = fileHeader
	}
	torn := false
	next := info.BaseIndex + uint64(len(s.offsets))
	for pos < int64(len(b)) {
		f, ok := parseFrame(b[pos:])
		if !ok {
			return corruptf(path, pos, "frame header is damaged")
		}
		switch f.kind {
		case frameNone:
			return judgeGap(path, b, begin, pos)
		case frameEntry:
			size, ok := recordLength(b[min(pos+frameHeader, int64(len(b))):])
			if !ok {
				if !hasHole(b, begin, pos+frameHeader, pos+frameHeader+recordHeader) {
					return corruptf(path, pos, "record header is damaged")
				}
				return judgeGap(path, b, begin, (pos+sectorBytes)&^(sectorBytes-1))
			}
			if size != int(f.length) {
				return corruptf(path, pos, "frame says %d bytes, its record %d", f.length, size)
			}
			end := f.end(pos)
			if end > int64(len(b)) {
				return nil // the file was not extended yet
			}
			record := b[pos+frameHeader : end]
			if err := checkRecord(record); err != nil {
				if !hasHole(b, begin, pos+frameHeader, end) {
					return corruptf(path, pos, "%v", err)
				}
				torn = true
			} else if got := recordIndex(record); got != next {
				return corruptf(path, pos, "record has index %d, expected %d", got, next)
			}
			next++
		case frameIndex:
			if uint64(f.length) != 4*(next-info.BaseIndex) {
				return corruptf(path, pos, "index frame has %d bytes for %d entries", f.length, next-info.BaseIndex)
			}
			if f.end(pos) > int64(len(b)) {
				return nil
			}
			torn = torn || hasHole(b, begin, pos+frameHeader, f.end(pos))
		case frameCommit:
			if !torn {
				return corruptf(path, begin, "batch of %d bytes has not its CRC", pos-begin)
			}
			if !allZero(b[f.end(pos):]) {
				return corruptf(path, begin, "batch has not its CRC, and another one follows it")
			}
			return nil
		}
		pos = f.end(pos)
	}
	return nil
}

// judgeGap looks at a gap that begins at pos, where a frame header should be: it must
// reach to the end of a sector, and no later batch may lie behind it.
func judgeGap(path string, b []byte, begin, pos int64) error {
	if edge := min((pos+sectorBytes)&^(sectorBytes-1), int64(len(b))); !allZero(b[pos:edge]) {
		return corruptf(path, pos, "frame header is missing")
	}
	for at := pos; at+2*frameHeader < int64(len(b)); at += frameHeader {
		if binary.LittleEndian.Uint32(b[at:]) != frameCommit || !wholeRecordAt(b, at+frameHeader) {
			continue
		}
		return corruptf(path, begin, "batch is incomplete, and another one follows it at offset %d", at+frameHeader)
	}
	return nil
}

// wholeRecordAt reports whether an entry frame with a whole record begins at pos.
func wholeRecordAt(b []byte, pos int64) bool {
	f, ok := parseFrame(b[pos:])
	if !ok || f.kind != frameEntry || f.end(pos) > int64(len(b)) {
		return false
	}
	return checkRecord(b[pos+frameHeader:pos+frameHeader+int64(f.length)]) == nil
}
