package transport

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/hashicorp/raft"
)

// maxSnapshotBytes is the largest snapshot that is received: a size beyond it is not
// one.
const maxSnapshotBytes = 1 << 42

var (
	errSpoolBusy = errors.New("another snapshot is being received")
	errSpoolSize = errors.New("no snapshot has this size")
)

// spool receives snapshots into files, one at a time: Raft would read them from the
// connection on its main loop, which neither votes nor appends meanwhile.
//
// The files are not synced. What Raft makes of one is, and a file that is left by a
// crash is a leftover in the staging directory.
type spool struct {
	dir   string
	place chan struct{} // holds one token while a snapshot is here
}

func newSpool(dir string) *spool { return &spool{dir: dir, place: make(chan struct{}, 1)} }

// take reads the snapshot into a file and returns it at its beginning. The caller
// releases it. After an error the stream was read to its end, or is broken: raft's
// transport goes on reading where it stands, and would take the rest for calls.
//
// A sender that falls silent is noticed by its connection (calledConn).
func (s *spool) take(r io.Reader, req *raft.InstallSnapshotRequest) (file *os.File, err error) {
	defer func() {
		if err != nil {
			_, _ = io.Copy(io.Discard, r)
		}
	}()
	if req.Size < 0 || req.Size > maxSnapshotBytes {
		return nil, fmt.Errorf("%w: %d bytes", errSpoolSize, req.Size)
	}
	select {
	case s.place <- struct{}{}:
	default:
		return nil, errSpoolBusy
	}
	file, err = os.CreateTemp(s.dir, "spool-")
	if err != nil {
		<-s.place
		return nil, fmt.Errorf("create spool file: %w", err)
	}
	n, err := io.Copy(file, io.LimitReader(r, req.Size))
	if err == nil && n != req.Size {
		err = io.ErrUnexpectedEOF
	}
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		s.release(file)
		return nil, fmt.Errorf("spool snapshot: %w", err)
	}
	return file, nil
}

// release removes the file and makes room for the next snapshot.
func (s *spool) release(file *os.File) {
	_ = file.Close()
	_ = os.Remove(file.Name()) // a leftover goes with the next start
	<-s.place
}
