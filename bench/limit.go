package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// The disk's own limit, "limit3": what any store that syncs three copies before
// it answers can reach at best on this disk.
//
//	producers ──submit──▶ pending ──take all──▶ batch ──┬─▶ file 1: pwrite, fdatasync ─┐
//	    ▲                                               ├─▶ file 2: pwrite, fdatasync ─┼─▶ all three
//	    └────────────────────── answered ───────────────┴─▶ file 3: pwrite, fdatasync ─┘      │
//	                                    ◀─────────────────────────────────────────────────────┘
//
// The files are preallocated and written with zeroes beforehand, so that a sync
// writes data alone and no metadata; writing goes on at their beginning when the
// end is reached.
const (
	limitFiles     = 3
	limitFileBytes = 64 << 20
)

// errLimitClosed answers what was submitted to a limit that is closed.
var errLimitClosed = errors.New("the limit's files are closed")

// diskLimit writes batches of records to three files. Safe for concurrent use.
type diskLimit struct {
	record []byte // what each submission writes
	size   int64  // of each file
	files  []syncFile
	offset int64 // the writer's own
	buffer []byte

	mu      sync.Mutex // guards pending, closed
	pending []chan error
	closed  bool

	wake    chan struct{} // capacity 1: something is pending, or closed
	stopped chan struct{} // the writer has ended

	// batches and records count what the writer wrote; read after close.
	batches, records int
}

// syncFile is what the limit needs of a file.
type syncFile interface {
	WriteAt(p []byte, off int64) (int, error)
	Datasync() error
	Close() error
}

// dataFile is an operating-system file whose data can be synced alone.
type dataFile struct{ *os.File }

// Datasync makes the file's data durable, and of its metadata what is needed to
// read it.
func (f dataFile) Datasync() error { return datasync(f.File) }

// openLimit makes the files, one in each of dirs, writes them full of zeroes and
// removes their names, so that nothing is left behind however the run ends.
func openLimit(dirs []string, recordBytes int) (*diskLimit, error) {
	var files []syncFile
	for _, dir := range dirs {
		f, err := makeLimitFile(dir, limitFileBytes)
		if err != nil {
			for _, open := range files {
				err = errors.Join(err, open.Close())
			}
			return nil, fmt.Errorf("prepare the disk's limit: %w", err)
		}
		files = append(files, f)
	}
	return newDiskLimit(files, limitFileBytes, recordBytes), nil
}

func makeLimitFile(dir string, size int64) (syncFile, error) {
	f, err := os.CreateTemp(filepath.Clean(dir), "edri-limit3-*")
	if err != nil {
		return nil, err
	}
	err = os.Remove(f.Name())
	zeroes := make([]byte, 1<<20)
	for off := int64(0); err == nil && off < size; off += int64(len(zeroes)) {
		_, err = f.WriteAt(zeroes, off)
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return dataFile{f}, nil
}

// newDiskLimit starts the writer. size is that of each file, and at least what a
// batch of all producers takes.
func newDiskLimit(files []syncFile, size int64, recordBytes int) *diskLimit {
	l := &diskLimit{
		record:  make([]byte, recordBytes),
		size:    size,
		files:   files,
		wake:    make(chan struct{}, 1),
		stopped: make(chan struct{}),
	}
	for i := range l.record {
		l.record[i] = byte(i*7 + 1)
	}
	go l.run()
	return l
}

// submit writes one record and returns when it is synced in all files. answer is
// the caller's own, of capacity 1, to be used again for its next submission.
func (l *diskLimit) submit(answer chan error) error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return errLimitClosed
	}
	l.pending = append(l.pending, answer)
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default: // the writer is woken already
	}
	return <-answer
}

// operation returns submit as an operation of k producers.
func (l *diskLimit) operation(k int) operation {
	answers := make([]chan error, k)
	for i := range answers {
		answers[i] = make(chan error, 1)
	}
	return func(_ context.Context, producer, _ int) error { return l.submit(answers[producer]) }
}

// run takes everything that is pending, as often as there is something.
func (l *diskLimit) run() {
	defer close(l.stopped)
	var batch []chan error
	for range l.wake {
		l.mu.Lock()
		batch, l.pending = l.pending, batch[:0]
		closed := l.closed
		l.mu.Unlock()
		if len(batch) > 0 {
			err := l.write(len(batch))
			for _, answer := range batch {
				answer <- err
			}
		}
		if closed {
			return
		}
	}
}

// write writes n records to all files at once and syncs each.
func (l *diskLimit) write(n int) error {
	l.buffer = l.buffer[:0]
	for range n {
		l.buffer = append(l.buffer, l.record...)
	}
	length := int64(len(l.buffer))
	if length > l.size {
		return fmt.Errorf("a batch of %d bytes is larger than the file of %d", length, l.size)
	}
	if l.offset+length > l.size {
		l.offset = 0
	}
	var wg sync.WaitGroup
	errs := make([]error, len(l.files))
	for i, f := range l.files {
		wg.Go(func() {
			if _, err := f.WriteAt(l.buffer, l.offset); err != nil {
				errs[i] = err
				return
			}
			errs[i] = f.Datasync()
		})
	}
	wg.Wait()
	l.offset += length
	l.batches++
	l.records += n
	return errors.Join(errs...)
}

// close ends the writer after what is pending, and closes the files.
func (l *diskLimit) close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		<-l.stopped
		return nil
	}
	l.closed = true
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
	<-l.stopped
	var errs []error
	for _, f := range l.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}
