package consensus

import (
	"time"
)

const (
	flushInterval = 100 * time.Millisecond
	// A flush starts early when this much has changed.
	flushBytes = 8 << 20
	// A snapshot, and with it truncation of the raft log, is due after this much
	// log, and this much is kept for followers that were away for a while.
	snapshotLogBytes = 64 << 20
	trailingLogBytes = 128 << 20
	compactInterval  = time.Second
)

// flushLoop writes what apply changed to the disk. It is the only writer of the
// state and the journal.
func (n *Node) flushLoop() {
	defer n.tasks.Done()
	ticker := time.NewTicker(n.cfg.FlushInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-n.flushNow:
		case <-n.closing:
			return
		}
		if err := n.flush(); err != nil {
			n.fail(err)
			return
		}
	}
}

// flush makes durable all that was applied when it was called.
func (n *Node) flush() error {
	n.flushing.Lock()
	defer n.flushing.Unlock()
	n.applying.Lock()
	core := n.core.Load()
	flush := core.Freeze()
	n.applying.Unlock()
	if flush != nil {
		if err := flush.Run(); err != nil {
			return err
		}
	} else if err := core.SealSome(); err != nil {
		return err
	}
	return core.RemoveRetained()
}

// flushSoon wakes the flusher before its time; it never waits.
func (n *Node) flushSoon() {
	select {
	case n.flushNow <- struct{}{}:
	default:
	}
}

// compactLoop takes a snapshot, which only truncates the raft log since the
// state file is the snapshot, when enough log has come together. Raft counts
// entries; what matters on a disk is bytes, so the counts are derived each time.
func (n *Node) compactLoop() {
	defer n.tasks.Done()
	ticker := time.NewTicker(compactInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if err := n.compact(); err != nil {
				n.logger.Warn("raft log was not truncated", "error", err)
			}
		case <-n.closing:
			return
		}
	}
}

func (n *Node) compact() error {
	r := n.raft.Load()
	if r == nil || n.logHeld() || n.log.BytesSince(n.compacted.Load()) < n.cfg.SnapshotLogBytes {
		return nil
	}
	index, _ := n.progress.get()
	reload := r.ReloadableConfig()
	reload.TrailingLogs = max(n.log.TrailingCount(n.cfg.TrailingLogBytes), minTrailingLogs)
	if err := r.ReloadConfig(reload); err != nil {
		return err
	}
	if err := r.Snapshot().Error(); err != nil {
		return err
	}
	n.compacted.Store(index)
	return nil
}

// minTrailingLogs keeps the log joined to the state, whose index does not count
// raft's own entries.
const minTrailingLogs = 64
