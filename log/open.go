package log

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/fault"
	"github.com/edri-io/edri/store"
)

// Open opens the journal in dir, made if it is not there, and brings it to mark,
// which the state holds: what a crash left above it is cut off in a synced
// transaction (cut.go), segments that begin above it are deleted, and so are
// those that end below mark.First. Then the journal and the state agree, and the
// log is replayed onto both.
//
// A journal that ends below the mark is ErrBehind. Damage, a missing segment and
// a disagreement with the mark are store.ErrCorrupt, a segment of a newer version
// is store.ErrFormat; they are met before anything is deleted or cut.
func Open(dir string, mark Mark, cfg Config) (*Journal, error) {
	cfg, err := cfg.normalised()
	if err != nil {
		return nil, err
	}
	if err := mark.check(); err != nil {
		return nil, err
	}
	j := &Journal{dir: dir, cfg: cfg, pool: newPool(cfg.MaxOpen), sealRows: defaultSealRows}
	if err := j.open(mark); err != nil {
		err = fmt.Errorf("open journal: %w", err)
		if j.active.segment != nil {
			err = errors.Join(err, j.active.close())
		}
		if j.sealing != nil {
			err = errors.Join(err, j.sealing.close())
		}
		j.pool.close()
		return nil, err
	}
	return j, nil
}

func (j *Journal) open(mark Mark) error {
	if err := j.makeDir(); err != nil {
		return err
	}
	firsts, err := j.list()
	if err != nil {
		return err
	}
	plan := planOpen(firsts, mark)
	if err := plan.missing(mark); err != nil {
		return fmt.Errorf("%s: %w", j.dir, err)
	}
	// What stays is checked before anything is deleted.
	segments, err := j.checkSealed(plan.keep)
	if err != nil {
		return err
	}
	if mark.Segment != 0 {
		if err := j.openActive(mark); err != nil {
			return err
		}
	}
	// A crash in between does no harm: the rest goes at the next open.
	for _, first := range slices.Concat(plan.above, plan.below) {
		j.cfg.Logger.Info("deleting a segment outside of the mark", "first", uint64(first), "mark", mark)
		if err := store.Remove(j.cfg.Seam, filepath.Join(j.dir, segmentName(first))); err != nil {
			return fmt.Errorf("delete segment: %w", err)
		}
	}
	return j.start(mark, segments)
}

// start cuts the active segment and makes the first snapshot.
func (j *Journal) start(mark Mark, segments []segmentState) error {
	s := &snapshot{mark: mark, segments: segments, durable: mark.Last}
	j.signer = newSigner(mark.Last)
	if mark.Segment != 0 {
		if err := j.cutActive(mark); err != nil {
			return err
		}
		s.segments = append(s.segments, j.active)
		j.signer = newSigner(j.active.header.indexed)
		j.lists.begin(j.signer.base + 1)
		if err := j.sign(j.signer.base+1, mark.Last); err != nil {
			return err
		}
	}
	s.signatures = j.signer.signatures
	j.current.Store(s)
	return nil
}

// openActive opens the segment that the mark ends in.
func (j *Journal) openActive(mark Mark) error {
	segment := newSegment(j.dir, mark.Segment, j.pool, j.cfg.Seam)
	if err := segment.openWritable(j.cfg.SegmentBytes); err != nil {
		return err
	}
	j.active = segmentState{segment: segment}
	tx, err := segment.begin()
	if err != nil {
		return err
	}
	defer segment.end(tx)
	err = guarded(segment.path, func() (err error) {
		j.active.header, err = segment.readHeader(tx)
		return err
	})
	if err != nil {
		return err
	}
	if last := j.active.header.last; last < mark.Last {
		return fmt.Errorf("%s ends at %d, the state at %d: %w", segment.path, last, mark.Last, ErrBehind)
	}
	return nil
}

// cutActive cuts the active segment to the mark.
func (j *Journal) cutActive(mark Mark) error {
	h := &j.active.header
	if h.last > mark.Last || h.sealed {
		j.cfg.Logger.Info("cutting the journal to the state", "from", uint64(h.last), "to", uint64(mark.Last), "sealed", h.sealed)
		if err := cut(j.active.segment, h, mark.Last); err != nil {
			return fmt.Errorf("cut %s to %d: %w", j.active.path, mark.Last, err)
		}
	}
	if h.bytes != mark.SegmentBytes {
		return corrupt(j.active.path, string(bucketHeader), keyHeader,
			fmt.Sprintf("%d bytes of records up to %d, the state counts %d", h.bytes, h.last, mark.SegmentBytes))
	}
	return nil
}

