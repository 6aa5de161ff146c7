package store

import "sync/atomic"

// layers are what reads go through, below apply's own changes. It is replaced,
// never changed.
type layers struct {
	active layer // as of the last Publish; immutable
	frozen layer // nil: no flush is under way
	file   *fileView
}

// View is a consistent state of all tables, as of one Publish. Any number of
// goroutines may read it at once. Keep it for as long as a request reads, not
// longer: until Close the file cannot reuse what the view sees.
//
// Values and keys that it returns must not be modified and are valid until
// Close.
type View struct {
	layers
	db     *DB
	err    error // set: the view could not be made, and every read says so
	closed atomic.Bool
}

// View pins what is published. The caller must call Close.
func (db *DB) View() *View {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed {
		return &View{db: db, err: ErrClosed}
	}
	db.current.file.retain()
	return &View{layers: db.current, db: db}
}

// Get returns the value of a row, nil if there is none; an empty value is not
// nil.
func (v *View) Get(t Table, key []byte) ([]byte, error) {
	if err := v.usable(); err != nil {
		return nil, err
	}
	if value, known := v.active.get(t, key); known {
		return clip(value), nil
	}
	if value, known := v.frozen.get(t, key); known {
		return clip(value), nil
	}
	value, _, err := v.file.get(t, key, make([]frame, 0, usualDepth))
	return value, err
}

// Close gives the view free. It may be called twice.
func (v *View) Close() {
	if v.err == nil && !v.closed.Swap(true) {
		v.file.release()
	}
}

func (v *View) usable() error {
	switch {
	case v.err != nil:
		return v.err
	case v.closed.Load():
		return ErrClosed
	}
	return v.db.failure()
}
