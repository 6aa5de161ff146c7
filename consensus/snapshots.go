package consensus

import (
	"errors"
	"fmt"
	"io"
	"os"
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
		// Raft opens what it has just received, to hand it to Restore.
		if s.node.install == nil {
			return nil, nil, fmt.Errorf("no received snapshot %s", id)
		}
		return &raft.SnapshotMeta{ID: id, Index: s.node.install.index}, io.NopCloser(strings.NewReader("")), nil
	}
	return s.node.export()
}

// Create implements raft.SnapshotStore.
func (s snapshots) Create(_ raft.SnapshotVersion, index, term uint64, _ raft.Configuration, _ uint64, _ raft.Transport) (raft.SnapshotSink, error) {
	return &snapshotSink{node: s.node, index: index, term: term}, nil
}

// snapshotSink takes a snapshot that Raft writes.
type snapshotSink struct {
	node        *Node
	index, term uint64
	local       bool // nothing is written: see localSnapshot
	receiver    *snapshotReceiver
}

var _ raft.SnapshotSink = (*snapshotSink)(nil)

// installed is a received snapshot, complete and synced in its generation.
type installed struct {
	path  string
	index uint64
}

// ID implements raft.SnapshotSink.
func (s *snapshotSink) ID() string {
	if s.local {
		return fmt.Sprintf("state-%d", s.index)
	}
	return fmt.Sprintf("%s%d", installedPrefix, s.index)
}

// Write implements io.Writer: only received snapshots have content.
func (s *snapshotSink) Write(p []byte) (int, error) {
	if s.receiver == nil {
		dir, err := s.node.nextGeneration()
		if err != nil {
			return 0, s.check(err)
		}
		s.receiver = &snapshotReceiver{dir: dir, seam: s.node.cfg.Seam}
	}
	n, err := s.receiver.Write(p)
	return n, s.check(err)
}

// check stops the node when its own disk failed; what the sender did wrong it
// does not answer for.
func (s *snapshotSink) check(err error) error {
	if err != nil && !errors.Is(err, errSnapshotStream) {
		s.node.fail(fmt.Errorf("receive snapshot: %w", err))
	}
	return err
}

// Close implements raft.SnapshotSink.
func (s *snapshotSink) Close() error {
	if s.local {
		return nil
	}
	if s.receiver == nil {
		return fmt.Errorf("%w: it is empty", errSnapshotStream)
	}
	if err := s.check(s.receiver.finish()); err != nil {
		return errors.Join(err, s.receiver.abort())
	}
	if m := s.receiver.manifest; m.Index != s.index || m.Term != s.term {
		return errors.Join(fmt.Errorf("%w: it is of index %d, not %d", errSnapshotStream, m.Index, s.index), s.receiver.abort())
	}
	s.node.install = &installed{path: s.receiver.dir, index: s.index}
	return nil
}

// Cancel implements raft.SnapshotSink.
func (s *snapshotSink) Cancel() error {
	if s.receiver == nil {
		return nil
	}
	return s.receiver.abort()
}

// putInForce replaces the core by the received one. Views of the old one end
// first; readers then find the new one, which holds the same history and more.
func (n *Node) putInForce() error {
	received := n.install
	if received == nil {
		return errors.New("no snapshot was received")
	}
	n.install = nil
	n.flushing.Lock()
	defer n.flushing.Unlock()
	n.applying.Lock()
	defer n.applying.Unlock()
	// It must open before it counts: its bytes are those of the sender, but that
	// does not make them sound, or of a version that this node reads.
	core, err := OpenCore(received.path, n.coreConfig())
	if err != nil {
		return errors.Join(fmt.Errorf("open received state, the old one stays in force: %w", err), os.RemoveAll(received.path))
	}
	if err := n.gens.switchTo(received.path); err != nil {
		err = errors.Join(err, core.Close())
		n.fail(err)
		return err
	}
	n.replacing.Lock()
	old := n.core.Swap(core)
	n.replacing.Unlock()
	index, term := core.AppliedIndex()
	n.entries.setBase(snapshotOrigin{index, term})
	n.progress.advance(index, term)
	n.logger.Info("installed a snapshot", "index", index, "position", core.Meta().Mark.Last)
	if err := errors.Join(old.Close(), n.gens.clean(received.path)); err != nil {
		n.fail(fmt.Errorf("remove replaced state: %w", err))
		return err
	}
	return nil
}

func (n *Node) nextGeneration() (string, error) {
	name, err := os.ReadFile(n.gens.currentPath())
	if err != nil {
		return "", fmt.Errorf("read %s: %w", currentFile, err)
	}
	return n.gens.next(strings.TrimSpace(string(name)))
}
