package consensus

import (
	"fmt"

	"github.com/edri-io/edri/log"
	"github.com/edri-io/edri/store"
)

// Flush is what was published up to one index, on its way to disk.
type Flush struct {
	core   *Core
	frozen *store.Frozen
	mark   log.Mark
	index  uint64
}

// Freeze takes all that was published so far as the next flush, nil if all of it
// is on disk. There is one flush at a time: Run must have returned without an
// error before the next Freeze. The goroutine of Apply calls it.
func (c *Core) Freeze() *Flush {
	meta := c.published.Load()
	frozen := c.db.Freeze()
	if frozen == nil {
		return nil
	}
	return &Flush{core: c, frozen: frozen, mark: meta.Mark, index: meta.Index}
}

// Run makes the flush durable: the journal first, so that the state never speaks
// of events that a crash took. Any goroutine may call it, once. After an error
// the node must stop.
func (f *Flush) Run() error {
	if err := f.core.journal.Flush(f.mark.Last); err != nil {
		return fmt.Errorf("flush journal up to %d: %w", f.mark.Last, err)
	}
	if err := f.core.db.Flush(f.frozen); err != nil {
		return fmt.Errorf("flush state at index %d: %w", f.index, err)
	}
	f.core.durable.Store(f.index)
	f.core.durableMark.Store(&f.mark)
	return f.core.SealSome()
}

// SealSome does a piece of what a flush left for later: see log.Journal.SealSome.
// Where there is nothing to flush, call it from time to time.
func (c *Core) SealSome() error {
	_, err := c.journal.SealSome()
	return err
}

// RemoveRetained deletes some of the journal's files that retention has put an end
// to, once the state on disk says so. The goroutine that flushes calls it after
// each flush. After an error the node must stop.
func (c *Core) RemoveRetained() error {
	return c.journal.Remove(*c.durableMark.Load())
}

// DurableIndex returns the index of the last entry whose effects are on disk.
func (c *Core) DurableIndex() uint64 { return c.durable.Load() }

// DirtyBytes returns about how much a flush would write.
func (c *Core) DirtyBytes() int64 {
	return int64(c.db.DirtyBytes()) + c.journal.DirtyBytes()
}
