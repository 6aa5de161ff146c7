package consensus

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/edri-io/edri/consensus/backup"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/pace"
	"github.com/edri-io/edri/log"
)

// BackupRequest says how a backup is made.
type BackupRequest struct {
	// Have are sealed segments that earlier backups hold, and so this one need not,
	// by their digest.
	Have map[[32]byte]backup.Ancestor
	// Stale backs up what the node has applied, which works without a leader. Else
	// all is in the backup that was acknowledged before the call.
	Stale bool
	// Rate is how many bytes are read in a second; 0: as many as there are.
	Rate int64
}

// maxBackupTries is how often a backup begins anew that retention, or the
// installation of a snapshot, took the ground from, before anything was written.
const maxBackupTries = 5

// Backup writes a backup of this node's state and journal at one position, while
// both go on. Any node will do. There is one at a time.
//
// The state and the active segment are copied to the staging directory first, so
// that no transaction is open while w is waited for; sealed segments never change
// and are linked there, so that retention, which deletes their names, takes nothing
// from under the backup.
func (n *Node) Backup(ctx context.Context, r BackupRequest, w io.Writer) error {
	if !n.beginTask() {
		return event.Errorf(event.CodeUnavailable, "the node is stopping")
	}
	defer n.tasks.Done()
	if !n.backingUp.CompareAndSwap(false, true) {
		return event.Errorf(event.CodeOverloaded, "another backup is being made by this node")
	}
	defer n.backingUp.Store(false)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(n.lifetime, func() {
		cancel(event.Errorf(event.CodeUnavailable, "the node is stopping"))
	})()
	err := n.takeBackup(ctx, r, w)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	return err
}

func (n *Node) takeBackup(ctx context.Context, r BackupRequest, w io.Writer) error {
	began := time.Now()
	var s *stagedBackup
	if !r.Stale {
		if err := n.Await(ctx, true, 0); err != nil {
			return err
		}
	}
	for try := 1; ; try++ {
		if err := n.flush(); err != nil {
			n.fail(err)
			return err
		}
		var err error
		if s, err = n.stageBackup(ctx, r); err == nil {
			break
		}
		if !errors.Is(err, errMoved) || try == maxBackupTries {
			return fmt.Errorf("stage backup: %w", err)
		}
	}
	defer func() { _ = os.RemoveAll(s.dir) }() // the next start empties it too
	counted := &countingWriter{w: w}
	if err := s.write(ctx, r, counted); err != nil {
		return err
	}
	n.logger.Info("wrote a backup", "id", s.head.ID, "position", s.head.Last, "index", s.head.Index,
		"bytes", counted.n, "took", time.Since(began))
	return nil
}

// errMoved says that files are not where they were a moment ago.
var errMoved = event.Errorf(event.CodeUnavailable, "the journal changed under the backup; try again")

// stagedBackup is a backup whose files nobody can take away any more.
type stagedBackup struct {
	dir      string
	head     backup.Head
	segments []backup.Segment
}

func (n *Node) stageBackup(ctx context.Context, r BackupRequest) (_ *stagedBackup, err error) {
	core := n.core.Load()
	dir, err := os.MkdirTemp(n.gens.staging(), "backup-")
	if err != nil {
		return nil, n.moved(core, fmt.Errorf("create staging directory: %w", err))
	}
	s := &stagedBackup{dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(n.moved(core, err), os.RemoveAll(dir))
		}
	}()
	defer core.journal.Hold()()
	pin, err := core.pinDurable()
	if err != nil {
		return nil, err
	}
	defer pin.close()
	if pin.meta.Index == 0 || pin.meta.Epoch.IsZero() {
		return nil, event.Errorf(event.CodeUnavailable, "this node has nothing to back up yet")
	}
	if err := n.roomToStage(core, pin); err != nil {
		return nil, err
	}
	s.head = backup.Head{
		ID: backup.NewID(), Created: time.Now().UTC(), Node: string(n.serverID), Epoch: pin.meta.Epoch.String(),
		Index: pin.meta.Index, Term: pin.meta.Term, First: pin.meta.Mark.First, Last: pin.meta.Mark.Last,
	}
	// A copy in progress holds a transaction, and that the installation of a snapshot.
	p := pace.New(ctx, r.Rate, func() error {
		if n.core.Load() != core {
			return errMoved
		}
		return nil
	})
	if err := s.stage(stateFile, func(w io.Writer) (int64, error) { return pin.pin.WriteTo(p.Writer(w)) }); err != nil {
		return nil, err
	}
	return s, s.stageSegments(core, pin.meta.Mark, r, p)
}

