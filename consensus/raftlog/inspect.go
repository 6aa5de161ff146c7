package raftlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"
)

// Report is what Inspect found.
type Report struct {
	// First and Last are indexes of entries; both 0: there are none.
	First, Last uint64
	Segments    int
	Bytes       int64 // of the entries, rounded up by at most 32 KiB
	Term        uint64
	Torn        bool // the last batch was being written when the machine stopped
	// Damage is what Open would complain of.
	Damage []error
}

// Inspect reads the log in dir, which nobody has open, and changes nothing.
func Inspect(dir string) (Report, error) {
	i := inspection{dir: dir, count: recovery{sizes: &sizes{}}}
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return i.Report, nil
	}
	meta, found, err := openMeta(dir, nil)
	if err == nil {
		i.state = &meta.state
		err = i.segments(found)
	}
	if err == nil {
		err = i.stable(found)
	}
	if err := i.note(err); err != nil {
		return i.Report, fmt.Errorf("inspect raft log: %w", err)
	}
	return i.Report, nil
}

type inspection struct {
	Report
	dir   string
	state *metaState
	count recovery // for the sizes
}

// note takes damage down; other errors it returns.
func (i *inspection) note(err error) error {
	if errors.Is(err, ErrCorrupt) {
		i.Damage = append(i.Damage, err)
		return nil
	}
	return err
}

// segments reads all segments: damage in one does not hide that of another.
func (i *inspection) segments(found bool) error {
	if !found {
		left, err := filepath.Glob(filepath.Join(i.dir, "*.wal"))
		if err == nil && len(left) > 0 {
			err = corruptf(filepath.Join(i.dir, metaName), 0, "meta file is missing, though segment %s is there", filepath.Base(left[0]))
		}
		return err
	}
	list := i.state.State.Segments
	for n, info := range list {
		tail := n == len(list)-1
		if tail && !i.state.isCreated(info.ID) {
			break // it has a name, and was not made yet
		}
		i.Segments++
		path := filepath.Join(i.dir, segment.FileName(info))
		err := mapSegment(path, info, func(b []byte) error { return i.segment(path, b, info, tail) })
		if err := i.note(err); err != nil {
			return err
		}
	}
	i.Bytes = i.count.sizes.since(0)
	return nil
}

func (i *inspection) segment(path string, b []byte, info types.SegmentInfo, tail bool) error {
	s, err := scanSegment(path, b, info)
	if err != nil {
		return err
	}
	last, clean := s.last(info), i.state.Clean
	switch {
	case !tail && s.rest:
		return corruptf(path, s.end, "sealed segment has a bad batch")
	case !tail && last < info.MaxIndex:
		return corruptf(path, s.end, "sealed segment ends at index %d, the list says %d", last, info.MaxIndex)
	case !tail:
		last = info.MaxIndex
	case clean != nil && (clean.Segment != info.ID || clean.End != s.end || s.rest):
		return corruptf(path, s.end, "log was closed with segment %d ending at %d", clean.Segment, clean.End)
	case s.rest:
		if err := judgeRest(path, b, info, &s); err != nil {
			return err
		}
		i.Torn = true
	}
	if last > 0 && last >= info.MinIndex {
		if i.First == 0 {
			i.First = info.MinIndex
		}
		i.Last = last
	}
	i.count.count(b, info, s.offsets, last)
	return nil
}

// stable reads the current term.
func (i *inspection) stable(found bool) error {
	path := filepath.Join(i.dir, stableName)
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		if found {
			return corruptf(path, 0, "stable store is missing, though the log is there")
		}
		return nil
	}
	values, err := readStable(path)
	if term := values["CurrentTerm"]; err == nil && len(term) == 8 {
		i.Term = binary.BigEndian.Uint64(term)
	}
	return err
}
