package store

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
)

// slowFlush is how long a flush may take before it is logged.
const slowFlush = time.Second

// Frozen is a layer that waits to be flushed.
type Frozen struct {
	rows  layer
	bytes int64
}

// Rows is how many rows and tombstones the flush will write.
func (f *Frozen) Rows() int { return f.rows.rows() }

// Publish makes what the top layer holds visible to new views, all at once.
// Apply only. No scratch may be open.
func (db *DB) Publish() {
	a := db.apply
	db.tx.mustBeOpen()
	active := db.current.active // only Publish and Freeze replace it: no lock needed to read
	if a.dirty != 0 {
		active = append(layer(nil), active...)
		for t := range active {
			if a.dirty&(1<<t) != 0 {
				active[t] = a.active[t].IsoCopy()
			}
		}
		a.dirty = 0
		db.dirty.Add(a.arena.used - a.published)
		a.published = a.arena.used
	}
	db.mu.Lock()
	db.current.active = active
	release := a.repinLocked()
	db.mu.Unlock()
	release.release()
}

// Freeze makes all that was published since the last Freeze the next flush. It
// returns nil if there is nothing, or if the last Frozen has not been flushed
// yet. Apply only, and only right after Publish: it panics where something is
// not published.
func (db *DB) Freeze() *Frozen {
	a := db.apply
	db.tx.mustBeOpen()
	if a.dirty != 0 {
		panic("store: Freeze with changes that are not published")
	}
	db.mu.Lock()
	if db.current.frozen != nil {
		db.mu.Unlock()
		return nil
	}
	f := &Frozen{rows: db.current.active, bytes: a.published}
	a.arena.used, a.published = 0, 0
	if f.Rows() == 0 { // all that was put has been deleted again
		db.mu.Unlock()
		db.dirty.Add(-f.bytes)
		return nil
	}
	db.current.frozen = f.rows
	db.current.active = db.newLayer()
	a.active = db.newLayer()
	release := a.repinLocked()
	db.mu.Unlock()
	release.release()
	return f
}

// Flush writes a frozen layer to the file in one synced transaction. When it
// returns nil the rows are durable, and views read them from the file. After
// an error, which matches ErrIO or ErrCorrupt, the rows may be in the file or
// not, and the database is failed: the process must exit. A nil Frozen is fine.
func (db *DB) Flush(f *Frozen) error {
	if f == nil {
		return db.failure()
	}
	db.flushMu.Lock()
	defer db.flushMu.Unlock()
	if err := db.flushable(f); err != nil {
		return err
	}
	start := time.Now()
	file, err := db.write(f.rows)
	if err != nil {
		return db.fail(fmt.Errorf("flush: %w", err))
	}
	db.mu.Lock()
	old := db.current.file
	db.current.file = file
	db.current.frozen = nil
	db.mu.Unlock()
	old.release()
	db.dirty.Add(-f.bytes)
	if took := time.Since(start); took > slowFlush {
		db.cfg.Logger.Warn("flush was slow", "path", db.path, "duration", took, "rows", f.Rows())
	}
	return nil
}

// flushable says why f cannot be flushed now.
func (db *DB) flushable(f *Frozen) error {
	if err := db.failure(); err != nil {
		return err
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	switch {
	case db.closed:
		return ErrClosed
	case db.current.frozen == nil || &db.current.frozen[0] != &f.rows[0]:
		return errors.New("flush: this layer was flushed before")
	}
	return nil
}

// write commits the rows of a layer and returns a view of the new state.
func (db *DB) write(rows layer) (file *fileView, err error) {
	defer recoverCorrupt(&err, db.path, debug.SetPanicOnFault(true))
	db.stuck = true // stays so if bbolt panics
	file, err = db.commit(rows)
	db.stuck = false
	return file, err
}

func (db *DB) commit(rows layer) (*fileView, error) {
	tx, err := db.bolt.Begin(true)
	if err != nil {
		return nil, ioError("begin", db.path, err)
	}
	if err := db.fill(tx, rows); err != nil {
		return nil, errors.Join(ioError("write", db.path, err), tx.Rollback())
	}
	if err := CommitBolt(db.cfg.Seam, tx); err != nil {
		return nil, err
	}
	return db.openFileView()
}

// fill puts the rows into the transaction, in order. The page that a row goes to
// is looked at before: bbolt would take what a damaged page still shows, write
// it to a new page and so make the loss look sound.
func (db *DB) fill(tx *bbolt.Tx, rows layer) error {
	for t, tr := range rows {
		if tr == nil || tr.Len() == 0 {
			continue
		}
		table := &db.tables[t]
		b := tx.Bucket([]byte(table.name))
		if b == nil {
			return &CorruptError{Path: db.path, Table: table.name, Detail: "table is missing"}
		}
		b.FillPercent = table.fill
		var err error
		sound := db.current.file.cursor(Table(t), nil) // only Flush replaces the file: no lock needed
		tr.Scan(func(key string, value []byte) bool {
			k := viewBytes(key)
			if err = sound.ascend(k); err != nil {
				return false
			}
			if value == nil {
				err = b.Delete(k)
			} else {
				// Nobody else looks at the bytes behind the value.
				err = b.Put(k, sealRow(table.seed, k, value))
			}
			return err == nil
		})
		if err != nil {
			return fmt.Errorf("table %q: %w", table.name, err)
		}
	}
	return nil
}
