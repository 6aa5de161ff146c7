package consensus

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/consensus/raftlog"
	"github.com/edri-io/edri/store"
)

const raftDir = "raft"

// openLog opens the raft log and holds it against the state.
func (n *Node) openLog(generation string, applied uint64) (*raftlog.Log, error) {
	dir := filepath.Join(n.cfg.Dir, raftDir)
	cfg := raftlog.Config{
		Fatal:        n.failWith,
		Leading:      n.replaceable,
		SegmentBytes: n.cfg.LogSegmentBytes,
		Seam:         n.cfg.Seam,
		Logger:       n.logger,
	}
	if err := n.finishLogSwap(); err != nil {
		return nil, fmt.Errorf("open raft log: %w", err)
	}
	l, err := raftlog.Open(dir, cfg)
	if errors.Is(err, raftlog.ErrCorrupt) {
		if err = n.salvageLog(applied, err, cfg); err == nil {
			l, err = raftlog.Open(dir, cfg)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open raft log: %w", err)
	}
	join := func() error { return n.joinLog(l, generation, applied) }
	if n.resyncing() {
		join = func() error { return n.measureLog(l) }
	}
	if err := join(); err != nil {
		_ = l.Close() // the first error tells
		return nil, err
	}
	return l, nil
}

// joinLog checks that log and state belong together:
//
//	log   first ───────────────────────── last
//	state            applied ▲
//
// Entries are written before they are committed and applied, so the log ends at
// or after the state, and begins at most one after it. The exception is a state
// that came from another node: until the leader sends what follows, the log may
// end before it. Raft would then append with a gap, so such a log is emptied. So is
// one that conflicts with such a state, where a crash kept raft from removing it:
// what the log holds from there on was never committed.
func (n *Node) joinLog(l *raftlog.Log, generation string, applied uint64) error {
	first, err := l.FirstIndex()
	if err != nil {
		return fmt.Errorf("read raft log: %w", err)
	}
	last, err := l.LastIndex()
	if err != nil {
		return fmt.Errorf("read raft log: %w", err)
	}
	origin, err := readOrigin(generation)
	if err != nil {
		return err
	}
	n.entries.setBase(origin)
	if applied > max(last, origin.Index) {
		return fmt.Errorf("%w: the state has applied entry %d, the raft log ends at %d: %w", store.ErrCorrupt, applied, last, ErrReplace)
	}
	conflicts, err := conflictsWith(l, origin, first, last)
	if err != nil {
		return err
	}
	if last > 0 && last < applied || conflicts && applied == origin.Index {
		n.logger.Info("emptying the raft log, which does not lead to the installed state", "first", first, "last", last, "applied", applied)
		if err := l.DeleteRange(first, last); err != nil {
			return fmt.Errorf("empty raft log: %w", err)
		}
		return nil
	}
	if last > 0 && first > applied+1 {
		return fmt.Errorf("%w: the state has applied entry %d, the raft log begins at %d", store.ErrCorrupt, applied, first)
	}
	return nil
}

// conflictsWith reports whether the log has another entry where an installed state ends.
func conflictsWith(l *raftlog.Log, origin snapshotOrigin, first, last uint64) (bool, error) {
	if origin.Index == 0 || origin.Index < first || origin.Index > last {
		return false, nil
	}
	var entry raft.Log
	if err := l.GetLog(origin.Index, &entry); err != nil {
		return false, fmt.Errorf("read raft log: %w", err)
	}
	return entry.Term != origin.Term, nil
}

// replaceable reports whether this node leads and a quorum has answered it
// lately: another could lead in its place. Raft keeps a leader in office whose
// disk stalls, since its heartbeats do not pass the disk.
func (n *Node) replaceable() bool {
	r := n.raft.Load()
	if r == nil || r.State() != raft.Leader {
		return false
	}
	voters, reached := 0, 0
	for _, s := range r.GetConfiguration().Configuration().Servers {
		if s.Suffrage != raft.Voter {
			continue
		}
		voters++
		if s.ID == n.serverID || time.Since(n.peers.LastAck(s.ID)) < 2*n.cfg.HeartbeatTimeout {
			reached++
		}
	}
	return voters > 1 && reached > voters/2
}
