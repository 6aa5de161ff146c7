package transport

import (
	"errors"
	"sync"

	"github.com/hashicorp/raft"
)

var errBusy = errors.New("raft's main loop is busy")

// rpcQueue bounds the calls that wait for Raft's main loop.
const rpcQueue = 64

// Inner is the transport that is wrapped: raft.NetworkTransport in production,
// raft.InmemTransport in simulations.
type Inner interface {
	raft.Transport
	raft.WithPreVote
}

// Raft is Raft's transport with the corrections of this package.
type Raft struct {
	Inner
	rounds *Rounds
	hearts *heartbeats
	spool  *spool
	queue  chan raft.RPC
	stop   chan struct{}
	once   sync.Once
	done   sync.WaitGroup
}

// Raft looks for these by type assertion.
var (
	_ raft.Transport   = (*Raft)(nil)
	_ raft.WithPreVote = (*Raft)(nil)
	_ raft.WithClose   = (*Raft)(nil)
)

// WrapRaft wraps an inner transport, whose Consumer it reads from now on.
// Received snapshots are spooled to a file in stagingDir.
func WrapRaft(inner Inner, rounds *Rounds, state State, stagingDir string) *Raft {
	queue := make(chan raft.RPC, rpcQueue)
	t := &Raft{
		Inner:  inner,
		rounds: rounds,
		hearts: newHeartbeats(state, queue),
		spool:  newSpool(stagingDir),
		queue:  queue,
		stop:   make(chan struct{}),
	}
	inner.SetHeartbeatHandler(t.hearts.handle)
	t.done.Add(1)
	go t.pump()
	return t
}

// Consumer implements raft.Transport.
func (t *Raft) Consumer() <-chan raft.RPC { return t.queue }

// pump moves calls to Raft's queue; a snapshot is spooled on its way, beside the
// others. An inner transport without a fast path for heartbeats sends them here too.
func (t *Raft) pump() {
	defer t.done.Done()
	for {
		select {
		case rpc := <-t.Inner.Consumer():
			if req, ok := rpc.Command.(*raft.InstallSnapshotRequest); ok {
				t.done.Add(1)
				go func() {
					defer t.done.Done()
					t.receive(rpc, req)
				}()
				continue
			}
			if isHeartbeat(rpc) {
				t.hearts.handle(rpc)
				continue
			}
			if !t.enqueue(rpc) {
				rpc.Respond(nil, raft.ErrTransportShutdown)
				return
			}
		case <-t.stop:
			return
		}
	}
}

func (t *Raft) enqueue(rpc raft.RPC) bool {
	select {
	case t.queue <- rpc:
		return true
	case <-t.stop:
		return false
	}
}

// receive spools a snapshot and then passes the call on, with the file in place
// of the connection. The inner transport reads nothing from the connection until
// the call is answered.
func (t *Raft) receive(rpc raft.RPC, req *raft.InstallSnapshotRequest) {
	file, err := t.spool.take(rpc.Reader, req)
	if err != nil {
		rpc.Respond(nil, err)
		return
	}
	answer := make(chan raft.RPCResponse, 1)
	got := raft.RPCResponse{Error: raft.ErrTransportShutdown}
	if t.enqueue(raft.RPC{Command: rpc.Command, Reader: file, RespChan: answer}) {
		select {
		case got = <-answer:
		case <-t.stop:
		}
	}
	t.spool.release(file) // before the answer, after which the next one may come
	rpc.Respond(got.Response, got.Error)
}

// SetHeartbeatHandler implements raft.Transport. Raft's own handler is not used, see
// heartbeats.
func (t *Raft) SetHeartbeatHandler(func(raft.RPC)) {}

// AppendEntries implements raft.Transport: both heartbeats and replication pass
// here.
func (t *Raft) AppendEntries(id raft.ServerID, target raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	round := t.rounds.sending(args)
	if err := t.Inner.AppendEntries(id, target, args, resp); err != nil {
		return err
	}
	t.rounds.answered(id, round, args, resp)
	return nil
}

// AppendEntriesPipeline implements raft.Transport: there is none, see the
// package documentation.
func (t *Raft) AppendEntriesPipeline(raft.ServerID, raft.ServerAddress) (raft.AppendPipeline, error) {
	return nil, raft.ErrPipelineReplicationNotSupported
}

// Close implements raft.WithClose.
func (t *Raft) Close() error {
	var err error
	t.once.Do(func() {
		close(t.stop)
		if c, ok := t.Inner.(raft.WithClose); ok {
			err = c.Close()
		}
		t.done.Wait()
	})
	return err
}