// sign makes the signatures of the records that no run covers, and begins the
// lists of the next.
func (j *Journal) sign(lo, hi event.Position) error {
	if hi < lo {
		return nil
	}
	var f file
	if err := f.open(j.active.segment); err != nil {
		return err
	}
	defer f.close()
	return guarded(j.active.path, func() error {
		return f.scanRecords(lo, hi, func(r *Record, _ []byte) error {
			j.signer.add(r)
			j.lists.add(r)
			return nil
		})
	})
}

// makeDir makes the journal's directory durable.
func (j *Journal) makeDir() error {
	if _, err := os.Stat(j.dir); err == nil {
		return nil
	}
	err := j.cfg.Seam.Do(fault.OpCreate, j.dir, func() error { return os.MkdirAll(j.dir, 0o700) })
	if err != nil {
		return fmt.Errorf("create journal directory: %w: %w", store.ErrIO, err)
	}
	return store.SyncDir(j.cfg.Seam, filepath.Dir(j.dir))
}

// list returns the first positions of the segment files, ascending, and deletes
// what is left of creations that a crash interrupted.
func (j *Journal) list() ([]event.Position, error) {
	entries, err := os.ReadDir(j.dir)
	if err != nil {
		return nil, fmt.Errorf("list segments: %w: %w", store.ErrIO, err)
	}
	var firsts []event.Position
	for _, e := range entries {
		name := e.Name()
		if first, ok := parseSegmentName(name); ok {
			firsts = append(firsts, first)
			continue
		}
		final, interrupted := strings.CutSuffix(name, store.TempPath(""))
		if _, ok := parseSegmentName(final); !interrupted || !ok {
			return nil, corrupt(filepath.Join(j.dir, name), "", nil, "is not a segment")
		}
		if err := store.Remove(j.cfg.Seam, filepath.Join(j.dir, name)); err != nil {
			return nil, err
		}
	}
	return firsts, nil // ReadDir sorts, and the names sort as the numbers do
}

// checkSealed opens each segment but the active one once: a missing, truncated or
// foreign file is found at the start, not by the reader who needs it. The last of
// them may be complete and not sealed; then sealing it begins anew.
func (j *Journal) checkSealed(keep []event.Position) ([]segmentState, error) {
	var states []segmentState
	for i := range max(len(keep)-1, 0) {
		s := newSegment(j.dir, keep[i], j.pool, j.cfg.Seam)
		var f file
		if err := f.open(s); err != nil {
			return nil, err
		}
		h := f.header
		f.close()
		unsealed := !h.sealed && h.indexed == h.last && i == len(keep)-2
		if last := keep[i+1] - 1; h.last != last || !h.sealed && !unsealed {
			return nil, corrupt(s.path, string(bucketHeader), keyHeader,
				fmt.Sprintf("ends at %d, sealed %t; want %d, sealed", h.last, h.sealed, last))
		}
		state := segmentState{s, h}
		if unsealed {
			if err := j.sealAnew(&state); err != nil {
				return nil, err
			}
		}
		states = append(states, state)
	}
	return states, nil
}

// sealAnew opens a complete segment to be sealed. The merge that a crash
// interrupted is not gone on with.
func (j *Journal) sealAnew(s *segmentState) error {
	if err := s.close(); err != nil {
		return err
	}
	s.segment = newSegment(j.dir, s.first, j.pool, j.cfg.Seam)
	if err := s.openWritable(j.cfg.SegmentBytes); err != nil {
		return err
	}
	j.sealing = newSealing(*s, &j.buffer)
	return nil
}

// openPlan says what becomes of the files in the journal's directory.
type openPlan struct {
	keep  []event.Position // ascending, the active segment last
	above []event.Position // begin above the mark
	below []event.Position // end below First
}

func planOpen(firsts []event.Position, mark Mark) openPlan {
	var p openPlan
	for i, first := range firsts {
		switch {
		case first > mark.Segment:
			p.above = append(p.above, first)
		case i+1 < len(firsts) && firsts[i+1] <= min(mark.First, mark.Segment):
			p.below = append(p.below, first)
		default:
			p.keep = append(p.keep, first)
		}
	}
	return p
}

// missing reports the absence of the oldest or the active segment. One between
// them shows in where its predecessor ends.
func (p *openPlan) missing(mark Mark) error {
	switch n := len(p.keep); {
	case mark.Segment == 0:
		return nil
	case n == 0 || p.keep[n-1] != mark.Segment:
		return fmt.Errorf("segment %s is missing: %w", segmentName(mark.Segment), ErrBehind)
	case p.keep[0] > mark.First:
		return fmt.Errorf("%w: the first segment begins at %d, the state says %d", store.ErrCorrupt, p.keep[0], mark.First)
	}
	return nil
}
