package raftlog

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"

	"github.com/edri-io/edri/internal/fault"
	"github.com/edri-io/edri/store"
)

const (
	stableName    = "stable.db"
	stableVersion = 1

	// stableFirstTx is the bbolt transaction that writes the first row: an empty file
	// has 0 and 1, raft-boltdb makes its buckets in 2.
	stableFirstTx = 3

	stableBucket = "conf" // raft-boltdb's, for what is set by key
)

var (
	stableKey = []byte("edri")

	stableBoltOptions = &bbolt.Options{Timeout: time.Second}
)

/*
Stable is raft's stable store (current term, last vote) on raft-boltdb.

All keys are kept in one row, written whole at each Set:

	version u8, transaction u64, count u32, (key length u32, key, value length u32, value) × count, CRC32C u32

The row is valid only in the transaction that it names, and both meta pages of the
file must be valid: bbolt takes the older one where the newer is damaged, and a
pointer with a flipped bit may lead to an old page that is whole. Either would be an
old vote. (The 64 bytes of a meta page lie in one sector, so a crash does not tear
them.)

Open reads the row and writes it into a new file that replaces the old one. So what
bbolt might trip over later, its list of free pages, is always its own of today.
*/
type Stable struct {
	path   string
	seam   fault.Seam
	failed *atomic.Bool // log or stable store met a fatal error
	fatal  func(error) error

	mu     sync.Mutex
	db     *raftboltdb.BoltStore // nil after Close
	tx     uint64                // of the last Set
	values map[string][]byte
}

var _ raft.StableStore = (*Stable)(nil)

// openStable opens the stable store in dir. fresh says that there may be none yet.
func openStable(dir string, fresh bool, seam fault.Seam, failed *atomic.Bool, fatal func(error) error) (*Stable, error) {
	s := &Stable{path: filepath.Join(dir, stableName), seam: seam, failed: failed, fatal: fatal, values: map[string][]byte{}}
	_, err := os.Stat(s.path)
	switch {
	case err == nil:
		if s.values, err = readStable(s.path); err != nil {
			return nil, err
		}
		if fresh && len(s.values) > 0 {
			return nil, corruptf(filepath.Join(dir, metaName), 0, "meta file is missing, though a term was voted in")
		}
	case !errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("stat stable store: %w", err)
	case !fresh:
		return nil, corruptf(s.path, 0, "stable store is missing, though the log is there")
	}
	if err := s.create(); err != nil {
		return nil, err
	}
	return s, nil
}

// create makes a new file with s.values, under its name only when it is durable.
func (s *Stable) create() error {
	tmp := store.TempPath(s.path)
	if err := os.RemoveAll(tmp); err != nil {
		return fmt.Errorf("remove unfinished stable store: %w", err)
	}
	db, err := raftboltdb.New(raftboltdb.Options{Path: tmp, BoltOptions: stableBoltOptions})
	if err != nil {
		return fmt.Errorf("create stable store: %w", err)
	}
	s.db, s.tx = db, stableFirstTx-1
	err = s.write(s.values)
	if err == nil {
		err = store.Rename(s.seam, tmp, s.path)
	}
	if err != nil {
		_ = db.Close()
		return fmt.Errorf("create stable store: %w", err)
	}
	return nil
}

// write stores the row. Held: mu, or nobody else knows s.
func (s *Stable) write(values map[string][]byte) error {
	row := encodeStable(s.tx+1, values)
	err := s.seam.Do(fault.OpCommit, s.path, func() error { return s.db.Set(stableKey, row) })
	if err == nil {
		s.tx++
	}
	return err
}

// Set implements raft.StableStore.
func (s *Stable) Set(key, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil || s.failed.Load() {
		return ErrClosed
	}
	next := make(map[string][]byte, len(s.values)+1)
	for k, v := range s.values {
		next[k] = v
	}
	next[string(key)] = bytes.Clone(value)
	if err := s.write(next); err != nil {
		return s.fatal(fmt.Errorf("write stable store: %w", err))
	}
	s.values = next
	return nil
}

// Get implements raft.StableStore; nil where the key was never set.
func (s *Stable) Get(key []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		return nil, ErrClosed
	}
	return bytes.Clone(s.values[string(key)]), nil
}

