package raftlog

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
	"github.com/hashicorp/raft-wal/segment"

	"github.com/edri-io/edri/internal/fault"
)

// Config configures a Log. The zero value works; production sets Fatal and Leading.
type Config struct {
	// Fatal is called, once, before an error is returned after which the log must not
	// be used: code is ExitStorage, ExitCorrupt or ExitStall. In production it ends
	// the process and does not return. Nil does nothing.
	Fatal func(code int, err error)

	// Leading reports whether this node leads and a quorum of the others is reachable,
	// so that another could take over. It is asked while a write has taken StallAfter.
	// Nil: stalls are not watched.
	Leading func() bool

	// StallAfter is how long a write may take on a leader. Default 3 s.
	StallAfter time.Duration

	// SegmentBytes is the size of a segment file, at least 64 KiB and at most 1 GiB;
	// the last batch of a segment may exceed it. Default 32 MiB. Large segments keep
	// deleted entries longer, small ones rotate more often.
	SegmentBytes int

	// Seam sees every file operation. Nil in production.
	Seam fault.Seam

	// Logger gets what an operator may want to know. Default: discarded.
	Logger *slog.Logger
}

const (
	defaultSegmentBytes = 32 << 20
	minSegmentBytes     = 64 << 10
	maxSegmentBytes     = 1 << 30

	// spareFromBytes: for smaller segments no next file is prepared in advance.
	spareFromBytes = 1 << 20
)

