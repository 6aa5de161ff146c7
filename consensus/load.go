package consensus

import (
	"fmt"

	"github.com/edri-io/edri/event"
)

// load reads the state into memory.
func (c *Core) load() error {
	c.heads.byName = map[string]*head{}
	c.sessions.byID = map[uint64]*session{}
	steps := []func() error{c.loadMeta, c.loadSegmentBytes, c.loadSessions, c.loadPurges, c.loadWindow}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	meta := c.meta
	c.published.Store(&meta)
	kept := addCheckpoint(nil, meta.Checkpoint)
	c.checkpoints.Store(&kept)
	c.durable.Store(meta.Index)
	c.durableMark.Store(&meta.Mark)
	return nil
}

func (c *Core) loadMeta() error {
	row, err := c.tx.Get(c.tables.meta, metaKey)
	if err != nil {
		return fmt.Errorf("read meta: %w", err)
	}
	if row == nil { // a new state
		c.meta = Meta{Floor: 1, Trimmed: 1, Feature: 1}
		return nil
	}
	if c.meta, err = decodeMeta(row); err != nil {
		return err
	}
	if c.meta.Feature > c.featureLevel {
		return tooOld(c.meta.Feature, c.featureLevel)
	}
	return nil
}

// loadSegmentBytes prefers the cluster's own size of segments to the
// configuration's, with which a node would cut its journal elsewhere.
func (c *Core) loadSegmentBytes() error {
	size, err := c.loadSetting(SettingSegmentBytes, uint64(c.segmentBytes))
	c.segmentBytes = int64(size)
	return err
}

func (c *Core) loadSessions() error {
	it := c.tx.Scan(c.tables.sessions, nil, nil, false)
	defer it.Close()
	for it.Next() {
		if len(it.Key()) != 8 {
			return fmt.Errorf("%w: a session's key has %d bytes", errRow, len(it.Key()))
		}
		s, err := decodeSession(be64(it.Key()), it.Value())
		if err != nil {
			return err
		}
		c.sessions.add(s)
	}
	if err := it.Err(); err != nil {
		return fmt.Errorf("read sessions: %w", err)
	}
	return nil
}

// loadWindow fills the window from the fingerprints, which must be there for all
// of its positions.
func (c *Core) loadWindow() error {
	size, err := c.loadSetting(SettingWindow, DefaultWindow)
	if err != nil {
		return err
	}
	c.window.reset(size, c.meta.Floor)
	c.window.reindex(indexFor(uint64(c.meta.Mark.Last) + 1 - c.meta.Floor))
	next, last := c.meta.Trimmed, uint64(c.meta.Mark.Last)
	it := c.tx.Scan(c.tables.fingerprints, nil, nil, false)
	defer it.Close()
	for it.Next() {
		key, value := it.Key(), it.Value()
		if len(key) != 8 || be64(key) != next || len(value) == 0 || len(value)%fingerprintBytes != 0 {
			return fmt.Errorf("%w: fingerprints at key %x, want %d", errRow, key, next)
		}
		for ; len(value) > 0; value = value[fingerprintBytes:] {
			if next >= c.meta.Floor {
				f := event.ParseFingerprint(value)
				c.window.add(&f)
			}
			next++
		}
	}
	if err := it.Err(); err != nil {
		return fmt.Errorf("read fingerprints: %w", err)
	}
	if next != last+1 {
		return fmt.Errorf("%w: fingerprints end at %d, the journal at %d", errRow, next-1, last)
	}
	return nil
}
