package transport

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// A snapshot whose next bytes do not come for this long is given up, so that a
// dead sender does not hold the only place for the next one.
const spoolIdle = 10 * time.Second

var (
	errSpoolBusy = errors.New("another snapshot is being received")
	errSpoolIdle = fmt.Errorf("no bytes of the snapshot for %v", spoolIdle)
)

// spool receives snapshots into files, one at a time.
type spool struct {
	dir   string
	place chan struct{} // holds one token while a snapshot is here
}

func newSpool(dir string) *spool { return &spool{dir: dir, place: make(chan struct{}, 1)} }

// take reads size bytes into a file and returns it at its beginning. The caller
// releases it.
func (s *spool) take(r io.Reader, size int64, stop <-chan struct{}) (*os.File, error) {
	select {
	case s.place <- struct{}{}:
	default:
		return nil, errSpoolBusy
	}
	file, err := os.CreateTemp(s.dir, "spool-")
	if err != nil {
		<-s.place
		return nil, fmt.Errorf("create spool file: %w", err)
	}
	done := make(chan error, 1)
	progress := make(chan struct{}, 1)
	go func() { done <- copyExactly(file, &reporter{r: r, progress: progress}, size) }()
	if err := s.watch(done, progress, stop); err != nil {
		s.release(file)
		return nil, fmt.Errorf("spool snapshot: %w", err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		s.release(file)
		return nil, fmt.Errorf("rewind spool file: %w", err)
	}
	return file, nil
}

func copyExactly(w io.Writer, r io.Reader, size int64) error {
	n, err := io.Copy(w, io.LimitReader(r, size))
	if err == nil && n != size {
		return io.ErrUnexpectedEOF
	}
	return err
}

// watch waits for the copy to end. A read of a connection cannot be interrupted
// from here: when the bytes stop coming, the place is given to the next snapshot
// at once, but watch returns only when the connection has ended too, since
// nobody else may read it before.
func (s *spool) watch(done <-chan error, progress, stop <-chan struct{}) error {
	idle := time.NewTimer(spoolIdle)
	defer idle.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-progress:
			idle.Reset(spoolIdle)
		case <-idle.C:
			<-s.place
			err := <-done
			s.place <- struct{}{} // release takes it back
			return errors.Join(errSpoolIdle, err)
		case <-stop:
			<-done // Close ends the connection
			return os.ErrClosed
		}
	}
}

// release removes the file and makes room for the next snapshot.
func (s *spool) release(file *os.File) {
	_ = file.Close()
	_ = os.Remove(file.Name()) // a leftover goes with the next start
	<-s.place
}

// reporter tells of each read that brought something.
type reporter struct {
	r        io.Reader
	progress chan<- struct{}
}

func (r *reporter) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if n > 0 {
		select {
		case r.progress <- struct{}{}:
		default:
		}
	}
	return n, err
}
