package consensus

import (
	"fmt"

	"github.com/edri-io/edri/event"
)

// incarnationGap is what a new lineage skips. The old one may have gone on behind
// the backup and given out numbers that this state does not know; what carries one
// of them must not be taken for something of the new lineage.
const incarnationGap = 1 << 32

// begin makes the state that of a new cluster: a new epoch, and a configuration
// as of the last applied entry, in Raft's bytes. It returns how many sessions it
// ended.
//
// What survives: the history, streams, the deduplication window, settings, what
// state machines keep, and named producers with their sequences and results, so
// that an import goes on at its line. What ends: sessions, whose owners learn it
// from the epoch and make new ones; their results could not be told from those of
// the old lineage. What members said about themselves goes with the members.
func (c *Core) begin(epoch event.Epoch, configuration []byte) (ended int, err error) {
	for _, s := range c.sessions.byID {
		if s.producer == "" {
			c.sessions.remove(s)
			ended++
		}
	}
	it := c.tx.Scan(c.tables.members, nil, nil, false)
	var members [][]byte
	for it.Next() {
		members = append(members, append([]byte(nil), it.Key()...))
	}
	err = it.Err()
	it.Close()
	if err != nil {
		return 0, fmt.Errorf("read members: %w", err)
	}
	for _, key := range members {
		c.tx.Delete(c.tables.members, key)
	}
	c.meta.Epoch, c.meta.Leader = epoch, ""
	c.meta.Incarnation += incarnationGap
	c.tx.Put(c.tables.meta, configurationKey, append(be8(c.meta.Index), configuration...))
	c.changed = true
	c.Publish()
	return ended, nil
}