// SetUint64 implements raft.StableStore.
func (s *Stable) SetUint64(key []byte, value uint64) error {
	return s.Set(key, binary.BigEndian.AppendUint64(nil, value))
}

// GetUint64 implements raft.StableStore; 0 where the key was never set.
func (s *Stable) GetUint64(key []byte) (uint64, error) {
	value, err := s.Get(key)
	if err != nil || len(value) == 0 {
		return 0, err
	}
	if len(value) != 8 {
		return 0, fmt.Errorf("read stable store: %q is no number", key)
	}
	return binary.BigEndian.Uint64(value), nil
}

// close releases the file.
func (s *Stable) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		return nil
	}
	err := s.db.Close()
	s.db = nil
	if err != nil {
		return fmt.Errorf("close stable store: %w", err)
	}
	return nil
}

// readStable reads the row of the file at path, without bbolt, which asserts or reads
// beside its pages where they are damaged.
func readStable(path string) (map[string][]byte, error) {
	var row []byte
	err := store.CheckBoltRows(context.Background(), path, func(bucket string, key, value []byte) error {
		if bucket == stableBucket && bytes.Equal(key, stableKey) {
			row = bytes.Clone(value)
		}
		return nil
	})
	if errors.Is(err, store.ErrCorrupt) {
		return nil, corruptf(path, 0, "stable store: %v", err)
	}
	if err != nil {
		return nil, fmt.Errorf("read stable store: %w", err)
	}
	values, rowTx, err := decodeStable(row)
	if err != nil {
		return nil, corruptf(path, 0, "stable store: %v", err)
	}
	tx, err := newestBoltTx(path)
	if err != nil {
		return nil, fmt.Errorf("read stable store: %w", err)
	}
	if rowTx != tx {
		return nil, corruptf(path, 0, "stable store: row of transaction %d in a file of transaction %d", rowTx, tx)
	}
	return values, nil
}

// newestBoltTx is the number of the last transaction of a bbolt file, whose two meta
// pages were checked:
//
//	page header 16 bytes; magic, version, page size, flags u32; root page, its
//	sequence, freelist, high water, transaction u64; checksum u64
func newestBoltTx(path string) (newest uint64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	pageSize, err := readAll(f, 16+8, 4)
	if err != nil {
		return 0, err
	}
	for page := range int64(2) {
		tx, err := readAll(f, page*int64(binary.NativeEndian.Uint32(pageSize))+16+48, 8)
		if err != nil {
			return 0, err
		}
		newest = max(newest, binary.NativeEndian.Uint64(tx))
	}
	return newest, nil
}

func encodeStable(tx uint64, values map[string][]byte) []byte {
	b := []byte{stableVersion}
	b = binary.LittleEndian.AppendUint64(b, tx)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(values)))
	keys := make([]string, 0, len(values))
	for k := range values {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(k)))
		b = append(b, k...)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(values[k])))
		b = append(b, values[k]...)
	}
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

var errStableRow = errors.New("row is damaged")

func decodeStable(b []byte) (values map[string][]byte, tx uint64, err error) {
	const head, trailer = 13, 4
	if len(b) < head+trailer {
		return nil, 0, errStableRow
	}
	body := b[:len(b)-trailer]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(b[len(body):]) {
		return nil, 0, errStableRow
	}
	if body[0] != stableVersion {
		return nil, 0, fmt.Errorf("row has version %d, this program knows %d", body[0], stableVersion)
	}
	tx = binary.LittleEndian.Uint64(body[1:])
	count := binary.LittleEndian.Uint32(body[9:])
	rest := body[head:]
	next := func() (field []byte, ok bool) {
		if len(rest) < 4 {
			return nil, false
		}
		n := uint64(binary.LittleEndian.Uint32(rest))
		if n > uint64(len(rest)-4) {
			return nil, false
		}
		field, rest = rest[4:4+n], rest[4+n:]
		return field, true
	}
	values = map[string][]byte{}
	for range count {
		k, ok := next()
		v, ok2 := next()
		if !ok || !ok2 {
			return nil, 0, errStableRow
		}
		values[string(k)] = bytes.Clone(v)
	}
	if len(rest) > 0 || len(values) != int(count) {
		return nil, 0, errStableRow
	}
	return values, tx, nil
}
