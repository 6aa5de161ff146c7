package raftlog

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/hashicorp/raft"
	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"

	"github.com/edri-io/edri/store"
)

// ErrAbove: the damage is not below the entries that are still needed.
var ErrAbove = errors.New("raft log is damaged above what the state holds, or where it ends cannot be told")

/*
Salvage makes a log in the directory into, which must not exist, of what is intact in
dir behind all damage, provided that this begins at the entry after applied or before:
what is left out is in the state.

	dir    ok  ok  DAMAGE  ok  ok  ok  ok  end
	                       |-- salvaged --|
	state  ───────────────────── ▲ applied

The whole rest of the log from there on must be intact, batch by batch with their
CRCs and with consecutive indexes up to a sound end, and so must the list of segments
and the stable store, whose values are taken over. Else the error is ErrAbove, and
into is not to be used. dir is only read. When Salvage returns, all of into is
durable; the directory that holds it is not synced.
*/
func Salvage(dir, into string, applied uint64, cfg Config) (first, last uint64, err error) {
	meta, found, err := openMeta(dir, nil)
	if err == nil && !found {
		err = errors.New("the list of segments is missing")
	}
	if err != nil {
		return 0, 0, fmt.Errorf("salvage raft log: %w: %w", ErrAbove, err)
	}
	values, err := readStable(filepath.Join(dir, stableName))
	if err != nil {
		return 0, 0, fmt.Errorf("salvage raft log: %w: %w", ErrAbove, err)
	}
	s := salvage{dir: dir, applied: applied, clean: meta.state.Clean}
	if err := s.find(meta.state.State.Segments); err != nil {
		return 0, 0, fmt.Errorf("salvage raft log: %w: %w", ErrAbove, err)
	}
	if err := s.write(into, values, cfg); err != nil {
		return 0, 0, fmt.Errorf("salvage raft log: %w", err)
	}
	return s.first, s.last, nil
}

type salvage struct {
	dir     string
	applied uint64
	clean   *cleanMark // where the tail ends, if the log was closed

	first, last uint64
	parts       []salvagedPart // the newest first
}

// salvagedPart is the entries of one segment from an index on.
type salvagedPart struct {
	info    types.SegmentInfo
	first   uint64
	offsets []uint32 // of the entries from first on
}

// find looks through the segments from the newest to the oldest until the entry
// after applied is found.
func (s *salvage) find(segments []types.SegmentInfo) error {
	for i := len(segments) - 1; i >= 0; i-- {
		info := segments[i]
		part, err := s.intact(info, i == len(segments)-1)
		if err != nil {
			return err
		}
		if len(part.offsets) > 0 {
			s.parts = append(s.parts, part)
			s.first = part.first
			s.last = max(s.last, part.first+uint64(len(part.offsets))-1)
		}
		if s.first != 0 && s.first <= s.applied+1 {
			return nil
		}
		if part.first > max(info.BaseIndex, info.MinIndex) {
			return fmt.Errorf("%s: entries before %d are damaged, the state holds those up to %d",
				segment.FileName(info), part.first, s.applied)
		}
	}
	return fmt.Errorf("the log begins at %d, the state ends at %d", s.first, s.applied)
}

// intact returns the entries of a segment behind all damage in it.
func (s *salvage) intact(info types.SegmentInfo, tail bool) (part salvagedPart, err error) {
	path := filepath.Join(s.dir, segment.FileName(info))
	err = mapSegment(path, info, func(b []byte) error {
		found, err := scanSegment(path, b, info)
		if err == nil {
			err = s.sound(path, b, info, found, tail)
		}
		first := info.BaseIndex
		for at := int64(fileHeader); err != nil; {
			// The damage is somewhere behind at: look for the next batch.
			begin, index := s.nextBatch(b, at)
			if begin == 0 {
				return err
			}
			found, err = scanFrom(path, b, info, scan{end: begin, offsets: make([]uint32, index-info.BaseIndex)})
			if err == nil && found.last(info) < index {
				err = corruptf(path, begin, "batch is not whole")
			}
			if err == nil {
				err = s.sound(path, b, info, found, tail)
			}
			first, at = index, max(begin+frameHeader, found.end)
		}
		first = max(first, info.MinIndex)
		last := found.last(info)
		if !tail {
			last = min(last, info.MaxIndex)
		}
		part = salvagedPart{info: info, first: first}
		if last >= first {
			part.offsets = found.offsets[first-info.BaseIndex : last-info.BaseIndex+1]
		}
		return nil
	})
	return part, err
}

