package consensus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/log"
	"github.com/edri-io/edri/store"
)

// receiveBufferBytes is what is read of a stream at once.
const receiveBufferBytes = 256 << 10

var errStaleSnapshot = errors.New("the snapshot is older than this node's state")

// installed is a received snapshot: complete, synced and opened in its generation,
// so that Raft, which waits for it on its main loop, has only to put it in force.
type installed struct {
	path        string
	index, term uint64
	core        *Core
}

func (i *installed) discard() error { return errors.Join(i.core.Close(), os.RemoveAll(i.path)) }

// reception makes the next generation from a snapshot's stream, from what this node
// has already and from what its peers have.
type reception struct {
	node     *Node
	dir      string // of the next generation
	manifest *manifest
	own      map[uint64]log.SegmentInfo // sealed segments of the journal in force
	ownDir   string
	sources  []raft.Server

	streamed, fetched, reused int64 // bytes
	fetches                   int   // segments
}

// ReceiveSnapshot implements transport.Receiver. Nothing that it does counts before
// Raft calls Restore; what is fetched stays for the next attempt if this one fails.
func (n *Node) ReceiveSnapshot(ctx context.Context, stream io.Reader, req *raft.InstallSnapshotRequest) (release func(), err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(n.lifetime, func() { cancel(context.Cause(n.lifetime)) })()
	leave := n.staged.use()
	received, err := n.receive(ctx, stream, req)
	leave()
	if err != nil {
		err = fmt.Errorf("receive snapshot: %w", err)
		n.notReceived(req, err)
		return nil, err
	}
	n.install.Store(received)
	return func() {
		if !n.install.CompareAndSwap(received, nil) {
			return // it is in force
		}
		if err := received.discard(); err != nil {
			n.fail(fmt.Errorf("discard received snapshot: %w", err))
		}
	}, nil
}

// notReceived stops the node when its own disk failed, or its binary is too old for
// the state; what a peer did wrong it does not answer for. A full disk is not a failed one: nothing counts yet, and the node
// can still vote, so it gives back what it can.
func (n *Node) notReceived(req *raft.InstallSnapshotRequest, err error) {
	full := errors.Is(err, syscall.ENOSPC)
	if isOwnFailure(err) && !full || errors.Is(err, ErrUndecodable) {
		n.fail(err)
		return
	}
	n.logger.Warn("a snapshot was not received", "index", req.LastLogIndex, "from", string(req.ID), "error", err)
	if full {
		if err := n.staged.clear(); err != nil {
			n.logger.Warn("staged segments were not removed", "error", err)
		}
	}
}

func (n *Node) receive(ctx context.Context, stream io.Reader, req *raft.InstallSnapshotRequest) (_ *installed, err error) {
	began := time.Now()
	if applied, _ := n.progress.get(); applied > req.LastLogIndex {
		return nil, fmt.Errorf("%w: it is of index %d, applied is %d", errStaleSnapshot, req.LastLogIndex, applied)
	}
	r := &reception{node: n}
	if r.sources, err = n.segmentSources(req); err != nil {
		return nil, err
	}
	got, err := r.build(ctx,
		func() error { return r.readStream(stream, req) },
		func() error { return r.provideSegments(ctx) })
	if err != nil {
		return nil, err
	}
	n.logger.Info("received a snapshot", "index", got.index, "from", string(req.ID), "segments", len(r.manifest.Sealed), "fetched", r.fetches,
		"streamed_bytes", r.streamed, "fetched_bytes", r.fetched, "reused_bytes", r.reused, "took", time.Since(began))
	return got, nil
}

