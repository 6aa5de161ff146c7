package consensus

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"slices"

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
	outcomes, err := f.apply(logs)
	if err != nil {
		n.fail(err)
		return responses
	}
	last := logs[len(logs)-1]
	n.progress.advance(last.Index, lastCommandTerm(logs))
	if err := f.notify(); err != nil {
		n.fail(err)
		return responses
	}
	n.waiters.resolve(outcomes)
	if n.core.Load().DirtyBytes() > flushBytes {
		n.flushSoon()
	}
	return responses
}

// apply changes the core by a batch and publishes it.
func (f fsm) apply(logs []*raft.Log) (outcomes []Outcome, err error) {
	f.node.applying.Lock()
	defer f.node.applying.Unlock()
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v\n%s", ErrPanic, r, debug.Stack())
		}
	}()
	core := f.node.core.Load()
	for _, l := range logs {
		applied, err := applyLog(core, l)
		if err != nil {
			return nil, err
		}
		outcomes = append(outcomes, applied...)
	}
	core.Publish()
	return outcomes, nil
}

// notify tells the observers what the batch did.
func (f fsm) notify() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: an observer: %v\n%s", ErrPanic, r, debug.Stack())
		}
	}()
	f.node.core.Load().Notify()
	return nil
}

// lastCommandTerm returns the term of the last command in a batch, 0 for none.
func lastCommandTerm(logs []*raft.Log) uint64 {
	for _, l := range slices.Backward(logs) {
		if l.Type == raft.LogCommand {
			return l.Term
		}
	}
	return 0
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
	core := f.node.core.Load()
	index, _ := core.AppliedIndex()
	return localSnapshot{node: f.node, core: core, index: index}, nil
}

// Restore implements raft.FSM: it puts the snapshot that was just received in
// force. The reader is not used, since the sink has written the files already.
func (f fsm) Restore(snapshot io.ReadCloser) error {
	if err := f.node.putInForce(); err != nil {
		return err
	}
	return snapshot.Close()
}

// localSnapshot is the state of this node as of an index.
type localSnapshot struct {
	node  *Node
	core  *Core
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
	if s.node.core.Load() != s.core || s.core.DurableIndex() < s.index {
		return errors.New("the state was replaced while the snapshot was taken")
	}
	return nil
}

// Release implements raft.FSMSnapshot.
func (localSnapshot) Release() {}

// ExitCode classifies what ends a node.
func ExitCode(err error) int {
	switch {
	case errors.Is(err, ErrPanic):
		return ExitError
	case errors.Is(err, ErrUndecodable):
		return ExitUndecodable
	case errors.Is(err, store.ErrCorrupt):
		return ExitCorruption
	}
	return ExitStorage
}
