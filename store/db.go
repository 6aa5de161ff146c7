package store

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"go.etcd.io/bbolt"
)

// Table is the handle of a table of one DB.
type Table uint8

// table is what the DB knows of a Table.
type table struct {
	name string
	seed uint32  // tableSeed(name)
	fill float64 // how full the pages are made that a split leaves behind
}

// bbolt's fill for random keys, and ours for ascending ones.
const (
	fillUnordered = bbolt.DefaultFillPercent
	fillOrdered   = 1.0
)

// DB is an open database. See the package's comment for who may call what.
type DB struct {
	path   string
	cfg    Config
	tables []table
	bolt   *bbolt.DB
	apply  *applyState
	tx     *Tx // the top

	flushMu sync.Mutex // held during a commit and while Check pins a state
	stuck   bool       // bbolt may have panicked with its locks held; guarded by flushMu

	mu      sync.Mutex
	current layers // guarded by mu
	closed  bool   // guarded by mu

	failed atomic.Pointer[error] // set once, by the first failed flush
	dirty  atomic.Int64          // bytes in the active layer, as published, and the frozen one
}

// Open opens the database at path, or creates it where there is none. A second
// opener gets ErrLocked. Damage that shows without reading all of the file is
// ErrCorrupt, a file of a newer version ErrFormat.
func Open(path string, cfg Config) (*DB, error) {
	cfg, err := cfg.normalise()
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db := &DB{path: path, cfg: cfg}
	for _, name := range cfg.Tables {
		db.tables = append(db.tables, newTable(name, cfg.AppendOrdered))
	}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		if err := CreateBolt(cfg.Seam, path, db.initFile, nil); err != nil {
			return nil, err
		}
	}
	if db.bolt, err = OpenBolt(cfg.Seam, path, db.options()); err != nil {
		return nil, err
	}
	if err := db.start(); err != nil {
		return nil, errors.Join(err, db.bolt.Close())
	}
	return db, nil
}

// start checks the format, adds missing tables and sets up the layers.
func (db *DB) start() error {
	if err := db.prepareFile(); err != nil {
		return err
	}
	file, err := db.openFileView()
	if err != nil {
		return err
	}
	db.current = layers{active: db.newLayer(), file: file}
	file.retain()
	db.apply = &applyState{db: db, active: db.newLayer(), file: file}
	db.tx = &Tx{db: db}
	return nil
}

// Table returns the handle of a table. It panics for a name that is not in
// Config.Tables.
func (db *DB) Table(name string) Table {
	for i := range db.tables {
		if db.tables[i].name == name {
			return Table(i)
		}
	}
	panic(fmt.Sprintf("store: no table %q in the configuration", name))
}

// Path returns the path of the file.
func (db *DB) Path() string { return db.path }

// Begin returns the top layer, always the same one.
func (db *DB) Begin() *Tx { return db.tx }

// DirtyBytes is how much memory is held by what is published and not in the
// file yet: replaced and deleted rows until the next flush, overhead, and what
// a running flush writes, included.
func (db *DB) DirtyBytes() int { return int(db.dirty.Load()) }

// Close waits for a running flush, for all views, pins and iterators, and
// closes the file. It does not flush. The apply goroutine must have stopped.
// It may be called twice.
func (db *DB) Close() error {
	db.flushMu.Lock()
	defer db.flushMu.Unlock()
	db.mu.Lock()
	if db.closed {
		db.mu.Unlock()
		return nil
	}
	db.closed = true
	db.mu.Unlock()
	db.current.file.release()
	db.apply.file.release()
	if db.stuck {
		return nil // closing would wait for bbolt's locks for ever
	}
	// bbolt waits until its last read transaction has ended.
	return ioError("close", db.path, db.bolt.Close())
}

func (db *DB) newLayer() layer { return make(layer, len(db.tables)) }

// failure returns what failed the database, or nil.
func (db *DB) failure() error {
	if err := db.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// fail makes every later call return err, or the one that came before.
func (db *DB) fail(err error) error {
	err = fmt.Errorf("database failed: %w", err)
	db.failed.CompareAndSwap(nil, &err)
	return *db.failed.Load()
}
