package raftlog

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft-wal/types"

	"github.com/edri-io/edri/internal/fault"
	"github.com/edri-io/edri/store"
)

// files is raft-wal's view of the file system: what its own does, with a seam before
// and after each operation, segments that are full of zeros and durable before their
// first use, and data-only syncs.
type files struct {
	seam  fault.Seam
	spare *spare // nil: none is prepared

	mu        sync.Mutex
	tail      *segmentFile // the newest one that was opened for appends
	recovered int64        // where the first tail ends
}

var _ types.VFS = (*files)(nil)

// ListDir implements types.VFS.
func (fs *files) ListDir(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list raft log: %w", err)
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		if !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// Create implements types.VFS. When it returns, the file is durable under its name
// with size zero bytes in it.
func (fs *files) Create(dir, name string, size uint64) (types.WritableFile, error) {
	path := filepath.Join(dir, name)
	took, err := fs.spare.take(path, int64(size))
	if err != nil {
		return nil, err
	}
	if !took {
		if err := writeZeroFile(fs.seam, path, int64(size), nil); err != nil {
			return nil, err
		}
		if err := store.SyncDir(fs.seam, dir); err != nil {
			return nil, err
		}
	}
	return fs.OpenWriter(dir, name)
}

// Delete implements types.VFS.
func (fs *files) Delete(dir, name string) error {
	return store.Remove(fs.seam, filepath.Join(dir, name))
}

// OpenReader implements types.VFS.
func (fs *files) OpenReader(dir, name string) (types.ReadableFile, error) {
	return os.Open(filepath.Join(dir, name))
}

// OpenWriter implements types.VFS.
func (fs *files) OpenWriter(dir, name string) (types.WritableFile, error) {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	tail := &segmentFile{File: f, seam: fs.seam, spare: fs.spare, size: info.Size()}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.tail == nil {
		tail.end.Store(fs.recovered)
	}
	fs.tail = tail
	return tail, nil
}

// tailEnd is where the last batch of the tail ends.
func (fs *files) tailEnd() int64 {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.tail.end.Load()
}

// segmentFile is an open tail segment.
type segmentFile struct {
	*os.File
	seam  fault.Seam
	spare *spare
	size  int64
	end   atomic.Int64 // end of the last batch
}

// WriteAt writes one batch.
func (f *segmentFile) WriteAt(b []byte, offset int64) (n int, err error) {
	err = f.seam.Do(fault.OpWrite, f.Name(), func() (err error) {
		n, err = f.File.WriteAt(b, offset)
		return err
	})
	if err != nil {
		return n, err
	}
	end := offset + int64(n)
	f.end.Store(end)
	if end > f.size/2 {
		f.spare.prepare()
	}
	return n, nil
}

// Sync makes what was written durable.
func (f *segmentFile) Sync() error {
	err := f.seam.Do(fault.OpSync, f.Name(), func() error { return syncData(f.File) })
	if err != nil {
		return fmt.Errorf("sync %s: %w", f.Name(), err)
	}
	return nil
}

// spare prepares the next segment file while the current one fills, so that a
// rotation is a rename. One goroutine does that; a nil *spare prepares nothing.
type spare struct {
	path string
	size int64
	seam fault.Seam
	warn func(error)

	want chan struct{} // capacity 1
	stop chan struct{}
	done chan struct{}

	mu    sync.Mutex // held while the file is written, so that take waits for it
	ready bool
}

func startSpare(dir string, size int64, seam fault.Seam, warn func(error)) *spare {
	s := &spare{
		path: store.TempPath(filepath.Join(dir, spareName)), size: size, seam: seam, warn: warn,
		want: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
	go s.run()
	return s
}

// prepare asks for a file to be made ready. It never blocks.
func (s *spare) prepare() {
	if s == nil {
		return
	}
	select {
	case s.want <- struct{}{}:
	default:
	}
}

// take renames the prepared file to path; false where there is none of that size.
func (s *spare) take(path string, size int64) (bool, error) {
	if s == nil || size != s.size {
		return false, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ready {
		return false, nil
	}
	s.ready = false
	return true, store.Rename(s.seam, s.path, path)
}

func (s *spare) run() {
	defer close(s.done)
	for {
		select {
		case <-s.stop:
			return
		case <-s.want:
		}
		s.mu.Lock()
		if !s.ready {
			err := writeZeroFile(s.seam, s.path, s.size, s.stop)
			s.ready = err == nil
			if err != nil && s.warn != nil {
				s.warn(err) // the rotation will make its own file, or fail loudly
			}
		}
		s.mu.Unlock()
	}
}

// close stops the goroutine and removes the file.
func (s *spare) close() {
	if s == nil {
		return
	}
	close(s.stop)
	<-s.done
	_ = os.Remove(s.path)
}

// zeroChunk is written at a time, so that a segment being prepared does not hold the
// disk for long in one request.
var zeroChunk [256 << 10]byte

// writeZeroFile creates path, or empties it, with size zero bytes, synced. It gives
// up when stop is closed.
func writeZeroFile(seam fault.Seam, path string, size int64, stop <-chan struct{}) error {
	err := seam.Do(fault.OpCreate, path, func() (err error) {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		for left := size; left > 0; {
			select {
			case <-stop:
				return ErrClosed
			default:
			}
			n, err := f.Write(zeroChunk[:min(left, int64(len(zeroChunk)))])
			if err != nil {
				return err
			}
			left -= int64(n)
		}
		return f.Sync()
	})
	if err != nil {
		return fmt.Errorf("create raft log segment %s: %w", path, err)
	}
	return nil
}

// writeZeros overwrites the file with zeros from offset to its end, synced.
func writeZeros(seam fault.Seam, path string, offset int64) error {
	err := seam.Do(fault.OpWrite, path, func() (err error) {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		stat, err := f.Stat()
		if err != nil {
			return err
		}
		for offset < stat.Size() {
			n, err := f.WriteAt(zeroChunk[:min(stat.Size()-offset, int64(len(zeroChunk)))], offset)
			if err != nil {
				return err
			}
			offset += int64(n)
		}
		return f.Sync()
	})
	if err != nil {
		return fmt.Errorf("write zeros to %s: %w", path, err)
	}
	return nil
}

// makeDir creates dir, whose parent exists, if it does not.
func makeDir(seam fault.Seam, dir string) error {
	err := seam.Do(fault.OpCreate, dir, func() error { return os.Mkdir(dir, 0o700) })
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("create raft log directory: %w", err)
	}
	return store.SyncDir(seam, filepath.Dir(dir))
}

// readAll reads the n bytes at offset.
func readAll(r io.ReaderAt, offset, n int64) ([]byte, error) {
	b := make([]byte, n)
	got, err := r.ReadAt(b, offset)
	if int64(got) == n {
		return b, nil
	}
	return nil, err
}
