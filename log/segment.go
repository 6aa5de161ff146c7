package log

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"go.etcd.io/bbolt"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/fault"
	"github.com/edri-io/edri/store"
)

// The buckets of a segment besides its runs.
var (
	bucketHeader  = []byte("header")
	bucketRecords = []byte("records")
	keyHeader     = []byte("segment")
)

const (
	segmentSuffix = ".seg"
	pageBytes     = 4096
	// minMmapBytes is mapped at once for a segment that is written to, since to
	// map more the writer would have to wait for every reader.
	minMmapBytes = 512 << 20
)

// segment is one file. Its handle is open for writing while the segment is
// active; later it is opened for reading when needed, and the pool closes it.
type segment struct {
	first event.Position
	path  string
	pool  *pool
	seam  fault.Seam

	mu       sync.Mutex
	idle     sync.Cond // signalled when pins reaches 0
	db       *bbolt.DB // guarded by mu; nil: not open
	writable bool      // guarded by mu: db is open for writing
	pins     int       // guarded by mu: transactions that read
	leaving  bool      // guarded by mu: close db when pins reaches 0
	shut     bool      // guarded by mu: never open again
	stuck    bool      // guarded by mu: bbolt panicked, with its locks held
	// retired is guarded by mu: where the journal began when the segment went; 0
	// while it is there.
	retired event.Position
}

func newSegment(dir string, first event.Position, p *pool, seam fault.Seam) *segment {
	s := &segment{first: first, path: filepath.Join(dir, segmentName(first)), pool: p, seam: seam}
	s.idle.L = &s.mu
	return s
}

func segmentName(first event.Position) string {
	return fmt.Sprintf("%020d%s", uint64(first), segmentSuffix)
}

// parseSegmentName returns the first position that a file's name says.
func parseSegmentName(name string) (event.Position, bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) != 20 {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return event.Position(n), err == nil && n > 0
}

// create makes the file, with no records.
func (s *segment) create() error {
	return store.CreateBolt(s.seam, s.path, func(tx *bbolt.Tx) error {
		if _, err := tx.CreateBucket(bucketRecords); err != nil {
			return err
		}
		bucket, err := tx.CreateBucket(bucketHeader)
		if err != nil {
			return err
		}
		h := header{first: s.first, last: s.first - 1, indexed: s.first - 1}
		return bucket.Put(keyHeader, h.append(nil))
	}, &bbolt.Options{PageSize: pageBytes, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType})
}

// openWritable opens the file of the active segment.
func (s *segment) openWritable(segmentBytes int64) error {
	db, err := store.OpenBolt(s.seam, s.path, &bbolt.Options{
		NoFreelistSync: true, FreelistType: bbolt.FreelistMapType, InitialMmapSize: int(max(minMmapBytes, 2*segmentBytes)),
	})
	if err != nil {
		return fmt.Errorf("open segment: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.db, s.writable = db, true
	return nil
}

// begin starts a transaction that reads; end must follow.
func (s *segment) begin() (*bbolt.Tx, error) {
	db, readOnly, err := s.pin()
	if err != nil {
		return nil, err
	}
	if readOnly {
		s.pool.use(s)
	}
	var tx *bbolt.Tx
	err = guarded(s.path, func() (err error) {
		tx, err = db.Begin(false)
		return err
	})
	if err != nil {
		s.unpin()
		return nil, fmt.Errorf("begin reading %s: %w", s.path, err)
	}
	return tx, nil
}

func (s *segment) pin() (db *bbolt.DB, readOnly bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.retired != 0 {
		return nil, false, compacted(s.first, s.retired)
	}
	if s.shut {
		return nil, false, fmt.Errorf("read %s: %w", s.path, store.ErrClosed)
	}
	if s.db == nil {
		s.db, err = store.OpenBolt(s.seam, s.path, &bbolt.Options{ReadOnly: true})
		if err != nil {
			s.db = nil
			return nil, false, fmt.Errorf("open segment: %w", err)
		}
		s.writable, s.leaving = false, false
	}
	if !s.writable {
		s.leaving = false // the pool takes it back as the one used last
	}
	s.pins++
	return s.db, !s.writable, nil
}

func (s *segment) end(tx *bbolt.Tx) {
	_ = tx.Rollback() // of a transaction that read: nothing to lose
	s.unpin()
}

func (s *segment) unpin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pins--; s.pins > 0 {
		return
	}
	s.idle.Broadcast()
	if s.leaving {
		_ = s.closeLocked() // of a file that was only read
	}
}

// leave closes the file as soon as nobody reads it. The next begin opens it
// again, for reading.
func (s *segment) leave() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaving = true
	if s.pins > 0 {
		return nil
	}
	return s.closeLocked()
}

// retire says that the file is about to be removed, since the journal begins at
// first now. Who reads it may finish; nobody opens it again.
func (s *segment) retire(first event.Position) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retired, s.leaving = first, true
	if s.pins > 0 {
		return nil
	}
	return s.closeLocked()
}

// close waits for those who read and closes the file for good.
func (s *segment) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shut = true
	for s.pins > 0 {
		s.idle.Wait()
	}
	return s.closeLocked()
}

func (s *segment) closeLocked() error {
	if s.db == nil {
		return nil
	}
	db := s.db
	s.db, s.leaving = nil, false
	if s.stuck {
		return nil // to close it would wait for bbolt's locks for ever
	}
	if err := db.Close(); err != nil {
		return fmt.Errorf("close %s: %w", s.path, err)
	}
	return nil
}

// update runs fn in a transaction of the active segment and commits it, synced.
// After an error the file must not be written to again.
func (s *segment) update(fn func(tx *bbolt.Tx) error) error {
	return guarded(s.path, func() error {
		tx, err := s.db.Begin(true)
		if err != nil {
			return fmt.Errorf("begin writing %s: %w", s.path, err)
		}
		committed := false
		defer func() {
			if !committed {
				_ = tx.Rollback() // the error or panic on its way says more
			}
		}()
		if err := fn(tx); err != nil {
			return err
		}
		committed = true // also when it fails: then it is rolled back already
		s.setStuck(true) // and stays so if it panics
		err = store.CommitBolt(s.seam, tx)
		s.setStuck(false)
		return err
	})
}

func (s *segment) setStuck(stuck bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stuck = stuck
}

// readHeader reads the header row within guarded.
func (s *segment) readHeader(tx *bbolt.Tx) (header, error) {
	bucket := tx.Bucket(bucketHeader)
	if bucket == nil || tx.Bucket(bucketRecords) == nil {
		return header{}, corrupt(s.path, "", nil, "a bucket is missing")
	}
	h, err := parseHeader(bucket.Get(keyHeader))
	switch {
	case err != nil && isFormat(err):
		return header{}, fmt.Errorf("%s: %w", s.path, err)
	case err != nil:
		return header{}, corrupt(s.path, string(bucketHeader), keyHeader, err.Error())
	case h.first != s.first:
		return header{}, corrupt(s.path, string(bucketHeader), keyHeader, fmt.Sprintf("begins at %d", h.first))
	}
	return h, nil
}

func writeHeader(tx *bbolt.Tx, h *header) error {
	if err := tx.Bucket(bucketHeader).Put(keyHeader, h.append(nil)); err != nil {
		return fmt.Errorf("write header: %w", err)
	}
	return nil
}
