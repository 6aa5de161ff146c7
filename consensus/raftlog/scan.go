package raftlog

import (
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
	return scanFrom(path, b, info, scan{})
}

// scanFrom goes on behind what was scanned: at s.end a batch begins.
func scanFrom(path string, b []byte, info types.SegmentInfo, s scan) (scan, error) {
	var (
		start   = s.end // of the batch
		pos     = max(s.end, int64(fileHeader))
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
//   - a header is neither whole nor missing, or those of frame and record disagree;
//   - a record, or the batch, fails its CRC though none of its sectors is missing;
//   - anything follows the commit frame of the bad batch, or a whole record of
//     another batch lies behind a gap.
//
// What this cannot tell from a tear: a flipped bit in the very last batch, in a record
// that itself holds a sector of zeros. (After an orderly stop even that is found: the
// meta file then says where the tail ends.)
func judgeRest(path string, b []byte, info types.SegmentInfo, s *scan) error {
	first := info.BaseIndex + uint64(len(s.offsets))
	j := judge{path: path, b: b, begin: s.end, base: info.BaseIndex, first: first, next: first}
	pos := s.end
	if pos == 0 {
		pos = fileHeader
		if !validHeader(b, info) && !j.hole(0, fileHeader) {
			return j.corrupt(0, "file header is not that of segment %d", info.ID)
		}
	}
	for pos < int64(len(b)) {
		f, ok := parseFrame(b[pos:])
		if !ok {
			return j.corrupt(pos, "frame header is damaged")
		}
		var err error
		done := false
		switch f.kind {
		case frameNone:
			return j.gap(pos)
		case frameEntry:
			done, err = j.entry(pos, f)
		case frameIndex:
			done, err = j.index(pos, f)
		case frameCommit:
			return j.commit(pos, f)
		}
		if done || err != nil {
			return err
		}
		pos = f.end(pos)
	}
	return nil
}

// judge is the state of judgeRest.
type judge struct {
	path  string
	b     []byte
	begin int64  // of the batch; zeros from here on were there before it
	base  uint64 // index of the segment's first entry
	first uint64 // index of the batch's first entry
	next  uint64 // index of the next entry
	torn  bool   // a missing sector was met
}

func (j *judge) corrupt(pos int64, format string, args ...any) error {
	return corruptf(j.path, pos, format, args...)
}

// hole reports whether a sector that overlaps [lo, hi) is missing.
func (j *judge) hole(lo, hi int64) bool { return hasHole(j.b, j.begin, lo, hi) }

// entry judges an entry frame. done: there is nothing to judge behind it.
func (j *judge) entry(pos int64, f frame) (done bool, err error) {
	head, end := pos+frameHeader, f.end(pos)
	if f.length%8 != 0 || f.length < recordHeader+recordTrailer || f.length > maxRecordBytes {
		return true, j.corrupt(pos, "entry frame of %d bytes", f.length)
	}
	if head+recordHeader > int64(len(j.b)) {
		return true, nil // the file was not extended yet
	}
	size, ok := recordLength(j.b[head:])
	switch {
	case !ok && !j.hole(head, head+frameHeader): // its first 8 bytes are in one sector
		return true, j.corrupt(pos, "record header is damaged")
	case !ok || size != int(f.length):
		if !j.hole(head, head+recordHeader) {
			return true, j.corrupt(pos, "frame says %d bytes, its record %d", f.length, size)
		}
		return true, j.gap((pos + sectorBytes) &^ (sectorBytes - 1))
	case end > int64(len(j.b)):
		return true, nil
	}
	record := j.b[head:end]
	if err := checkRecord(record); err != nil {
		if !j.hole(head, end) {
			return true, j.corrupt(pos, "%v", err)
		}
		j.torn = true
	} else if recordIndex(record) != j.next || recordBatch(record) != j.first {
		return true, j.corrupt(pos, "record %d of the batch that begins at %d, expected %d of %d",
			recordIndex(record), recordBatch(record), j.next, j.first)
	}
	j.next++
	return false, nil
}

// index judges an index frame.
func (j *judge) index(pos int64, f frame) (done bool, err error) {
	if uint64(f.length) != 4*(j.next-j.base) {
		return true, j.corrupt(pos, "index frame has %d bytes for %d entries", f.length, j.next-j.base)
	}
	if f.end(pos) > int64(len(j.b)) {
		return true, nil
	}
	j.torn = j.torn || j.hole(pos+frameHeader, f.end(pos))
	return false, nil
}

// commit judges the end of the batch, which is known not to have its CRC.
func (j *judge) commit(pos int64, f frame) error {
	if !j.torn {
		return j.corrupt(j.begin, "batch of %d bytes has not its CRC", pos-j.begin)
	}
	if !allZero(j.b[f.end(pos):]) {
		return j.corrupt(j.begin, "batch has not its CRC, and another one follows it")
	}
	return nil
}

// gap judges what follows from pos on, where a header should be but zeros are: they
// must reach to the end of the sector, and whole records behind them must be of this
// batch.
func (j *judge) gap(pos int64) error {
	edge := min((pos+sectorBytes)&^(sectorBytes-1), int64(len(j.b)))
	if pos < edge && !allZero(j.b[pos:edge]) {
		return j.corrupt(pos, "frame header is missing")
	}
	for at := edge; at+frameHeader < int64(len(j.b)); at += frameHeader {
		f, ok := parseFrame(j.b[at:])
		if !ok || f.kind != frameEntry || f.end(at) > int64(len(j.b)) {
			continue
		}
		record := j.b[at+frameHeader : at+frameHeader+int64(f.length)]
		if checkRecord(record) == nil && recordBatch(record) != j.first {
			return j.corrupt(j.begin, "batch is incomplete, and another one follows it at offset %d", at)
		}
	}
	return nil
}
