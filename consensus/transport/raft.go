package transport

import (
	"context"
	"errors"
	"io"
	"strings"
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
	rounds    *Rounds
	hearts    *heartbeats
	base      Base
	snapshots receptions
	queue     chan raft.RPC
	stop      <-chan struct{}
	end       context.CancelCauseFunc
	once      sync.Once
	done      sync.WaitGroup
}

// Raft looks for these by type assertion.
var (
	_ raft.Transport   = (*Raft)(nil)
	_ raft.WithPreVote = (*Raft)(nil)
	_ raft.WithClose   = (*Raft)(nil)
)

// WrapRaft wraps an inner transport, whose Consumer it reads from now on.
// Snapshots are taken by receive, before Raft hears of them.
func WrapRaft(inner Inner, rounds *Rounds, state State, base Base, receive Receiver) *Raft {
	queue := make(chan raft.RPC, rpcQueue)
	lifetime, end := context.WithCancelCause(context.Background()) // the transport's own life
	t := &Raft{
		Inner:     inner,
		rounds:    rounds,
		hearts:    newHeartbeats(state, queue),
		base:      base,
		snapshots: receptions{receive: receive, lifetime: lifetime},
		queue:     queue,
		stop:      lifetime.Done(),
		end:       end,
	}
	inner.SetHeartbeatHandler(t.hearts.handle)
	t.done.Add(1)
	go t.pump()
	return t
}

// Consumer implements raft.Transport.
func (t *Raft) Consumer() <-chan raft.RPC { return t.queue }

// pump moves calls to Raft's queue; a snapshot is received on its way, beside the
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
			if !t.enqueue(t.base.aboveBase(onlyCompared(rpc))) {
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

// receive takes a snapshot and then passes the call on, with nothing left to read.
// The inner transport reads nothing from the connection until the call is answered.
// After an error the stream is read to its end, or is broken: raft's transport goes
// on reading where it stands, and would take the rest for calls.
func (t *Raft) receive(rpc raft.RPC, req *raft.InstallSnapshotRequest) {
	got := t.snapshots.take(rpc.Reader, req, t.install)
	if got.Error != nil {
		_, _ = io.Copy(io.Discard, rpc.Reader)
	}
	rpc.Respond(got.Response, got.Error)
}

// install hands a snapshot that was received to Raft and returns its answer.
func (t *Raft) install(req *raft.InstallSnapshotRequest) raft.RPCResponse {
	received := *req
	received.Size = 0
	answer := make(chan raft.RPCResponse, 1)
	if t.enqueue(raft.RPC{Command: &received, Reader: strings.NewReader(""), RespChan: answer}) {
		select {
		case got := <-answer:
			return got
		case <-t.stop:
		}
	}
	return raft.RPCResponse{Error: raft.ErrTransportShutdown}
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
		t.end(raft.ErrTransportShutdown)
		if c, ok := t.Inner.(raft.WithClose); ok {
			err = c.Close()
		}
		t.done.Wait()
	})
	return err
}
