package consensus

import (
	"errors"
	"sync/atomic"

	"github.com/hashicorp/raft"
)

// baseLog is the raft log of a node whose state may have come from another one.
//
// After an install the log is empty, and what the leader sends next follows the
// snapshot's last entry. If those entries turn out to be in conflict with a newer
// leader's, that leader asks for the entry before them, which is in no log but in
// the snapshot; raft 1.7.3 looks for it in the log alone and refuses for ever
// (its handler knows the snapshot's term only while no entry follows it). So this
// log answers for the last entry of the snapshot: its term is all that counts.
type baseLog struct {
	raft.LogStore
	base atomic.Pointer[snapshotOrigin] // nil: the state was never installed
}

var (
	_ raft.LogStore          = (*baseLog)(nil)
	_ raft.MonotonicLogStore = (*baseLog)(nil)
)

// onlyTerm is a type that no Raft applies: should the stand-in ever be taken for
// the entry itself, its receiver stops and does not diverge.
const onlyTerm raft.LogType = 0xff

// IsMonotonic implements raft.MonotonicLogStore, which embedding does not.
func (l *baseLog) IsMonotonic() bool {
	inner, ok := l.LogStore.(raft.MonotonicLogStore)
	return ok && inner.IsMonotonic()
}

// GetLog implements raft.LogStore.
func (l *baseLog) GetLog(index uint64, entry *raft.Log) error {
	err := l.LogStore.GetLog(index, entry)
	if base := l.base.Load(); errors.Is(err, raft.ErrLogNotFound) && base != nil && base.Index == index {
		*entry = raft.Log{Index: base.Index, Term: base.Term, Type: onlyTerm}
		return nil
	}
	return err
}

// setBase says that the state came with a snapshot of this last entry.
func (l *baseLog) setBase(o snapshotOrigin) {
	if o.Index > 0 {
		l.base.Store(&o)
	}
}