// sound reports whether a segment is whole up to its end, as recovery wants it.
func (s *salvage) sound(path string, b []byte, info types.SegmentInfo, found scan, tail bool) error {
	switch {
	case !tail && (found.rest || found.last(info) < info.MaxIndex || found.indexStart != info.IndexStart):
		return corruptf(path, found.end, "sealed segment has a bad batch or another end")
	case tail && s.clean != nil && (s.clean.Segment != info.ID || s.clean.End != found.end || found.rest):
		return corruptf(path, found.end, "log was closed with segment %d ending at %d", s.clean.Segment, s.clean.End)
	case tail && found.rest:
		return judgeRest(path, b, info, &found)
	}
	return nil
}

// nextBatch returns where the next batch begins behind an offset, and with which
// index, 0 if there is none that the state reaches.
func (s *salvage) nextBatch(b []byte, after int64) (begin int64, index uint64) {
	for at := (after + 7) &^ 7; at+frameHeader < int64(len(b)); at += frameHeader {
		f, ok := parseFrame(b[at:])
		if !ok || f.kind != frameEntry || f.length < recordHeader+recordTrailer || f.end(at) > int64(len(b)) {
			continue
		}
		record := b[at+frameHeader : at+frameHeader+int64(f.length)]
		if size, ok := recordLength(record); !ok || size != len(record) || checkRecord(record) != nil {
			continue
		}
		if i := recordIndex(record); i == recordBatch(record) && i <= s.applied+1 {
			return at, i
		}
	}
	return 0, 0
}

// salvageBatch is how many entries are written at once.
const salvageBatch = 64

// write makes the new log.
func (s *salvage) write(into string, values map[string][]byte, cfg Config) error {
	cfg.Fatal, cfg.Leading = nil, nil
	l, err := Open(into, cfg)
	if err != nil {
		return err
	}
	if err := errors.Join(s.copyTo(l, values), l.Close()); err != nil {
		return err
	}
	return store.SyncDir(cfg.Seam, into)
}

func (s *salvage) copyTo(l *Log, values map[string][]byte) error {
	for key, value := range values {
		if err := l.Stable().Set([]byte(key), value); err != nil {
			return err
		}
	}
	for i := len(s.parts) - 1; i >= 0; i-- {
		if err := s.copyPart(l, s.parts[i]); err != nil {
			return err
		}
	}
	return nil
}

func (s *salvage) copyPart(l *Log, part salvagedPart) error {
	path := filepath.Join(s.dir, segment.FileName(part.info))
	return mapSegment(path, part.info, func(b []byte) error {
		var batch []*raft.Log
		for i, offset := range part.offsets {
			f, _ := parseFrame(b[offset:])
			record := append([]byte(nil), b[int64(offset)+frameHeader:][:f.length]...)
			entry := new(raft.Log)
			if err := decodeRecord(record, entry); err != nil {
				return corruptf(path, int64(offset), "%v", err)
			}
			if entry.Index != part.first+uint64(i) {
				return corruptf(path, int64(offset), "record has index %d, expected %d", entry.Index, part.first+uint64(i))
			}
			if batch = append(batch, entry); len(batch) == salvageBatch || i == len(part.offsets)-1 {
				if err := l.StoreLogs(batch); err != nil {
					return err
				}
				batch = batch[:0]
			}
		}
		return nil
	})
}
