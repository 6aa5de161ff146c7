package consensus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/consensus/raftlog"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/log"
	"github.com/edri-io/edri/store"
)

// A node whose state or journal is damaged fetches them from another node before
// its Raft starts, and keeps its id: what it promised stands in the raft log and
// the stable store, which are whole. Until then it neither votes nor acknowledges,
// nor serves anything.
//
//	raft log               first ─────────────── last
//	fetched state   ─────────▲ index >= first-1
//
// Any member's state will do that goes at least to where the raft log begins: all
// of it is committed, and the rest is in the log. An older one would leave a gap
// in what this node has acknowledged, and is refused.
type resyncState struct {
	damage error  // what was found
	floor  uint64 // least index that the state must have
}

// ErrReplace says that a node cannot come back under its id.
var ErrReplace = errors.New("this node must not vote again under its id: " +
	"empty the data directory and run 'edri cluster replace' on another node to take it in as a new one")

var errNoImage = errors.New("this node has no state to give")

func (n *Node) resyncing() bool { return n.resync.Load() != nil }

// hasPeers reports whether there is somebody to ask, by what the operator said and by
// the roster: the state, which also says where the others are, may be the damage.
func (n *Node) hasPeers() bool { return n.cfg.Seeds != nil || len(n.addresses.all(nil)) > 0 }

// openState opens the generation in force. Where that is damaged and another node
// may have the same, an empty one stands in for it.
func (n *Node) openState() (generation string, core *Core, err error) {
	if generation, err = n.gens.current(); err == nil {
		core, err = OpenCore(generation, n.coreConfig())
	}
	switch {
	case err == nil:
		return generation, core, nil
	case !errors.Is(err, store.ErrCorrupt) || !n.hasPeers():
		return "", nil, fmt.Errorf("open state: %w", err)
	}
	if full := n.gens.refuseMore(); full != nil {
		return "", nil, fmt.Errorf("open state: %w: %w", full, err)
	}
	if marking := n.condemnAtOpen(generation, err); marking != nil {
		return "", nil, errors.Join(fmt.Errorf("open state: %w", err), marking)
	}
	n.logger.Error("state or journal is damaged, and is fetched from another node", "error", err)
	n.resync.Store(&resyncState{damage: err})
	standIn, err := n.gens.standIn()
	if err != nil {
		return "", nil, err
	}
	core, err = OpenCore(standIn, n.coreConfig())
	return "", core, err
}

// condemnAtOpen marks the damaged generation; all, where it is not known which.
func (n *Node) condemnAtOpen(generation string, why error) error {
	if generation == "" {
		return n.gens.markAll(why)
	}
	if was, err := n.gens.marked(generation); err != nil || was != "" {
		return err
	}
	return n.gens.mark(generation, why)
}

// measureLog finds how far a fetched state must go at least.
func (n *Node) measureLog(l *raftlog.Log) error {
	first, err := l.FirstIndex()
	if err != nil {
		return fmt.Errorf("read raft log: %w", err)
	}
	wanted := n.resync.Load()
	if first > 0 {
		n.resync.Store(&resyncState{damage: wanted.damage, floor: first - 1})
		return nil
	}
	// The log is empty after an install only. Then the state had what was installed,
	// and nothing else.
	origin, err := n.gens.newestOrigin()
	if err != nil {
		return err
	}
	if origin.Index == 0 {
		return fmt.Errorf("%w: %w, and neither raft log nor state tell what it has acknowledged", wanted.damage, ErrReplace)
	}
	n.resync.Store(&resyncState{damage: wanted.damage, floor: origin.Index})
	return nil
}

const resyncInterval = time.Second

// fetchState replaces the damaged state by another node's, which it waits for.
func (n *Node) fetchState() error {
	told := ""
	for {
		var failures []error
		for _, address := range n.seeds() {
			err := n.fetchStateFrom(address)
			if err == nil {
				return nil
			}
			if n.hasFailed() || n.lifetime.Err() != nil || errors.Is(err, ErrRemoved) || errors.Is(err, ErrUndecodable) {
				return err
			}
			failures = append(failures, fmt.Errorf("%s: %w", address, err))
		}
		if len(failures) == 0 {
			failures = append(failures, errors.New("no other node is known"))
		}
		why := fmt.Sprintf("state or journal was damaged, and no other node gives its own: %v", errors.Join(failures...))
		if n.setWaiting(why); why != told {
			n.logger.Warn("waiting for a state", "reason", why)
			told = why
		}
		select {
		case <-time.After(resyncInterval):
		case <-n.closing:
			return n.lifetime.Err()
		}
	}
}

