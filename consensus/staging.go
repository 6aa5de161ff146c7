package consensus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/edri-io/edri/consensus/transport"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/fault"
	"github.com/edri-io/edri/log"
	"github.com/edri-io/edri/store"
)

// stagedTTL is how long segments that were fetched wait for a transfer that needs
// them, when the one that fetched them came to nothing.
const stagedTTL = time.Hour

// staging keeps the sealed segments that were fetched for a snapshot until one is in
// force, also over a restart: a transfer that is interrupted goes on with what it
// has, whoever leads then.
//
//	staging/segments/00000000000000812345-DIGEST.seg      checked and synced
//	staging/segments/00000000000000812345-DIGEST.seg.tmp  being fetched
//
// A file here is linked into generations, where nothing writes to it: opening a
// generation writes only to the segment that its position stands in, of which it
// has its own copy.
type staging struct {
	dir  string
	seam fault.Seam

	mu    sync.Mutex
	users int                            // guarded by mu
	used  time.Time                      // guarded by mu: when the last user left
	good  map[transport.Segment]struct{} // guarded by mu: of the journal's own, those that were checked
	sound map[transport.Segment]struct{} // guarded by mu: of what is staged, what was checked since the node runs
}

func newStaging(dir string, seam fault.Seam) *staging {
	return &staging{dir: dir, seam: seam, used: time.Now(), good: map[transport.Segment]struct{}{}, sound: map[transport.Segment]struct{}{}}
}

// path is where a segment is staged.
func (s *staging) path(segment transport.Segment) string {
	return filepath.Join(s.dir, fmt.Sprintf("%020d-%x.seg", segment.First, segment.Digest))
}

// has reports whether a segment is staged, which implies that it was checked once.
func (s *staging) has(segment transport.Segment) bool {
	_, err := os.Stat(s.path(segment))
	return err == nil
}

// take reports whether a segment is staged and sound. One of an earlier life is
// checked again, since it has lain on the disk for who knows how long; what is
// damaged is removed, to be fetched again, and why says so.
func (s *staging) take(ctx context.Context, segment transport.Segment) (sound bool, why, err error) {
	if !s.has(segment) {
		return false, nil, nil
	}
	s.mu.Lock()
	_, known := s.sound[segment]
	s.mu.Unlock()
	if known {
		return true, nil, nil
	}
	_, err = log.CheckSealed(ctx, s.path(segment), event.Position(segment.First), segment.Digest)
	switch {
	case err == nil:
		s.setSound(segment)
		return true, nil, nil
	case errors.Is(err, store.ErrCorrupt), errors.Is(err, store.ErrFormat):
		return false, err, store.Remove(s.seam, s.path(segment))
	}
	return false, nil, err
}

// setSound notes that what is staged was checked.
func (s *staging) setSound(segment transport.Segment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sound[segment] = struct{}{}
}

// use keeps what is staged from expiring until leave is called.
func (s *staging) use() (leave func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.users--
		s.used = time.Now()
	}
}

// expire removes what nobody has needed for long.
func (s *staging) expire(now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users > 0 || now.Sub(s.used) < stagedTTL {
		return nil
	}
	return s.clearLocked()
}

// clear removes all that is staged, unless somebody uses it.
func (s *staging) clear() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users > 0 {
		return nil
	}
	return s.clearLocked()
}

func (s *staging) clearLocked() error {
	clear(s.sound)
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("list staged segments: %w", err)
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(s.dir, e.Name())); err != nil {
			return fmt.Errorf("remove staged segment: %w", err)
		}
	}
	return nil
}

// isGood reports whether the journal's own segment was checked before.
func (s *staging) isGood(segment transport.Segment) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.good[segment]
	return ok
}

func (s *staging) setGood(segment transport.Segment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.good[segment] = struct{}{}
}

// linkFile gives a file that never changes a second name, or copies it where the
// file system has no links. The directory is not synced.
func linkFile(seam fault.Seam, from, to string) error {
	if err := os.Link(from, to); err == nil || errors.Is(err, os.ErrNotExist) {
		return err
	}
	source, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("open segment: %w", err)
	}
	defer func() { _ = source.Close() }()
	target, err := createStaged(seam, to)
	if err != nil {
		return err
	}
	if _, err := io.Copy(target, source); err != nil {
		return errors.Join(fmt.Errorf("copy segment: %w", err), target.discard())
	}
	return target.finish()
}
