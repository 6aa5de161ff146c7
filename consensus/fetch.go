package consensus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/consensus/transport"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/log"
	"github.com/edri-io/edri/store"
)

// busyPause is after how long peers that send enough segments are asked again.
const busyPause = 250 * time.Millisecond

// OpenSegment opens a sealed segment of the journal, to be sent to a peer.
func (n *Node) OpenSegment(s transport.Segment) (transport.SegmentFile, error) {
	n.replacing.RLock() // the core is not closed meanwhile; an open file outlives it
	defer n.replacing.RUnlock()
	file, err := n.core.Load().journal.OpenSealed(event.Position(s.First), s.Digest)
	if code := event.CodeOf(err); code == event.CodeNotFound || code == event.CodeCompacted {
		return nil, transport.ErrNoSegment
	}
	if err != nil {
		return nil, err // not a typed nil
	}
	return file, nil
}

// fetchSegment gets a sealed segment from the first of the sources that has it,
// to path: checked and synced, or not there at all. Sources that send enough already
// are asked again until ctx ends. It returns the file's size.
//
// Errors match store.ErrIO where this node's disk failed, transport.ErrNoSegment
// where every source that answered lacks the segment: it was deleted meanwhile.
func (n *Node) fetchSegment(ctx context.Context, s transport.Segment, sources []raft.Server, path string) (int64, error) {
	for {
		size, err := n.fetchOnce(ctx, s, sources, path)
		if !errors.Is(err, transport.ErrSegmentBusy) || ctx.Err() != nil {
			return size, err
		}
		select {
		case <-time.After(busyPause):
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

// fetchOnce asks each source once.
func (n *Node) fetchOnce(ctx context.Context, s transport.Segment, sources []raft.Server, path string) (int64, error) {
	errs := []error{fmt.Errorf("segment %d comes from none of %d peers", s.First, len(sources))}
	for _, source := range sources {
		size, err := n.fetchFrom(ctx, s, source, path)
		if err == nil {
			return size, nil
		}
		if ctx.Err() != nil || isOwnFailure(err) {
			return 0, err
		}
		if errors.Is(err, store.ErrCorrupt) || errors.Is(err, transport.ErrSegmentDamaged) {
			n.logger.Warn("a segment came damaged", "first", s.First, "from", source.ID, "error", err)
		}
		errs = append(errs, err)
	}
	return 0, errors.Join(errs...)
}

// fetchFrom gets a segment from one source.
func (n *Node) fetchFrom(ctx context.Context, s transport.Segment, source raft.Server, path string) (int64, error) {
	temp := store.TempPath(path)
	file, err := createStaged(n.cfg.Seam, temp)
	if err != nil {
		return 0, err
	}
	size, err := n.peers.FetchSegment(ctx, source.ID, source.Address, s, file)
	if err != nil {
		return 0, errors.Join(err, file.discard())
	}
	if err := file.finish(); err != nil {
		return 0, err
	}
	if _, err := log.CheckSealed(ctx, temp, event.Position(s.First), s.Digest); err != nil {
		return 0, errors.Join(fmt.Errorf("check segment %d of %s: %w", s.First, source.ID, err), store.Remove(n.cfg.Seam, temp))
	}
	return size, store.Rename(n.cfg.Seam, temp, path)
}

// isOwnFailure reports whether an error says that this node's disk failed, and not
// what a peer sent.
func isOwnFailure(err error) bool { return errors.Is(err, store.ErrIO) }

// segmentSources returns who may have the segments of a snapshot: its sender and the
// other members of its configuration.
func (n *Node) segmentSources(req *raft.InstallSnapshotRequest) ([]raft.Server, error) {
	configuration, err := decodeMembers(req.Configuration)
	if err != nil {
		return nil, err
	}
	sources := []raft.Server{{ID: raft.ServerID(req.ID), Address: raft.ServerAddress(req.Addr)}}
	for _, s := range configuration.Servers {
		if s.ID != n.serverID && s.ID != sources[0].ID {
			sources = append(sources, s)
		}
	}
	return sources, nil
}

// decodeMembers decodes Raft's configuration; raft itself panics where it cannot.
func decodeMembers(b []byte) (c raft.Configuration, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: configuration: %v", errSnapshotStream, r)
		}
	}()
	return raft.DecodeConfiguration(b), nil
}

// rotated returns the sources from the nth on, around the end: so they share the
// work, and one that does not answer is asked first only in its turn.
func rotated(sources []raft.Server, n int) []raft.Server {
	n %= len(sources)
	return slices.Concat(sources[n:], sources[:n])
}