func (n *Node) fetchStateFrom(address string) error {
	in, err := n.introduceAt(address)
	switch {
	case err != nil:
		return err
	case in.ServerID == string(n.serverID):
		return errNoImage // a seed may be this node's own address
	case in.Removed:
		return fmt.Errorf("%w: %s says so of %s", ErrRemoved, in.ServerID, n.serverID)
	case in.Feature > n.cfg.FeatureLevel:
		return tooOld(in.Feature, n.cfg.FeatureLevel)
	case !in.knows(n.serverID):
		return fmt.Errorf("%s does not know this node as a member", in.ServerID)
	}
	n.setWaiting("state or journal was damaged; they are fetched from " + in.ServerID)
	received, err := n.receiveState(in, address)
	if err != nil {
		if isOwnFailure(err) {
			n.fail(err)
		}
		return err
	}
	n.install.Store(received)
	if err := n.putInForce(); err != nil {
		return err
	}
	if err := errors.Join(n.joinLog(n.log, received.path, received.index), n.gens.quarantineMarked(received.path)); err != nil {
		n.fail(err)
		return err
	}
	n.compacted.Store(received.index)
	n.logger.Warn("state and journal were replaced; the damaged ones are in quarantine", "from", in.ServerID,
		"index", received.index, "quarantine", filepath.Join(n.cfg.Dir, quarantineDir))
	n.resync.Store(nil)
	return nil
}

// receiveState makes the next generation from another node's state, whose every row
// is looked at: damage must not spread from a node that has not met its own yet.
// Sealed segments of the damaged generation are taken where they are sound, after
// their digests, the others from all peers.
func (n *Node) receiveState(from Introduction, address string) (*installed, error) {
	leave := n.staged.use()
	defer leave()
	r := &reception{node: n, sources: n.sourcesAmong(from)}
	got, err := r.build(n.lifetime,
		func() error { return r.fetchImage(raft.ServerID(from.ServerID), address) },
		func() error { return r.salvageSegments(n.lifetime) })
	if err != nil {
		return nil, fmt.Errorf("receive state: %w", err)
	}
	return got, nil
}

// sourcesAmong are who may be asked for segments: first who gives its state, then
// the others that it names.
func (n *Node) sourcesAmong(from Introduction) []raft.Server {
	source := func(id raft.ServerID) raft.Server {
		return raft.Server{ID: id, Address: raft.ServerAddress(n.PeerAddress(id))}
	}
	servers := []raft.Server{source(raft.ServerID(from.ServerID))}
	for _, m := range from.Members {
		if id := raft.ServerID(m.ServerID); id != n.serverID && id != servers[0].ID {
			servers = append(servers, source(id))
		}
	}
	return servers
}

// fetchImage writes the files of a node's state into the generation.
func (r *reception) fetchImage(from raft.ServerID, address string) error {
	n := r.node
	files := &snapshotReceiver{dir: r.dir, seam: n.cfg.Seam}
	err := n.peers.FetchImage(n.lifetime, from, address, files)
	if err == nil {
		err = files.finish()
	}
	if err != nil {
		return errors.Join(err, files.abort())
	}
	r.manifest = files.manifest
	if floor := n.resync.Load().floor; r.manifest.Index < floor {
		return fmt.Errorf("its state goes to entry %d, the raft log here begins after %d", r.manifest.Index, floor)
	}
	return nil
}

// salvageSegments puts the sealed segments into the generation.
func (r *reception) salvageSegments(ctx context.Context) error {
	damaged, err := r.node.gens.latest(r.dir)
	if err != nil {
		return err
	}
	own := map[uint64]log.SegmentInfo{}
	for _, s := range r.manifest.Sealed {
		name := s.name()
		own[s.First] = log.SegmentInfo{First: event.Position(s.First), Last: event.Position(s.Last), Sealed: true, Digest: name.Digest}
	}
	if damaged == "" {
		own = nil
	}
	return r.provideAll(ctx, own, damaged)
}

// Image is this node's state and journal for another one that has lost its own,
// as a snapshot stream of a size.
func (n *Node) Image() (io.ReadCloser, int64, error) {
	if n.raft.Load() == nil || n.resyncing() || !n.beginTask() {
		return nil, 0, errNoImage
	}
	defer n.tasks.Done()
	meta, stream, err := n.export()
	if err != nil {
		return nil, 0, err
	}
	if meta.Index == 0 {
		return nil, 0, errors.Join(errNoImage, stream.Close())
	}
	return stream, meta.Size, nil
}

// notWhole is why a node that fetches its state serves nothing, nil if it does.
func (n *Node) notWhole() error {
	if n.resyncing() {
		return event.Errorf(event.CodeUnavailable, "%s", *n.waiting.Load())
	}
	return nil
}
