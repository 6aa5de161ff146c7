package consensus

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/edri-io/edri/consensus/raftlog"
	"github.com/edri-io/edri/store"
)

// A generation that was found damaged is marked with a file that says why. It is
// not opened any more, and once another has taken its place it is moved, as it is,
// to
//
//	DIR/quarantine/data-000001-20260102T150405Z/
//
// where nothing is served from and nothing deletes it but a person. The mark comes
// first, so that a crash at any point leaves the damage known:
//
//	crash                                  at open
//	before the mark                        found again when it is met again
//	marked                                 fetched from the other nodes
//	the new one in force, the old in place moved
const (
	markFile      = "DAMAGED"
	quarantineDir = "quarantine"
	// More would fill the disk of a node whose memory or disk damages data again
	// and again; a person must look at it.
	maxQuarantined = 8
)

// ErrRestart is in the chain of damage that this node repairs when it is started
// again.
var ErrRestart = errors.New("the node repairs this when it is started again")

// mark notes, durably, that a generation is damaged.
func (g generations) mark(path string, why error) error {
	return store.WriteFileAtomic(g.seam, filepath.Join(path, markFile), []byte(why.Error()+"\n"))
}

// marked returns why a generation is damaged, empty if it is not marked.
func (g generations) marked(path string) (why string, err error) {
	b, err := os.ReadFile(filepath.Join(path, markFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read mark of damage: %w", err)
	}
	return cmp.Or(strings.TrimSpace(string(b)), "no reason given"), nil
}

// markAll marks every generation that CURRENT may have named.
func (g generations) markAll(why error) error {
	all, err := g.all()
	if err != nil {
		return err
	}
	for _, path := range all {
		if was, err := g.marked(path); err != nil || was != "" {
			if err != nil {
				return err
			}
			continue
		}
		if err := g.mark(path, why); err != nil {
			return err
		}
	}
	return nil
}

// quarantine moves something of the data directory out of the way, durably.
func (g generations) quarantine(path string) (to string, err error) {
	dir := filepath.Join(g.dir, quarantineDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("create quarantine: %w", err)
	}
	name := filepath.Base(path) + "-" + time.Now().UTC().Format("20060102T150405Z")
	to = filepath.Join(dir, name)
	for i := 2; ; i++ {
		if _, err := os.Lstat(to); errors.Is(err, fs.ErrNotExist) {
			break
		}
		to = filepath.Join(dir, fmt.Sprintf("%s-%d", name, i))
	}
	if err := store.Rename(g.seam, path, to); err != nil {
		return "", fmt.Errorf("move to quarantine: %w", err)
	}
	// Rename syncs where it went to; where it came from matters as well.
	return to, errors.Join(store.SyncDir(g.seam, filepath.Dir(path)), store.SyncDir(g.seam, g.dir))
}

// quarantineMarked moves every generation that is marked, except one.
func (g generations) quarantineMarked(keep string) error {
	all, err := g.all()
	if err != nil {
		return err
	}
	for _, path := range all {
		if path == keep {
			continue
		}
		why, err := g.marked(path)
		if err == nil && why != "" {
			_, err = g.quarantine(path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// refuseMore fails when the quarantine is full.
func (g generations) refuseMore() error {
	entries, err := os.ReadDir(filepath.Join(g.dir, quarantineDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read quarantine: %w", err)
	}
	if len(entries) >= maxQuarantined {
		return fmt.Errorf("%s holds %d damaged things already: look at this machine's disk and memory, then empty it",
			filepath.Join(g.dir, quarantineDir), len(entries))
	}
	return nil
}

// condemn is told of damage before the node ends. What was damaged is marked, so
// that the next start does not rely on meeting it again. The error says whether
// that start repairs it.
func (n *Node) condemn(err error) error {
	inLog := errors.Is(err, raftlog.ErrCorrupt) // which is looked at at every start, see salvageLog
	switch {
	case n.resyncing() || !inLog && !n.hasPeers():
		return err // nobody to repair it from
	case errors.Is(err, ErrDiverged):
		return err // the disk is sound: a program decided otherwise, and a person must know why
	}
	if !inLog {
		generation := filepath.Dir(n.core.Load().Store().Path())
		if marked := n.gens.mark(generation, err); marked != nil {
			return errors.Join(err, fmt.Errorf("mark damage: %w", marked))
		}
	}
	return fmt.Errorf("%w: %w", ErrRestart, err)
}

// Damaged ends the node because a reader met damage.
func (n *Node) Damaged(err error) { n.fail(err) }
