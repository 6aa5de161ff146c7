package raftlog

import (
	"fmt"
	"sync"

	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"
)

// filer is raft-wal's own segment filer, corrected where doc.go says. The buffers
// that its readers return are never used again, so that entries may alias them.
type filer struct {
	*segment.Filer
	dir   string
	files *files
	meta  *metaStore

	// offsets holds, by segment id, the frame offsets of sealed segments whose index
	// was never written. Filled before raft-wal opens, read-only afterwards.
	offsets map[uint64][]uint32

	mu       sync.Mutex
	fatal    func(error) error // nil until the log is open
	rotating chan struct{}     // closed when the rotation in progress is done, nil = none
}

var _ types.SegmentFiler = (*filer)(nil)

// Create implements types.SegmentFiler. raft-wal only logs an error of its rotation.
func (f *filer) Create(info types.SegmentInfo) (types.SegmentWriter, error) {
	info.Codec = codecID
	w, err := f.Filer.Create(info)
	if err == nil {
		err = f.meta.created(info.ID)
	}
	if err != nil {
		return nil, f.fail(fmt.Errorf("create segment %s: %w", segment.FileName(info), err))
	}
	f.rotated()
	return writer{w, f}, nil
}

// RecoverTail implements types.SegmentFiler.
func (f *filer) RecoverTail(info types.SegmentInfo) (types.SegmentWriter, error) {
	w, err := f.Filer.RecoverTail(info)
	if err != nil {
		return nil, err
	}
	return writer{w, f}, nil
}

// Open implements types.SegmentFiler.
func (f *filer) Open(info types.SegmentInfo) (types.SegmentReader, error) {
	if info.IndexStart != 0 {
		r, err := f.Filer.Open(info)
		if err != nil {
			return nil, err
		}
		return reader{r}, nil
	}
	file, err := f.files.OpenReader(f.dir, segment.FileName(info))
	if err != nil {
		return nil, err
	}
	return &indexedReader{file: file, info: info, offsets: f.offsets[info.ID]}, nil
}

// Delete implements types.SegmentFiler. raft-wal only logs its error, and the next
// start deletes the file; but an unlink that fails is a disk that fails.
func (f *filer) Delete(base, id uint64) error {
	if err := f.Filer.Delete(base, id); err != nil {
		return f.fail(err)
	}
	return nil
}

// setFatal sets who is told, from now on, of errors that raft-wal only logs.
func (f *filer) setFatal(fatal func(error) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fatal = fatal
}

func (f *filer) fail(err error) error {
	f.mu.Lock()
	fatal := f.fatal
	f.mu.Unlock()
	if fatal == nil {
		return err
	}
	return fatal(err)
}

// rotates marks that the tail is full: raft-wal's goroutine will create the next.
func (f *filer) rotates() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rotating == nil {
		f.rotating = make(chan struct{})
	}
}

// rotated marks that it did. It still holds raft-wal's lock then, so whoever waited
// sees the rotation finished.
func (f *filer) rotated() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.rotating != nil {
		close(f.rotating)
		f.rotating = nil
	}
}

// awaitRotation waits for a rotation in progress, or until broken is closed.
func (f *filer) awaitRotation(broken <-chan struct{}) {
	f.mu.Lock()
	rotating := f.rotating
	f.mu.Unlock()
	if rotating == nil {
		return
	}
	select {
	case <-rotating:
	case <-broken:
	}
}

// writer and reader return buffers that are the caller's.
type writer struct {
	types.SegmentWriter
	filer *filer
}

// Sealed implements types.SegmentWriter. raft-wal asks it after every append, and
// rotates when the answer is yes.
func (w writer) Sealed() (bool, uint64, error) {
	sealed, indexStart, err := w.SegmentWriter.Sealed()
	if sealed && err == nil {
		w.filer.rotates()
	}
	return sealed, indexStart, err
}

func (w writer) GetLog(index uint64) (*types.PooledBuffer, error) {
	return own(w.SegmentWriter.GetLog(index))
}

type reader struct{ types.SegmentReader }

func (r reader) GetLog(index uint64) (*types.PooledBuffer, error) {
	return own(r.SegmentReader.GetLog(index))
}

// own copies what lies in a pooled buffer; a record above raft-wal's 64 KiB has a
// buffer of its own already.
func own(b *types.PooledBuffer, err error) (*types.PooledBuffer, error) {
	if err != nil || b.CloseFn == nil {
		return b, err
	}
	owned := make([]byte, len(b.Bs))
	copy(owned, b.Bs)
	_ = b.Close()
	return &types.PooledBuffer{Bs: owned}, nil
}

// indexedReader reads a segment that was sealed by deleting a suffix of the log and
// so has no index in its file.
type indexedReader struct {
	file    types.ReadableFile
	info    types.SegmentInfo
	offsets []uint32
}

// GetLog implements types.SegmentReader.
func (r *indexedReader) GetLog(index uint64) (*types.PooledBuffer, error) {
	if index < r.info.MinIndex || index > r.info.MaxIndex || index-r.info.BaseIndex >= uint64(len(r.offsets)) {
		return nil, types.ErrNotFound
	}
	offset := int64(r.offsets[index-r.info.BaseIndex])
	head, err := readAll(r.file, offset, frameHeader)
	if err != nil {
		return nil, fmt.Errorf("read frame of index %d: %w", index, err)
	}
	f, ok := parseFrame(head)
	if !ok || f.kind != frameEntry || f.length > maxRecordBytes {
		return nil, fmt.Errorf("%w: frame of index %d at offset %d", types.ErrCorrupt, index, offset)
	}
	b, err := readAll(r.file, offset+frameHeader, int64(f.length))
	if err != nil {
		return nil, fmt.Errorf("read index %d: %w", index, err)
	}
	return &types.PooledBuffer{Bs: b}, nil
}

// Close implements io.Closer.
func (r *indexedReader) Close() error { return r.file.Close() }
