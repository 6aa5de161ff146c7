package consensus

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/fault"
	"github.com/edri-io/edri/log"
	"github.com/edri-io/edri/store"
)

// Names within the directory of a core.
const (
	StateFile  = "state.db"
	JournalDir = "journal"
)

// DefaultSegmentBytes is when a segment of the journal is full.
const DefaultSegmentBytes = 256 << 20

// decodeAhead is how many commits of an entry are decoded before the first of
// them is executed, see window.prefetch.
const decodeAhead = 32

// maxBatchRecords bounds the memory for records that is used again.
const maxBatchRecords = 4096

const (
	tableMeta         = "meta"
	tableStreams      = "streams"
	tableSessions     = "sessions"
	tableProducers    = "producers"
	tableFingerprints = "fingerprints"
	tableMembers      = "members"
	tableSettings     = "settings"
	tableChanges      = "changes"
	tablePurges       = "purges"
	tablePins         = "pins"
)

var coreTables = []string{
	tableMeta, tableStreams, tableSessions, tableProducers,
	tableFingerprints, tableMembers, tableSettings, tableChanges,
	tablePurges, tablePins,
}

// CoreConfig configures a core. The zero value is usable.
type CoreConfig struct {
	// SegmentBytes is how many bytes of records fill a segment of the journal,
	// by default DefaultSegmentBytes. Once the state has SettingSegmentBytes, that
	// counts.
	SegmentBytes int64
	// MaxOpen is how many sealed segments are kept open, see log.Config.
	MaxOpen int
	// InitialMmap is the state file's, see store.Config.
	InitialMmap int64
	// Machines execute the operations 16-99; nil for none.
	Machines *Mux
	// FeatureLevel is the newest level of commands that can be applied, by default
	// this binary's; others are for tests.
	FeatureLevel uint32
	// HashInterval is after how many entries the state's hash is kept for
	// comparison with other nodes', by default 10,000; the same on every node.
	HashInterval uint64
	// Seam injects faults into file operations; nil for none.
	Seam fault.Seam
	// Logger receives what a person may want to know; nil for nothing.
	Logger *slog.Logger
}

// Core is the deterministic state that the committed entries make: see the
// package's documentation. One goroutine at a time may call Apply,
// ApplyConfiguration, Publish, Freeze and Close; all else is safe for any.
type Core struct {
	db           *store.DB
	journal      *log.Journal
	mux          *Mux
	segmentBytes int64
	featureLevel uint32 // of the binary
	hashInterval uint64
	tables       tables

	// What entries change, beside the rows in tx.
	tx       *store.Tx
	meta     Meta // Floor is current only in rows
	window   window
	sessions sessions
	heads    heads
	purges   log.Purges
	bounded  bool         // what is retained or purged changed since the last Publish
	batch    []log.Record // since the last Publish
	changed  bool         // since the last Publish
	notes    []note       // since the last Notify
	observed []any        // memory of Notify
	err      error        // why the core works no more

	// Of the entry in execution.
	now          int64
	entryEpoch   event.Epoch
	entryFirst   event.Position
	fingerprints []byte
	digest       xxhash.Digest
	results      []byte // memory of the outcomes' results
	commits      [decodeAhead]commit
	reactors     []reactor

	// Of the commit in execution, memory that is used again.
	staged    staged
	overlay   *store.Tx // nil until a state machine's operation needs it
	opResults []opResult
	scratch   []byte

	publishing sync.Mutex // held while the parts of a view change, or are taken
	published  atomic.Pointer[Meta]
	durable    atomic.Uint64

	checkpoints atomic.Pointer[[]Checkpoint] // oldest first; replaced, never changed
	// durableMark is the journal's mark as the state has it on disk: what lies below
	// its First nobody will ask for again.
	durableMark atomic.Pointer[log.Mark]
}

type tables struct {
	meta, streams, sessions, producers, fingerprints, members, settings, changes store.Table
	purges, pins                                                                 store.Table

	machines map[string]store.Table
}