// build makes the next generation, or none: files writes state and active segment,
// segments the sealed ones.
func (r *reception) build(ctx context.Context, files, segments func() error) (_ *installed, err error) {
	if r.dir, err = r.node.gens.fresh(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(r.dir))
		}
	}()
	check := func() error { return r.checkFiles(ctx) }
	for _, step := range []func() error{files, check, segments, r.sync} {
		if err := step(); err != nil {
			return nil, err
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	return r.open()
}

// readStream writes the stream's files into the generation.
func (r *reception) readStream(stream io.Reader, req *raft.InstallSnapshotRequest) error {
	files := &snapshotReceiver{dir: r.dir, seam: r.node.cfg.Seam}
	n, err := io.CopyBuffer(files, stream, make([]byte, receiveBufferBytes))
	if err == nil {
		err = files.finish()
	}
	if err != nil {
		return errors.Join(err, files.abort())
	}
	m := files.manifest
	if m.Index != req.LastLogIndex || m.Term != req.LastLogTerm {
		return fmt.Errorf("%w: it is of index %d and term %d, not %d and %d", errSnapshotStream, m.Index, m.Term, req.LastLogIndex, req.LastLogTerm)
	}
	r.manifest, r.streamed = m, n
	r.node.logger.Info("receiving a snapshot", "index", m.Index, "from", string(req.ID), "segments", len(m.Sealed))
	return nil
}

// checkFiles reads the received files whole: that they came as they were sent does
// not make them sound.
func (r *reception) checkFiles(ctx context.Context) error {
	for _, f := range r.manifest.Files {
		path := filepath.Join(r.dir, filepath.FromSlash(f.Name))
		var err error
		if f.Name == stateFile {
			err = store.CheckFile(ctx, path)
		} else {
			_, err = log.CheckSegmentFile(ctx, path)
		}
		if err != nil {
			return fmt.Errorf("check received %s: %w", f.Name, err)
		}
	}
	return nil
}

// provideSegments puts the sealed segments into the generation.
func (r *reception) provideSegments(ctx context.Context) error {
	core := r.node.core.Load()
	defer core.journal.Hold()() // its files are linked by name
	own := map[uint64]log.SegmentInfo{}
	for _, s := range core.journal.Segments() {
		if s.Sealed {
			own[uint64(s.First)] = s
		}
	}
	return r.provideAll(ctx, own, filepath.Dir(core.Store().Path()))
}

// provideAll takes those segments that this node has itself from a generation.
func (r *reception) provideAll(ctx context.Context, own map[uint64]log.SegmentInfo, generation string) error {
	r.own, r.ownDir = own, generation
	for i, s := range r.manifest.Sealed {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if err := r.provide(ctx, s, rotated(r.sources, i)); err != nil {
			return err
		}
	}
	return nil
}

// provide puts one segment into the generation: this node's own, or one that is
// staged, else from a peer.
func (r *reception) provide(ctx context.Context, s manifestSegment, sources []raft.Server) error {
	n, name := r.node, s.name()
	target := filepath.Join(r.dir, filepath.FromSlash(segmentFile(event.Position(s.First))))
	done, err := r.reuseOwn(ctx, s, target)
	if done || err != nil {
		return err
	}
	staged := n.staged.path(name)
	sound, why, err := n.staged.take(ctx, name)
	if why != nil {
		n.logger.Warn("a staged segment is damaged, and fetched again", "first", s.First, "error", why)
	}
	if err != nil {
		return err
	}
	if !sound {
		size, err := n.fetchSegment(ctx, name, sources, staged)
		if err != nil {
			return err
		}
		n.staged.setSound(name)
		r.fetched += size
		r.fetches++
		n.logger.Debug("fetched a segment", "first", s.First, "last", s.Last, "bytes", size)
	} else {
		r.reused += fileSize(staged)
	}
	return linkFile(n.cfg.Seam, staged, target)
}

// reuseOwn links the journal's own segment, once it was checked to be sound.
func (r *reception) reuseOwn(ctx context.Context, s manifestSegment, target string) (bool, error) {
	n, name := r.node, s.name()
	own, ok := r.own[s.First]
	if !ok || own.Digest != name.Digest || uint64(own.Last) != s.Last {
		return false, nil
	}
	path := filepath.Join(r.ownDir, filepath.FromSlash(segmentFile(own.First)))
	if !n.staged.isGood(name) {
		if _, err := log.CheckSealed(ctx, path, own.First, own.Digest); err != nil {
			n.logger.Warn("this node's segment is not reused", "first", s.First, "error", err)
			return false, context.Cause(ctx)
		}
		n.staged.setGood(name)
	}
	err := linkFile(n.cfg.Seam, path, target)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil // retention
	}
	r.reused += fileSize(path)
	return err == nil, err
}

func fileSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// sync makes the generation durable.
func (r *reception) sync() error {
	seam := r.node.cfg.Seam
	if err := writeOrigin(seam, r.dir, snapshotOrigin{Index: r.manifest.Index, Term: r.manifest.Term}); err != nil {
		return err
	}
	if err := store.SyncDir(seam, filepath.Join(r.dir, journalDir)); err != nil {
		return err
	}
	return store.SyncDir(seam, r.dir)
}

// open opens the generation: it must open before it counts, and be what it says.
func (r *reception) open() (*installed, error) {
	core, err := OpenCore(r.dir, r.node.coreConfig())
	if err != nil {
		return nil, fmt.Errorf("open received state: %w", err)
	}
	if index, term := core.AppliedIndex(); index != r.manifest.Index || term != r.manifest.Term {
		return nil, errors.Join(fmt.Errorf("%w: the state is of index %d and term %d, not %d and %d", errSnapshotStream,
			index, term, r.manifest.Index, r.manifest.Term), core.Close())
	}
	return &installed{path: r.dir, index: r.manifest.Index, term: r.manifest.Term, core: core}, nil
}
