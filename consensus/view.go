package consensus

import (
	"bytes"
	"fmt"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/log"
	"github.com/edri-io/edri/store"
)

// AppliedIndex returns index and term of the last entry whose effects are
// published.
func (c *Core) AppliedIndex() (index, term uint64) {
	m := c.published.Load()
	return m.Index, m.Term
}

// Meta returns what the state says about itself, as published.
func (c *Core) Meta() Meta { return *c.published.Load() }

// Epoch returns the cluster's epoch, zero until its first leader began.
func (c *Core) Epoch() event.Epoch { return c.published.Load().Epoch }

// Journal returns the journal, for reads that need nothing of the state.
func (c *Core) Journal() *log.Journal { return c.journal }

// Store returns the state's file, for snapshots and checks.
func (c *Core) Store() *store.DB { return c.db }

// View is the state and the journal as of one Publish. It holds memory and disk
// space back: it must be short-lived, and closed.
type View struct {
	Meta
	core    *Core
	state   *store.View
	journal *log.View
}

// View pins what is published. Any goroutine may call it.
func (c *Core) View() *View {
	c.publishing.Lock()
	defer c.publishing.Unlock()
	return &View{Meta: *c.published.Load(), core: c, state: c.db.View(), journal: c.journal.View()}
}

// Close releases the view.
func (v *View) Close() {
	v.journal.Close()
	v.state.Close()
}

// Journal returns the journal of the view, valid until its Close.
func (v *View) Journal() *log.View { return v.journal }

// Configuration returns Raft's configuration in Raft's bytes and the index of
// its entry; nil and 0 before the first.
func (v *View) Configuration() (index uint64, configuration []byte, err error) {
	row, err := v.state.Get(v.core.tables.meta, configurationKey)
	if err != nil {
		return 0, nil, fmt.Errorf("read configuration: %w", err)
	}
	return decodeConfiguration(row)
}

func decodeConfiguration(row []byte) (uint64, []byte, error) {
	if row == nil {
		return 0, nil, nil
	}
	if len(row) < 8 {
		return 0, nil, fmt.Errorf("%w: configuration of %d bytes", errRow, len(row))
	}
	return be64(row), bytes.Clone(row[8:]), nil
}

// StreamHead is a stream and its last event.
type StreamHead struct {
	Name     string
	Revision event.Revision
	Position event.Position
}

// Streams returns up to limit streams whose names begin with prefix and come
// after the name after, in the order of their bytes, and whether there are more.
func (v *View) Streams(prefix, after string, limit int) (list []StreamHead, more bool, err error) {
	lo := []byte(prefix)
	if after >= prefix && after != "" {
		lo = append([]byte(after), 0)
	}
	it := v.state.Scan(v.core.tables.streams, lo, prefixEnd(prefix), false)
	defer it.Close()
	for it.Next() {
		if len(list) >= limit {
			return list, true, nil
		}
		h := StreamHead{Name: string(it.Key())}
		if h.Revision, h.Position, err = decodeHead(it.Value()); err != nil {
			return nil, false, fmt.Errorf("read stream %q: %w", h.Name, err)
		}
		list = append(list, h)
	}
	if err := it.Err(); err != nil {
		return nil, false, fmt.Errorf("read streams: %w", err)
	}
	return list, false, nil
}

// Stream returns a stream, or *event.Error not_found.
func (v *View) Stream(name string) (StreamHead, error) {
	row, err := v.state.Get(v.core.tables.streams, []byte(name))
	if err != nil {
		return StreamHead{}, fmt.Errorf("read stream %q: %w", name, err)
	}
	if row == nil {
		return StreamHead{}, event.Errorf(event.CodeNotFound, "stream %q does not exist", name)
	}
	h := StreamHead{Name: name}
	if h.Revision, h.Position, err = decodeHead(row); err != nil {
		return StreamHead{}, fmt.Errorf("read stream %q: %w", name, err)
	}
	return h, nil
}

// prefixEnd returns the first key after all that begin with prefix, nil if there
// is none.
func prefixEnd(prefix string) []byte {
	end := []byte(prefix)
	for len(end) > 0 && end[len(end)-1] == 0xff {
		end = end[:len(end)-1]
	}
	if len(end) == 0 {
		return nil
	}
	end[len(end)-1]++
	return end
}

// IdleSessions returns up to limit sessions that were last used before the
// stamp, for ExpireSessionsCommit. Producers never idle.
func (v *View) IdleSessions(before int64, limit int) ([]IdleSession, error) {
	it := v.state.Scan(v.core.tables.sessions, nil, nil, false)
	defer it.Close()
	var list []IdleSession
	for len(list) < limit && it.Next() {
		s, _, err := decodeSessionHead(be64(it.Key()), it.Value())
		if err != nil {
			return nil, err
		}
		if s.producer == "" && s.used < before {
			list = append(list, IdleSession{ID: s.id, Used: s.used})
		}
	}
	if err := it.Err(); err != nil {
		return nil, fmt.Errorf("read sessions: %w", err)
	}
	return list, nil
}

// Get returns the value of a key of a state machine, nil if it is absent.
func (v *View) Get(machine string, key []byte) ([]byte, error) {
	return v.state.Get(v.core.tables.of(machine), key)
}

// Scan iterates over a state machine's keys in [lo, hi); a nil bound is none.
func (v *View) Scan(machine string, lo, hi []byte, reverse bool) *store.Iterator {
	return v.state.Scan(v.core.tables.of(machine), lo, hi, reverse)
}
