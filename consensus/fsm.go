package consensus

import (
	"errors"
	"io"

	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/store"
)

// fsm is the node as Raft sees it. Raft calls it from one goroutine, except for
// Persist.
type fsm struct{ node *Node }

var _ raft.BatchingFSM = fsm{}

// ApplyBatch implements raft.BatchingFSM, which is what shows configuration
// entries to a state machine. It never panics, for Raft would still answer that
// the entry succeeded; it ends the process instead.
func (f fsm) ApplyBatch(logs []*raft.Log) []any {
	n := f.node
	responses := make([]any, len(logs))
	n.applying.Lock()
	core := n.core.Load()
	var outcomes []Outcome
	var index, term uint64
	for _, l := range logs {
		applied, err := applyLog(core, l)
		if err != nil {
			n.applying.Unlock()
			n.fail(err)
			return responses
		}
		if l.Type == raft.LogCommand {
			term = l.Term
		}
		index = l.Index
		outcomes = append(outcomes, applied...)
	}
	core.Publish()
	n.applying.Unlock()
	n.progress.advance(index, term)
	n.waiters.resolve(outcomes)
	if core.DirtyBytes() > flushBytes {
		n.flushSoon()
	}
	return responses
}

func applyLog(core *Core, l *raft.Log) ([]Outcome, error) {
	switch l.Type {
	case raft.LogCommand:
		return core.Apply(l.Index, l.Term, l.Data)
	case raft.LogConfiguration:
		return nil, core.ApplyConfiguration(l.Index, l.Term, l.Data)
	}
	return nil, nil // Raft sends no other type
}

// Apply implements raft.FSM; Raft calls ApplyBatch in its place.
func (f fsm) Apply(l *raft.Log) any { return f.ApplyBatch([]*raft.Log{l})[0] }

// Snapshot implements raft.FSM. The state file is the snapshot, so that there is
// nothing to take; Persist waits until the file has got as far.
func (f fsm) Snapshot() (raft.FSMSnapshot, error) {
	index, _ := f.node.core.Load().AppliedIndex()
	return localSnapshot{node: f.node, index: index}, nil
}

// Restore implements raft.FSM: it puts the snapshot that was just received in
// force. The reader is not used, since the sink has written the files already.
func (f fsm) Restore(snapshot io.ReadCloser) error {
	if err := f.node.putInForce(); err != nil {
		f.node.fail(err)
		return err
	}
	return snapshot.Close()
}

// localSnapshot is the state of this node as of an index.
type localSnapshot struct {
	node  *Node
	index uint64
}

// Persist implements raft.FSMSnapshot.
func (s localSnapshot) Persist(sink raft.SnapshotSink) error {
	if err := s.node.flush(); err != nil {
		s.node.fail(err)
		return err
	}
	if local, ok := sink.(*snapshotSink); ok {
		local.local = true
	}
	if durable := s.node.core.Load().DurableIndex(); durable < s.index {
		return errors.New("the state was replaced while the snapshot was taken")
	}
	return nil
}

// Release implements raft.FSMSnapshot.
func (localSnapshot) Release() {}

// ExitCode classifies what ends a node.
func ExitCode(err error) int {
	switch {
	case errors.Is(err, ErrUndecodable):
		return ExitUndecodable
	case errors.Is(err, store.ErrCorrupt):
		return ExitCorruption
	}
	return ExitStorage
}
