package raftlog

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft-wal/types"

	"github.com/edri-io/edri/internal/fault"
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
	}
	if err := syncDir(fs.seam, dir); err != nil {
		return nil, err
	}
	return fs.OpenWriter(dir, name)
}

// Delete implements types.VFS.
func (fs *files) Delete(dir, name string) error {
	path := filepath.Join(dir, name)
	if err := fs.seam.Before(fault.OpRemove, path); err != nil {
		return fmt.Errorf("remove %s: %w", path, err)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("remove raft log segment: %w", err)
	}
	if err := fs.seam.After(fault.OpRemove, path); err != nil {
		return fmt.Errorf("remove %s: %w", path, err)
	}
	return syncDir(fs.seam, dir)
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
func (f *segmentFile) WriteAt(b []byte, offset int64) (int, error) {
	if err := f.seam.Before(fault.OpWrite, f.Name()); err != nil {
		return 0, fmt.Errorf("write %s: %w", f.Name(), err)
	}
	n, err := f.File.WriteAt(b, offset)
	if err != nil {
		return n, err
	}
	end := offset + int64(n)
	f.end.Store(end)
	if end > f.size/2 {
		f.spare.prepare()
	}
	if err := f.seam.After(fault.OpWrite, f.Name()); err != nil {
		return n, fmt.Errorf("write %s: %w", f.Name(), err)
	}
	return n, nil
}

// Sync makes what was written durable.
func (f *segmentFile) Sync() error {
	if err := f.seam.Before(fault.OpSync, f.Name()); err != nil {
		return fmt.Errorf("sync %s: %w", f.Name(), err)
	}
	if err := syncData(f.File); err != nil {
		return fmt.Errorf("sync %s: %w", f.Name(), err)
	}
	if err := f.seam.After(fault.OpSync, f.Name()); err != nil {
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
		path: filepath.Join(dir, spareName), size: size, seam: seam, warn: warn,
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
	return true, rename(s.seam, s.path, path)
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

// writeZeroFile creates path, new, with size zero bytes, synced. It gives up when
// stop is closed.
func writeZeroFile(seam fault.Seam, path string, size int64, stop <-chan struct{}) error {
	if err := seam.Before(fault.OpCreate, path); err != nil {
		return fmt.Errorf("create %s: %w", path, err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("create raft log segment: %w", err)
	}
	for left := size; left > 0 && err == nil; {
		select {
		case <-stop:
			err = ErrClosed
		default:
			var n int
			n, err = f.Write(zeroChunk[:min(left, int64(len(zeroChunk)))])
			left -= int64(n)
		}
	}
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = seam.After(fault.OpCreate, path)
	}
	if err != nil {
		return fmt.Errorf("create raft log segment %s: %w", path, err)
	}
	return nil
}

// replaceFile makes path hold data, whole or not at all, durably.
func replaceFile(seam fault.Seam, path string, data []byte) error {
	tmp := path + ".tmp"
	if err := seam.Before(fault.OpWrite, tmp); err != nil {
		return fmt.Errorf("write %s: %w", tmp, err)
	}
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("create %s: %w", tmp, err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = seam.After(fault.OpWrite, tmp)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", tmp, err)
	}
	if err := rename(seam, tmp, path); err != nil {
		return err
	}
	return syncDir(seam, filepath.Dir(path))
}

func rename(seam fault.Seam, from, to string) error {
	if err := seam.Before(fault.OpRename, to); err != nil {
		return fmt.Errorf("rename to %s: %w", to, err)
	}
	if err := os.Rename(from, to); err != nil {
		return fmt.Errorf("rename raft log file: %w", err)
	}
	if err := seam.After(fault.OpRename, to); err != nil {
		return fmt.Errorf("rename to %s: %w", to, err)
	}
	return nil
}

func syncDir(seam fault.Seam, dir string) error {
	if err := seam.Before(fault.OpSyncDir, dir); err != nil {
		return fmt.Errorf("sync directory %s: %w", dir, err)
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("open directory: %w", err)
	}
	err = d.Sync()
	if closeErr := d.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = seam.After(fault.OpSyncDir, dir)
	}
	if err != nil {
		return fmt.Errorf("sync directory %s: %w", dir, err)
	}
	return nil
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