func (c *Config) normalise() error {
	if c.SegmentBytes == 0 {
		c.SegmentBytes = defaultSegmentBytes
	}
	if c.SegmentBytes < minSegmentBytes || c.SegmentBytes > maxSegmentBytes {
		return fmt.Errorf("segment size of %d bytes is not between %d and %d", c.SegmentBytes, minSegmentBytes, maxSegmentBytes)
	}
	if c.StallAfter == 0 {
		c.StallAfter = 3 * time.Second
	}
	if c.StallAfter < 0 {
		return fmt.Errorf("stall limit %s is negative", c.StallAfter)
	}
	if c.Fatal == nil {
		c.Fatal = func(int, error) {}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// Log is raft's log store on raft-wal.
type Log struct {
	cfg    Config
	wal    *wal.WAL
	meta   *metaStore
	filer  *filer
	files  *files
	codec  *codec
	stall  *stallWatch
	stable *Stable
	sizes  sizes

	// deleted is the end of the prefix that was deleted since Open: raft-wal goes on
	// reading what of it lies in the tail. An emptied log may begin again before it.
	deleted atomic.Uint64

	failed atomic.Bool // Fatal was called
	broken chan struct{}

	mu     sync.Mutex // held while the log is changed
	closed bool
}

var (
	_ raft.LogStore          = (*Log)(nil)
	_ raft.MonotonicLogStore = (*Log)(nil)
)

// Open opens, or creates, the log and the stable store in dir, which nobody else may
// use. Every byte of the log is read and checked first. An
// error that is ErrCorrupt is not to be repaired here; ExitCode has the exit code of
// each. Fatal is not called by Open.
func Open(dir string, cfg Config) (*Log, error) {
	if err := cfg.normalise(); err != nil {
		return nil, fmt.Errorf("open raft log: %w", err)
	}
	l := &Log{cfg: cfg, codec: &codec{arena: &arena{}}, broken: make(chan struct{})}
	if err := l.open(dir); err != nil {
		return nil, fmt.Errorf("open raft log: %w", err)
	}
	return l, nil
}

func (l *Log) open(dir string) (err error) {
	cfg := &l.cfg
	if err := makeDir(cfg.Seam, dir); err != nil {
		return err
	}
	var found bool
	if l.meta, found, err = openMeta(dir, cfg.Seam); err != nil {
		return err
	}
	r := recovery{
		dir: dir, seam: cfg.Seam, logger: cfg.Logger, meta: l.meta, size: uint32(cfg.SegmentBytes),
		offsets: map[uint64][]uint32{}, sizes: &l.sizes,
	}
	if err := r.run(found); err != nil {
		return err
	}
	if l.stable, err = openStable(dir, !found, cfg.Seam, &l.failed, l.fail); err != nil {
		return err
	}
	l.files = &files{seam: cfg.Seam, recovered: r.tailEnd}
	if cfg.SegmentBytes >= spareFromBytes {
		l.files.spare = startSpare(dir, int64(cfg.SegmentBytes), cfg.Seam, l.warnSpare)
	}
	l.filer = &filer{
		Filer: segment.NewFiler(dir, l.files), dir: dir, files: l.files, meta: l.meta, offsets: r.offsets,
	}
	l.wal, err = wal.Open(dir,
		wal.WithCodec(l.codec),
		wal.WithMetaStore(l.meta),
		wal.WithSegmentFiler(l.filer),
		wal.WithSegmentSize(cfg.SegmentBytes),
		wal.WithLogger(hclog.NewNullLogger())) // what it logs comes to fail as well
	if err != nil {
		l.files.spare.close()
		return errors.Join(err, l.stable.close())
	}
	// From here on raft-wal's background work ends the node when it fails.
	l.meta.setFatal(l.fail)
	l.filer.setFatal(l.fail)
	if cfg.Leading != nil {
		l.stall = startStallWatch(cfg.StallAfter, cfg.Leading, l.fail)
	}
	return nil
}

// Stable is the stable store next to the log. It is closed with it.
func (l *Log) Stable() *Stable { return l.stable }

// IsMonotonic implements raft.MonotonicLogStore: without it raft leaves a gap after a
// snapshot was installed, which raft-wal refuses.
func (l *Log) IsMonotonic() bool { return true }

// FirstIndex implements raft.LogStore.
func (l *Log) FirstIndex() (uint64, error) { return l.wal.FirstIndex() }

// LastIndex implements raft.LogStore.
func (l *Log) LastIndex() (uint64, error) { return l.wal.LastIndex() }

// GetLog implements raft.LogStore; raft.ErrLogNotFound where the log has no such
// entry. The entry's bytes are the caller's.
func (l *Log) GetLog(index uint64, entry *raft.Log) error {
	if index <= l.deleted.Load() {
		return raft.ErrLogNotFound
	}
	err := l.wal.GetLog(index, entry)
	if err == nil && entry.Index != index {
		err = fmt.Errorf("%w: record of index %d", ErrCorrupt, entry.Index)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrLogNotFound):
		return raft.ErrLogNotFound
	case errors.Is(err, wal.ErrClosed):
		return ErrClosed
	}
	*entry = raft.Log{}
	damaged := errors.Is(err, ErrCorrupt) || errors.Is(err, wal.ErrCorrupt) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
	if damaged {
		return l.fail(l.locate(index, err))
	}
	return l.fail(fmt.Errorf("read raft log entry %d: %w", index, err))
}

// StoreLog implements raft.LogStore.
func (l *Log) StoreLog(entry *raft.Log) error { return l.StoreLogs([]*raft.Log{entry}) }

// StoreLogs implements raft.LogStore: one write and one sync for all entries.
func (l *Log) StoreLogs(entries []*raft.Log) error {
	if len(entries) == 0 {
		return nil
	}
	size := 0
	for _, e := range entries {
		n := recordSize(len(e.Data), len(e.Extensions))
		if n > maxRecordBytes {
			return fmt.Errorf("store raft log entry %d: %w: %d bytes, at most %d", e.Index, ErrTooLarge, n, maxRecordBytes)
		}
		size += n
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.failed.Load() {
		return ErrClosed
	}
	l.stall.begin()
	defer l.stall.end()
	l.codec.arena.reset(size)
	l.codec.first = entries[0].Index
	// Only an emptied log takes such entries, and raft-wal has removed its segments.
	l.deleted.Store(min(l.deleted.Load(), entries[0].Index-1))
	if err := l.wal.StoreLogs(entries); err != nil {
		return l.fail(fmt.Errorf("store raft log: %w", err))
	}
	for _, e := range entries {
		l.sizes.add(e.Index, int64(recordSize(len(e.Data), len(e.Extensions))+frameHeader))
	}
	return nil
}

// DeleteRange implements raft.LogStore: a prefix or a suffix of the log.
func (l *Log) DeleteRange(first, last uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.failed.Load() {
		return ErrClosed
	}
	l.stall.begin()
	defer l.stall.end()
	// raft-wal does not wait for a rotation here, and would then seal the new tail in
	// place of the old one.
	l.filer.awaitRotation(l.broken)
	if l.failed.Load() {
		return ErrClosed
	}
	begin, err := l.wal.FirstIndex()
	end, endErr := l.wal.LastIndex()
	if err = errors.Join(err, endErr); err == nil {
		err = l.wal.DeleteRange(first, last)
	}
	if err != nil {
		return l.fail(fmt.Errorf("delete raft log entries %d to %d: %w", first, last, err))
	}
	if first <= begin {
		l.deleted.Store(max(l.deleted.Load(), min(last, end)))
		l.sizes.deletePrefix(last)
	} else {
		l.sizes.deleteSuffix(first)
	}
	return nil
}

// TrailingCount is the number of newest entries that take at most bytes, rounded down
// by the entries in at most 32 KiB of log.
func (l *Log) TrailingCount(bytes int64) uint64 { return l.sizes.trailing(bytes) }

// BytesSince is the size of the entries after index, rounded up by at most 32 KiB and
// one entry.
func (l *Log) BytesSince(index uint64) int64 { return l.sizes.since(index) }

// Stalled returns for how long the write in progress has taken, 0 without one. It
// is not watched where Config.Leading is nil.
func (l *Log) Stalled() time.Duration { return l.stall.stalled() }

// Close ends all work on the log and the stable store. It may be called twice.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	l.stall.close()
	l.filer.awaitRotation(l.broken)
	l.files.spare.close()
	err := l.wal.Close()
	if !l.failed.Load() {
		err = errors.Join(err, l.meta.markClean(l.files.tailEnd()))
	}
	if err = errors.Join(err, l.stable.close()); err != nil {
		return fmt.Errorf("close raft log: %w", err)
	}
	return nil
}

// fail reports the first error after which the log must not be used, and returns err.
func (l *Log) fail(err error) error {
	if l.failed.CompareAndSwap(false, true) {
		l.cfg.Fatal(ExitCode(err), err)
		close(l.broken)
	}
	return err
}

// locate names the file and the offset of the damage that a read of index met.
func (l *Log) locate(index uint64, cause error) error {
	for _, info := range l.meta.segments() {
		if index < info.BaseIndex || (info.MaxIndex != 0 && index > info.MaxIndex) {
			continue
		}
		path := filepath.Join(l.filer.dir, segment.FileName(info))
		var s scan
		err := mapSegment(path, info, func(b []byte) (err error) {
			if s, err = scanSegment(path, b, info); err != nil {
				return err
			}
			if s.rest {
				return corruptf(path, s.end, "entry %d: %v", index, cause)
			}
			return nil
		})
		if err == nil {
			err = corruptf(path, 0, "entry %d: %v", index, cause)
		}
		return err
	}
	return fmt.Errorf("%w: entry %d: %w", ErrCorrupt, index, cause)
}

func (l *Log) warnSpare(err error) {
	if !errors.Is(err, ErrClosed) {
		l.cfg.Logger.Warn("next raft log segment could not be prepared", slog.Any("error", err))
	}
}