// OpenCore opens or creates the core in a directory, which must exist. What the
// journal holds above the state's position is cut off; the entries after
// AppliedIndex are to be applied again.
//
// Errors wrap store.ErrCorrupt where the state or the journal are damaged or do
// not fit together.
func OpenCore(dir string, cfg CoreConfig) (*Core, error) {
	if cfg.SegmentBytes == 0 {
		cfg.SegmentBytes = DefaultSegmentBytes
	}
	cfg.FeatureLevel = cmp.Or(cfg.FeatureLevel, FeatureLevel)
	cfg.HashInterval = cmp.Or(cfg.HashInterval, defaultHashInterval)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if err := checkOrphans(dir); err != nil {
		return nil, err
	}
	names := append([]string(nil), coreTables...)
	if cfg.Machines != nil {
		for _, machine := range cfg.Machines.machines {
			names = append(names, machine.Name())
		}
	}
	db, err := store.Open(filepath.Join(dir, StateFile), store.Config{
		Seam: cfg.Seam, InitialMmap: cfg.InitialMmap, Logger: cfg.Logger,
		Tables: names, AppendOrdered: []string{tableFingerprints, tableSessions},
	})
	if err != nil {
		return nil, fmt.Errorf("open state: %w", err)
	}
	c := &Core{db: db, mux: cfg.Machines, segmentBytes: cfg.SegmentBytes,
		featureLevel: cfg.FeatureLevel, hashInterval: cfg.HashInterval, reactors: reactorsOf(cfg.Machines)}
	c.tables = tablesOf(db, cfg.Machines)
	c.tx = db.Begin()
	if err := c.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("load state: %w", err), db.Close())
	}
	c.journal, err = log.Open(filepath.Join(dir, JournalDir), c.meta.Mark, log.Config{
		SegmentBytes: c.segmentBytes, MaxOpen: cfg.MaxOpen, Seam: cfg.Seam, Logger: cfg.Logger,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open journal: %w", err), db.Close())
	}
	c.journal.Retain(c.meta.Mark.First, c.purges.Copy())
	return c, nil
}

// checkOrphans refuses a journal whose state is gone: with a new state, opening
// would cut all of it off.
func checkOrphans(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, StateFile)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	entries, err := os.ReadDir(filepath.Join(dir, JournalDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read journal's directory: %w", err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("%w: %s has a journal but no %s", store.ErrCorrupt, dir, StateFile)
	}
	return nil
}

func tablesOf(db *store.DB, mux *Mux) tables {
	t := tables{
		meta: db.Table(tableMeta), streams: db.Table(tableStreams),
		sessions: db.Table(tableSessions), producers: db.Table(tableProducers),
		fingerprints: db.Table(tableFingerprints), members: db.Table(tableMembers),
		settings: db.Table(tableSettings), changes: db.Table(tableChanges),
		purges: db.Table(tablePurges), pins: db.Table(tablePins),
		machines: map[string]store.Table{},
	}
	if mux != nil {
		for _, machine := range mux.machines {
			t.machines[machine.Name()] = db.Table(machine.Name())
		}
	}
	return t
}

// of returns the table of a machine, which there must be: what stands in another's is
// no damage, and would be taken for it.
func (t *tables) of(machine string) store.Table {
	table, ok := t.machines[machine]
	if !ok {
		panic("consensus: there is no state machine " + machine)
	}
	return table
}

// Publish makes all that was applied since the last Publish visible to views, at
// once. It is called after each batch of the Raft log.
func (c *Core) Publish() {
	if c.err != nil || !c.changed {
		return
	}
	c.changed = false
	c.writeRows()
	meta := c.meta
	c.publishing.Lock()
	c.db.Publish()
	if len(c.batch) > 0 {
		c.journal.Append(c.batch, c.meta.Mark)
	}
	if c.bounded {
		c.bounded = false
		c.journal.Retain(c.meta.Mark.First, c.purges.Copy())
	}
	c.published.Store(&meta)
	c.publishing.Unlock()
	clear(c.batch) // their memory is the journal's now
	if c.batch = c.batch[:0]; cap(c.batch) > maxBatchRecords {
		c.batch = nil
	}
}

// writeRows writes the rows of what entries changed in memory.
func (c *Core) writeRows() {
	c.scratch = c.heads.write(c.tx, c.tables.streams, c.scratch)
	for _, s := range c.sessions.dirty {
		s.dirty = false
		if s.closed {
			c.tx.Delete(c.tables.sessions, be8(s.id))
		} else {
			c.scratch = s.appendRow(c.scratch[:0])
			c.tx.Put(c.tables.sessions, be8(s.id), c.scratch)
		}
	}
	clear(c.sessions.dirty)
	c.sessions.dirty = c.sessions.dirty[:0]
	c.meta.Floor = c.window.floor
	c.scratch = c.meta.append(c.scratch[:0])
	c.tx.Put(c.tables.meta, metaKey, c.scratch)
}

// Close waits for views and closes the files. It does not flush: what is not
// durable is applied again from the log.
func (c *Core) Close() error {
	c.err = errors.New("the core is closed")
	return errors.Join(c.journal.Close(), c.db.Close())
}

func be64(b []byte) uint64 { return binary.BigEndian.Uint64(b) }
