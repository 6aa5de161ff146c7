package store

// applyState is what the apply goroutine owns. Nothing in it is locked.
type applyState struct {
	db     *DB
	active layer // changes since the last Freeze
	arena  arena
	spare  []scratchRow // capacity for the next scratch

	// What lies below the active layer, as of the last Publish or Freeze. It
	// may be behind db.current by a finished flush, which moves rows from the
	// frozen layer to the file and changes none.
	frozen layer
	file   *fileView // pinned
	stack  []frame   // memory for cursors of file

	dirty     uint64 // set of tables with changes since the last Publish
	published int64  // arena.used at the last Publish
}

// get looks a row up below all scratches.
func (a *applyState) get(t Table, key []byte) ([]byte, error) {
	if err := a.db.failure(); err != nil {
		return nil, err
	}
	if value, known := a.active.get(t, key); known {
		return clip(value), nil
	}
	if value, known := a.frozen.get(t, key); known {
		return clip(value), nil
	}
	return a.fileGet(t, key)
}

func (a *applyState) fileGet(t Table, key []byte) (value []byte, err error) {
	value, a.stack, err = a.file.get(t, key, a.stack)
	return value, err
}

func (a *applyState) set(t Table, key string, value []byte) {
	a.active.set(t, key, value)
	a.dirty |= 1 << t
}

// delete leaves a tombstone only where a layer below has the row. One that was
// made and removed since the last flush costs the flush nothing.
func (a *applyState) delete(t Table, key []byte) {
	value, known := a.frozen.get(t, key)
	below := value != nil
	if !known {
		// A row that cannot be read is there.
		value, err := a.fileGet(t, key)
		below = value != nil || err != nil
	}
	if below {
		a.set(t, a.arena.key(key), nil)
		return
	}
	if _, known := a.active.get(t, key); known {
		a.active.remove(t, viewString(key))
		a.dirty |= 1 << t
	}
}

// takeRows and giveRows keep the rows' slice of one finished scratch for the
// next. Two scratches at a time, one above the other, are rare: the inner one
// then allocates.
func (a *applyState) takeRows() []scratchRow {
	rows := a.spare
	a.spare = nil
	return rows
}

func (a *applyState) giveRows(rows []scratchRow) {
	clear(rows) // frees what the rows refer to
	a.spare = rows[:0]
}

// repinLocked moves on to what is current below the active layer. The caller holds
// db.mu.
func (a *applyState) repinLocked() (release *fileView) {
	now := &a.db.current
	a.frozen = now.frozen
	if a.file == now.file {
		return nil
	}
	release = a.file
	a.file = now.file
	a.file.retain()
	return release
}
