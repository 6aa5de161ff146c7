package consensus

import (
	"bytes"
	"fmt"

	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/store"
)

// incarnationGap is what a new lineage skips. The old one may have gone on behind
// the backup and given out numbers that this state does not know; what carries one
// of them must not be taken for something of the new lineage.
const incarnationGap = 1 << 32

// begin makes the state that of a new cluster, which has a new epoch and, as of the
// last applied entry, one member. It returns how many sessions it ended.
//
// What survives: the history, streams, the deduplication window, settings, what
// state machines keep, and named producers with their sequences and results, so
// that an import goes on at its line. What ends: sessions, whose owners learn it
// from the epoch and make new ones; their results could not be told from those of
// the old lineage. The members of the old cluster are marked as removed: one of
// them that meets the new cluster stops.
func (c *Core) begin(epoch event.Epoch, self Member) (ended int, err error) {
	for _, s := range c.sessions.byID {
		if s.producer == "" {
			c.sessions.remove(s)
			ended++
		}
	}
	if err := c.removeMembers(); err != nil {
		return 0, err
	}
	if err := c.deleteAll(c.tables.changes); err != nil {
		return 0, fmt.Errorf("read changes: %w", err)
	}
	c.put(c.tables.members, []byte(self.ServerID), self.appendRow(nil))
	configuration := raft.EncodeConfiguration(raft.Configuration{Servers: []raft.Server{{
		Suffrage: raft.Voter, ID: raft.ServerID(self.ServerID),
		Address: raft.ServerAddress(self.ServerID), // see transport.Config.ID
	}}})
	c.tx.Put(c.tables.meta, configurationKey, append(be8(c.meta.Index), configuration...))
	c.meta.Epoch, c.meta.Leader = epoch, ""
	c.meta.Incarnation += incarnationGap
	c.changed = true
	c.Publish()
	return ended, nil
}

// removeMembers marks all servers of the configuration, and those known besides, as
// out for good.
func (c *Core) removeMembers() error {
	row, err := c.tx.Get(c.tables.meta, configurationKey)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	_, configuration, err := decodeConfiguration(row)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	keys, err := c.keys(c.tables.members)
	if err != nil {
		return fmt.Errorf("read members: %w", err)
	}
	if configuration != nil {
		members, err := decodeServers(configuration)
		if err != nil {
			return err
		}
		for _, m := range members {
			keys = append(keys, []byte(m.ServerID))
		}
	}
	for _, key := range keys {
		c.put(c.tables.members, key, Member{Removed: true}.appendRow(nil))
	}
	return nil
}

func (c *Core) deleteAll(table store.Table) error {
	keys, err := c.keys(table)
	for _, key := range keys {
		c.tx.Delete(table, key)
	}
	return err
}

// keys returns the keys of a table that is small.
func (c *Core) keys(table store.Table) (keys [][]byte, err error) {
	it := c.tx.Scan(table, nil, nil, false)
	defer it.Close()
	for it.Next() {
		keys = append(keys, bytes.Clone(it.Key()))
	}
	return keys, it.Err()
}
