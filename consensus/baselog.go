package consensus

import (
	"errors"
	"fmt"
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
//
// What the log held beyond the snapshot was never committed: a leader sends one only
// where the log conflicts with its own before the snapshot's end. It is removed with the
// rest, but raft still takes its end for the end of the log:
//
//	log, removed    first ─────────────── gone
//	snapshot        ───────────▲ base
//	leader sends                │ entries ─▶
//
// Each entry up to there raft compares with its own first, and refuses the call if it has
// none. So this log answers for those as well, with a term that no entry has: raft then
// clears what is not there and appends.
type baseLog struct {
	raft.LogStore
	base atomic.Pointer[snapshotOrigin] // nil: the state was never installed
	gone atomic.Uint64                  // end of the removed log, until it is written again; 0: not beyond base
}

var (
	_ raft.LogStore          = (*baseLog)(nil)
	_ raft.MonotonicLogStore = (*baseLog)(nil)
)

// onlyTerm is a type that no Raft applies: should the stand-in ever be taken for
// the entry itself, its receiver stops and does not diverge.
const onlyTerm raft.LogType = 0xff

var errLogGap = errors.New("the entry does not follow the installed snapshot")

// IsMonotonic implements raft.MonotonicLogStore, which embedding does not.
func (l *baseLog) IsMonotonic() bool {
	inner, ok := l.LogStore.(raft.MonotonicLogStore)
	return ok && inner.IsMonotonic()
}

// GetLog implements raft.LogStore.
func (l *baseLog) GetLog(index uint64, entry *raft.Log) error {
	err := l.LogStore.GetLog(index, entry)
	base := l.base.Load()
	if base == nil || !errors.Is(err, raft.ErrLogNotFound) {
		return err
	}
	switch {
	case index == base.Index:
		*entry = raft.Log{Index: index, Term: base.Term, Type: onlyTerm}
		return nil
	case index > base.Index && index <= l.gone.Load():
		*entry = raft.Log{Index: index, Type: onlyTerm}
		return nil
	}
	return err
}

// DeleteRange implements raft.LogStore.
func (l *baseLog) DeleteRange(first, last uint64) error {
	begin, err := l.FirstIndex()
	end, endErr := l.LastIndex()
	if err = errors.Join(err, endErr); err != nil {
		return err
	}
	if err := l.LogStore.DeleteRange(first, last); err != nil {
		return err
	}
	left, err := l.LastIndex()
	if base := l.base.Load(); err == nil && left == 0 && base != nil && begin <= base.Index+1 && end > base.Index {
		l.gone.Store(end)
	}
	return err
}

// StoreLog implements raft.LogStore.
func (l *baseLog) StoreLog(entry *raft.Log) error { return l.StoreLogs([]*raft.Log{entry}) }

// StoreLogs implements raft.LogStore.
func (l *baseLog) StoreLogs(entries []*raft.Log) error {
	gone := l.gone.Load()
	if base := l.base.Load(); gone > 0 && len(entries) > 0 && entries[0].Index != base.Index+1 {
		return fmt.Errorf("%w: entry %d after %d", errLogGap, entries[0].Index, base.Index)
	}
	err := l.LogStore.StoreLogs(entries)
	if err == nil && gone > 0 {
		l.gone.Store(0)
	}
	return err
}

// setBase says that the state came with a snapshot of this last entry.
func (l *baseLog) setBase(o snapshotOrigin) {
	if o.Index > 0 {
		l.base.Store(&o)
	}
}
