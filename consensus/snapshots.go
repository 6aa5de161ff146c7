package consensus

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/raft"
)

// snapshots is Raft's view of the state file, which is always the one snapshot.
// What Raft creates is either a local snapshot, which is only a promise that the
// state file is durable up to an index, or one that a leader sends, which becomes
// the next generation.
type snapshots struct{ node *Node }

var _ raft.SnapshotStore = snapshots{}

const installedPrefix = "installed-"

// List implements raft.SnapshotStore.
func (s snapshots) List() ([]*raft.SnapshotMeta, error) {
	pin, err := s.node.core.Load().pinDurable()
	if err != nil {
		return nil, err
	}
	defer pin.close()
	if pin.meta.Index == 0 {
		return nil, nil
	}
	meta := pin.snapshotMeta()
	return []*raft.SnapshotMeta{&meta}, nil
}

// Open implements raft.SnapshotStore: it makes a copy of the state, for a
// follower that is too far behind for the log.
func (s snapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	if strings.HasPrefix(id, installedPrefix) {
		// Raft opens what it has just received, to hand it to Restore. It keeps index and
		// term for the next snapshot that it takes itself.
		received := s.node.install.Load()
		if received == nil {
			return nil, nil, fmt.Errorf("no received snapshot %s", id)
		}
		return &raft.SnapshotMeta{ID: id, Index: received.index, Term: received.term}, io.NopCloser(strings.NewReader("")), nil
	}
	return s.node.export()
}

// Create implements raft.SnapshotStore.
func (s snapshots) Create(_ raft.SnapshotVersion, index, term uint64, _ raft.Configuration, _ uint64, _ raft.Transport) (raft.SnapshotSink, error) {
	return &snapshotSink{node: s.node, index: index, term: term}, nil
}

// snapshotSink is what Raft writes a snapshot to. Nothing is ever written: a local
// one is in the state file, one that was sent was received before Raft heard of it.
type snapshotSink struct {
	node        *Node
	index, term uint64
	local       bool // see localSnapshot
}

var _ raft.SnapshotSink = (*snapshotSink)(nil)

// ID implements raft.SnapshotSink.
func (s *snapshotSink) ID() string {
	if s.local {
		return fmt.Sprintf("state-%d", s.index)
	}
	return fmt.Sprintf("%s%d", installedPrefix, s.index)
}

// Write implements io.Writer.
func (s *snapshotSink) Write(p []byte) (int, error) {
	return 0, fmt.Errorf("%w: %d bytes after it was received", errSnapshotStream, len(p))
}

// Close implements raft.SnapshotSink.
func (s *snapshotSink) Close() error {
	if s.local {
		return nil
	}
	if got := s.node.install.Load(); got == nil || got.index != s.index || got.term != s.term {
		return fmt.Errorf("%w: no snapshot of index %d was received", errSnapshotStream, s.index)
	}
	return nil
}

// Cancel implements raft.SnapshotSink.
func (s *snapshotSink) Cancel() error { return nil }

// putInForce replaces the core by the received one. Readers then find the new one,
// which holds the same history and more; views of the old one go on.
func (n *Node) putInForce() error {
	received := n.install.Swap(nil)
	if received == nil {
		return errors.New("no snapshot was received")
	}
	n.flushing.Lock()
	defer n.flushing.Unlock()
	n.applying.Lock()
	defer n.applying.Unlock()
	old := n.core.Load()
	// What was applied while the snapshot was on its way may be beyond it.
	if applied, _ := old.AppliedIndex(); applied > received.index {
		return errors.Join(fmt.Errorf("%w: it is of index %d, applied is %d", errStaleSnapshot, received.index, applied), received.discard())
	}
	if err := n.gens.switchTo(received.path); err != nil {
		err = errors.Join(err, received.core.Close())
		n.fail(err)
		return err
	}
	n.replacing.Lock()
	n.core.Store(received.core)
	n.replacing.Unlock()
	n.entries.setBase(snapshotOrigin{received.index, received.term})
	n.progress.advance(received.index, received.term)
	n.logger.Info("installed a snapshot", "index", received.index, "position", received.core.Meta().Mark.Last)
	n.retire(old)
	return nil
}

// retire closes and removes a replaced core, beside Raft's main loop: views of it
// end first, and large files take their time to go.
func (n *Node) retire(old *Core) {
	remove := func() {
		path := filepath.Dir(old.Store().Path())
		if err := errors.Join(old.Close(), os.RemoveAll(path), n.staged.clear()); err != nil {
			n.fail(fmt.Errorf("remove replaced state: %w", err))
		}
	}
	if !n.beginTask() {
		remove()
		return
	}
	go func() {
		defer n.tasks.Done()
		remove()
	}()
}
