package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/hashicorp/raft"
)

// maxSnapshotBytes is the largest snapshot that is received: a size beyond it is not
// one.
const maxSnapshotBytes = 1 << 42

var (
	errReceiving    = errors.New("a snapshot of a later leader is being received")
	errSnapshotSize = errors.New("no snapshot has this size")
	errSuperseded   = errors.New("a later snapshot took its place")
)

// Receiver takes a snapshot: it reads the stream, fetches what that only names, and
// returns when Raft has nothing left to do but to put the snapshot in force. release
// is called when Raft has answered, whatever the answer.
//
// Raft itself would read the stream on its main loop, which neither votes nor appends
// meanwhile. A sender that falls silent is noticed by its connection (calledConn).
type Receiver func(ctx context.Context, stream io.Reader, req *raft.InstallSnapshotRequest) (release func(), err error)

// receptions takes snapshots one at a time. A sender sends again only when it has
// given up what it sent before, and a later leader makes the earlier one's useless:
// so the newest takes the place, except of a later term's.
type receptions struct {
	receive  Receiver
	lifetime context.Context // the transport's

	mu      sync.Mutex
	current *reception // guarded by mu; nil: none
}

type reception struct {
	term   uint64
	cancel context.CancelCauseFunc
	ended  chan struct{}
}

// take receives a snapshot and has it installed.
func (r *receptions) take(stream io.Reader, req *raft.InstallSnapshotRequest, install func(*raft.InstallSnapshotRequest) raft.RPCResponse) raft.RPCResponse {
	if req.Size < 0 || req.Size > maxSnapshotBytes {
		return raft.RPCResponse{Error: fmt.Errorf("%w: %d bytes", errSnapshotSize, req.Size)}
	}
	ctx, cancel := context.WithCancelCause(r.lifetime)
	defer cancel(nil)
	mine := &reception{term: req.Term, cancel: cancel, ended: make(chan struct{})}
	if err := r.enter(mine); err != nil {
		return raft.RPCResponse{Error: err}
	}
	defer r.leave(mine)
	release, err := r.receive(ctx, io.LimitReader(stream, req.Size), req)
	if err != nil {
		return raft.RPCResponse{Error: fmt.Errorf("receive snapshot: %w", err)}
	}
	defer release()
	return install(req)
}

// enter waits for the place, which whoever has it is asked to leave.
func (r *receptions) enter(mine *reception) error {
	for {
		r.mu.Lock()
		other := r.current
		if other == nil {
			r.current = mine
		}
		r.mu.Unlock()
		switch {
		case other == nil:
			return nil
		case other.term > mine.term:
			return fmt.Errorf("%w: of term %d, this is of %d", errReceiving, other.term, mine.term)
		}
		other.cancel(errSuperseded)
		select {
		case <-other.ended:
		case <-r.lifetime.Done():
			return raft.ErrTransportShutdown
		}
	}
}

func (r *receptions) leave(mine *reception) {
	r.mu.Lock()
	r.current = nil
	r.mu.Unlock()
	close(mine.ended)
}
