package raftlog

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"

	"github.com/edri-io/edri/internal/fault"
	"github.com/edri-io/edri/store"
)

// recovery checks a log directory before raft-wal opens it, and leaves nothing for
// raft-wal to repair: what raft-wal cannot explain it cuts away.
type recovery struct {
	dir     string
	seam    fault.Seam
	logger  *slog.Logger
	meta    *metaStore
	size    uint32 // of new segments
	offsets map[uint64][]uint32
	sizes   *sizes
	tailEnd int64 // end of the last batch in the tail
}

// run checks everything. It changes the directory only where a crash left something
// unfinished that was never acknowledged.
func (r *recovery) run(found bool) error {
	// A file that raft-wal created may not have its name on disk yet, though it was
	// appended to since: raft-wal syncs the directory once, on the handle that created
	// the file.
	if err := store.SyncDir(r.seam, r.dir); err != nil {
		return err
	}
	if err := r.checkNames(found); err != nil {
		return err
	}
	segments := r.meta.state.State.Segments
	for i, info := range segments {
		path := filepath.Join(r.dir, segment.FileName(info))
		if info.Codec != codecID {
			return corruptf(r.meta.path, 0, "segment %d has codec %#x", info.ID, info.Codec)
		}
		tail := i == len(segments)-1
		if info.SealTime.IsZero() != tail {
			return corruptf(r.meta.path, 0, "segment %d: only the last one is open for appends", info.ID)
		}
		if !tail && info.MaxIndex+1 != segments[i+1].BaseIndex {
			return corruptf(r.meta.path, 0, "segment %d ends at index %d, the next begins at %d",
				info.ID, info.MaxIndex, segments[i+1].BaseIndex)
		}
		check := r.checkSealed
		if tail {
			check = r.checkTail
		}
		if err := check(path, info); err != nil {
			return err
		}
	}
	if r.meta.state.Clean != nil {
		return r.meta.update(func(s *metaState) { s.Clean = nil })
	}
	return nil
}

// checkNames looks for files that no state of this log explains. Segments that the
// list does not name any more are left to raft-wal, which deletes them.
func (r *recovery) checkNames(found bool) error {
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return fmt.Errorf("list raft log: %w", err)
	}
	for _, e := range entries {
		name := e.Name()
		path := filepath.Join(r.dir, name)
		if filepath.Ext(name) == store.TempPath("") {
			if err := store.Remove(r.seam, path); err != nil {
				return err
			}
			continue
		}
		if !strings.HasSuffix(name, ".wal") {
			continue
		}
		if !found {
			return corruptf(r.meta.path, 0, "meta file is missing, though segment %s is there", name)
		}
		var info types.SegmentInfo
		_, err := fmt.Sscanf(name, "%020d-%016x.wal", &info.BaseIndex, &info.ID)
		if err != nil || segment.FileName(info) != name || info.ID >= r.meta.state.State.NextSegmentID {
			return corruptf(path, 0, "no segment of this log has this name")
		}
	}
	return nil
}

// checkSealed checks a segment that is not appended to any more.
func (r *recovery) checkSealed(path string, info types.SegmentInfo) error {
	return mapSegment(path, info, func(b []byte) error {
		s, err := scanSegment(path, b, info)
		if err != nil {
			return err
		}
		if s.rest {
			return corruptf(path, s.end, "sealed segment has a bad batch")
		}
		if s.last(info) < info.MaxIndex || s.indexStart != info.IndexStart {
			return corruptf(path, s.end, "sealed segment ends at index %d (index frame at %d), the list says %d (%d)",
				s.last(info), s.indexStart, info.MaxIndex, info.IndexStart)
		}
		if info.IndexStart == 0 {
			r.offsets[info.ID] = s.offsets[:info.MaxIndex-info.BaseIndex+1]
		}
		r.count(b, info, s.offsets, info.MaxIndex)
		return nil
	})
}