// roomToStage refuses a backup whose copies would take the disk's reserve: a full
// disk ends the node.
func (n *Node) roomToStage(core *Core, pin *durablePin) error {
	need := uint64(pin.pin.Size())
	if mark := pin.meta.Mark; mark.Segment > 0 {
		generation := filepath.Dir(core.Store().Path())
		info, err := os.Stat(filepath.Join(generation, filepath.FromSlash(segmentFile(mark.Segment))))
		if err != nil {
			return fmt.Errorf("stat segment: %w", err)
		}
		need += uint64(info.Size())
	}
	n.measureDisk()
	if d := n.disk.Load(); d != nil && d.total > 0 && d.free < d.reserve+need {
		e := event.Errorf(event.CodeQuotaExceeded, "a backup needs %d bytes on the node's disk for a while, which has %d free, %d of them in reserve", need, d.free, d.reserve)
		e.Size, e.Max = int64(need), int64(d.free)
		return e
	}
	return nil
}

// stageSegments stages what the mark needs of the journal.
func (s *stagedBackup) stageSegments(core *Core, mark log.Mark, r BackupRequest, p *pace.Pace) error {
	used := map[string]bool{}
	infos, err := core.journal.Settle() // a backup has one segment at most that is not sealed
	if err != nil {
		return err
	}
	for _, info := range infos {
		if info.First > mark.Last {
			break
		}
		if info.Last < mark.First && info.First != mark.Segment {
			continue // retention has not deleted it yet
		}
		entry := backup.Segment{First: info.First, Last: info.Last, Bytes: info.Bytes, Sealed: info.Sealed}
		var err error
		if have, ok := r.Have[info.Digest]; ok && info.Sealed {
			entry.In = have.ID
			if !used[have.ID] {
				used[have.ID] = true
				s.head.Since = append(s.head.Since, have)
			}
		} else {
			err = s.stageSegment(core, info, p)
		}
		if info.Sealed {
			entry.Digest = hex.EncodeToString(info.Digest[:])
		} else {
			// What a flush added since the state was pinned does not count.
			entry.Last = min(info.Last, mark.Last)
			if entry.First == mark.Segment {
				entry.Bytes = mark.SegmentBytes
			}
		}
		if err != nil {
			return err
		}
		s.segments = append(s.segments, entry)
	}
	if n := len(s.segments); mark.Last > 0 && (n == 0 || s.segments[0].First > max(mark.First, 1) || s.segments[n-1].Last < mark.Last) {
		return errMoved
	}
	return nil
}

func (s *stagedBackup) stageSegment(core *Core, info log.SegmentInfo, p *pace.Pace) error {
	name := segmentFile(info.First)
	if !info.Sealed {
		return s.stage(name, func(w io.Writer) (int64, error) { return core.journal.CopySegment(info.First, p.Writer(w)) })
	}
	generation := filepath.Dir(core.Store().Path())
	if err := os.Link(filepath.Join(generation, filepath.FromSlash(name)), s.path(name)); err != nil {
		return fmt.Errorf("link %s: %w", name, err)
	}
	return nil
}

// segmentFile is the name of a segment's file within a generation.
func segmentFile(first event.Position) string {
	return fmt.Sprintf("%s/%020d.seg", journalDir, uint64(first))
}

func (s *stagedBackup) path(name string) string { return filepath.Join(s.dir, filepath.Base(name)) }

// stage copies one file. It need not survive a crash.
func (s *stagedBackup) stage(name string, write func(io.Writer) (int64, error)) error {
	file, err := os.OpenFile(s.path(name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("create staged file: %w", err)
	}
	_, err = write(file)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("copy %s: %w", name, err)
	}
	return nil
}

// moved tells an error that came because the core was replaced, or because
// retention deleted a segment, from one of the disk.
func (n *Node) moved(core *Core, err error) error {
	if n.core.Load() != core || errors.Is(err, fs.ErrNotExist) || event.CodeOf(err) == event.CodeNotFound {
		return errMoved
	}
	return err
}

// write writes the backup. Its reader may be slow.
func (s *stagedBackup) write(ctx context.Context, r BackupRequest, w io.Writer) error {
	b, err := backup.NewWriter(w, s.head)
	if err != nil {
		return err
	}
	p := pace.New(ctx, r.Rate, nil)
	if err := s.read(stateFile, p, b.State); err != nil {
		return err
	}
	for _, entry := range s.segments {
		if entry.In != "" {
			err = b.Segment(entry, nil)
		} else {
			err = s.read(segmentFile(entry.First), p, func(r io.Reader) error { return b.Segment(entry, r) })
		}
		if err != nil {
			return err
		}
	}
	return b.Close()
}

// read hands a staged file to use and removes it.
func (s *stagedBackup) read(name string, p *pace.Pace, use func(io.Reader) error) error {
	file, err := os.Open(s.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return errMoved // a snapshot was installed, which empties the directory
	}
	if err != nil {
		return fmt.Errorf("open staged file: %w", err)
	}
	if err := use(p.Reader(file)); err != nil {
		return errors.Join(err, file.Close())
	}
	return errors.Join(file.Close(), os.Remove(s.path(name)))
}

// countingWriter counts what passes.
type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
