package consensus

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/edri-io/edri/consensus/raftlog"
	"github.com/edri-io/edri/store"
)

// newLogDir is where what is salvaged of a damaged raft log is put together.
const newLogDir = "raft-new"

// A damaged raft log whose damage lies at or below the durable state is replaced by
// what is intact behind that:
//
//	crash                                     at open
//	before raft-new is complete               raft is there: raft-new is removed
//	raft in quarantine, raft-new in place     raft-new becomes raft
//
// so that raft-new is only ever used when it was complete.

// finishLogSwap completes or takes back what a crash interrupted.
func (n *Node) finishLogSwap() error {
	current, next := filepath.Join(n.cfg.Dir, raftDir), filepath.Join(n.cfg.Dir, newLogDir)
	if _, err := os.Stat(next); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	_, err := os.Stat(current)
	switch {
	case err == nil:
		if err := os.RemoveAll(next); err != nil {
			return fmt.Errorf("remove unfinished raft log: %w", err)
		}
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return store.Rename(n.cfg.Seam, next, current)
	}
	return fmt.Errorf("look for raft log: %w", err)
}

// salvageLog replaces the damaged raft log, or says why this node must not go on.
func (n *Node) salvageLog(applied uint64, damage error, cfg raftlog.Config) error {
	if n.resyncing() {
		return fmt.Errorf("%w, and so is the state: %w", damage, ErrReplace)
	}
	if err := n.gens.refuseMore(); err != nil {
		return fmt.Errorf("%w: %w", err, damage)
	}
	current, next := filepath.Join(n.cfg.Dir, raftDir), filepath.Join(n.cfg.Dir, newLogDir)
	first, last, err := raftlog.Salvage(current, next, applied, cfg)
	switch {
	case errors.Is(err, raftlog.ErrAbove):
		return fmt.Errorf("%w; the state holds the entries up to %d: %w: %w", damage, applied, err, ErrReplace)
	case err != nil:
		return errors.Join(damage, err)
	}
	if err := store.SyncDir(n.cfg.Seam, n.cfg.Dir); err != nil {
		return err
	}
	kept, err := n.gens.quarantine(current)
	if err != nil {
		return err
	}
	if err := store.Rename(n.cfg.Seam, next, current); err != nil {
		return err
	}
	n.logger.Warn("the damaged head of the raft log was dropped, the state holds it", "damage", damage,
		"first", first, "last", last, "applied", applied, "quarantine", kept)
	return nil
}