// checkTail checks the segment that is appended to, and finishes what a crash
// interrupted: its creation, its last batch, or the rotation to the next one.
func (r *recovery) checkTail(path string, info types.SegmentInfo) error {
	if !r.meta.state.isCreated(info.ID) {
		// Nothing was appended to it. raft-wal creates it where it is missing.
		return store.Remove(r.seam, path)
	}
	var s scan
	err := mapSegment(path, info, func(b []byte) error {
		var err error
		if s, err = scanSegment(path, b, info); err != nil {
			return err
		}
		if clean := r.meta.state.Clean; clean != nil && (clean.Segment != info.ID || clean.End != s.end || s.rest) {
			return corruptf(path, s.end, "log was closed with segment %d ending at %d", clean.Segment, clean.End)
		}
		if s.rest {
			if err := judgeRest(path, b, info, &s); err != nil {
				return err
			}
		}
		r.count(b, info, s.offsets, s.last(info))
		return nil
	})
	if err != nil {
		return err
	}
	if s.rest {
		r.logger.Warn("raft log ends in a torn batch, which is dropped",
			slog.String("file", path), slog.Int64("offset", s.end), slog.Uint64("last_index", s.last(info)))
		if err := writeZeros(r.seam, path, s.end); err != nil {
			return err
		}
	}
	r.tailEnd = s.end
	if s.indexStart == 0 {
		return nil
	}
	return r.finishRotation(info, &s)
}

// finishRotation records that the tail is full and names the next one, as raft-wal
// would have done; it does not look for this, and refuses every append.
func (r *recovery) finishRotation(info types.SegmentInfo, s *scan) error {
	r.tailEnd = 0
	return r.meta.update(func(m *metaState) {
		state := m.State
		state.Segments = slices.Clone(state.Segments)
		full := &state.Segments[len(state.Segments)-1]
		full.SealTime, full.MaxIndex, full.IndexStart = time.Now(), s.last(info), s.indexStart
		next := s.last(info) + 1
		state.Segments = append(state.Segments, types.SegmentInfo{
			ID: state.NextSegmentID, BaseIndex: next, MinIndex: next,
			SizeLimit: r.size, Codec: codecID, CreateTime: time.Now(),
		})
		state.NextSegmentID++
		m.State, m.Clean = state, nil
	})
}

// count adds the entries [info.MinIndex, last] to the sizes.
func (r *recovery) count(b []byte, info types.SegmentInfo, offsets []uint32, last uint64) {
	for i, offset := range offsets {
		index := info.BaseIndex + uint64(i)
		if index < info.MinIndex || index > last {
			continue
		}
		f, _ := parseFrame(b[offset:])
		r.sizes.add(index, int64(f.length)+frameHeader)
	}
}

// mapSegment calls f with the file's bytes, valid during the call. The file's size
// must be what it was created with, or more.
func mapSegment(path string, info types.SegmentInfo, f func([]byte) error) (err error) {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return corruptf(path, 0, "segment is missing")
	}
	if err != nil {
		return fmt.Errorf("open segment: %w", err)
	}
	defer file.Close()
	stat, err := file.Stat()
	if err != nil {
		return fmt.Errorf("stat segment: %w", err)
	}
	if stat.Size() < int64(info.SizeLimit) || stat.Size() < fileHeader {
		return corruptf(path, stat.Size(), "segment is cut short, it was created with %d bytes", info.SizeLimit)
	}
	b, err := syscall.Mmap(int(file.Fd()), 0, int(stat.Size()), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map segment %s: %w", path, err)
	}
	// A page that cannot be read is a fault at its address.
	old := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(old)
		if p := recover(); p != nil {
			err = fmt.Errorf("read segment %s: %v", path, p)
		}
		if unmapErr := syscall.Munmap(b); err == nil && unmapErr != nil {
			err = fmt.Errorf("unmap segment %s: %w", path, unmapErr)
		}
	}()
	return f(b)
}
