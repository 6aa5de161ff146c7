package consensus

import (
	"fmt"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/wire"
)

// maxPurges bounds the streams that are purged at a time: they are in memory. A
// stream leaves when retention has passed its purged events.
const maxPurges = 100_000

// PurgeChecker is a StateMachine that will have events of some streams read again, and
// cannot do without them.
type PurgeChecker interface {
	StateMachine
	// CheckPurge returns an *event.Error where the machine needs an event of a stream
	// before a revision, which is at most one above the stream's last. It is asked where
	// a purge enters the cluster, not in apply, and its answer must last: what the machine
	// does not need then it must never need again.
	CheckPurge(v *View, stream string, before event.Revision) error
}

// checkPurge asks all machines that care.
func (m *Mux) checkPurge(v *View, stream string, before event.Revision) error {
	if m == nil {
		return nil
	}
	for _, machine := range m.machines {
		if c, ok := machine.(PurgeChecker); ok {
			if err := c.CheckPurge(v, stream, before); err != nil {
				return err
			}
		}
	}
	return nil
}

// PurgeCommit returns the commit that purges a stream's events before a revision,
// of which the last stands at the position through.
func PurgeCommit(stream string, before event.Revision, through event.Position, waiter uint64) []byte {
	body := wire.AppendBytes(nil, 1, stream)
	body = wire.AppendUint(body, 2, uint64(before))
	body = wire.AppendUint(body, 3, uint64(through))
	return internalCommit(opPurge, body, waiter)
}

// purge hides the events of a stream up to a position from all reads. The
// position is part of the commit, since apply does not read the journal; it was
// looked up by the node where the purge entered. The stream's revision, the
// window and the sessions stay as they are.
func (c *Core) purge(stream []byte, before event.Revision, through event.Position) error {
	head, err := c.heads.get(c.tx, c.tables.streams, stream)
	if err != nil {
		return err
	}
	name := head.name
	switch known := c.purges.Through(name); {
	case head.revision == 0:
		return event.Errorf(event.CodeNotFound, "stream %q does not exist", name)
	case before > head.revision+1 || through > head.position:
		return event.Errorf(event.CodeInvalid, "purge stream %q before revision %d, position %d: it ends at revision %d, position %d",
			name, before, through, head.revision, head.position)
	case through < c.meta.Mark.First || through <= known:
		return nil // gone already
	case known == 0 && c.purges.Len() >= maxPurges:
		return event.Errorf(event.CodeQuotaExceeded, "%d streams are purged and not yet past retention, no more may be", maxPurges)
	}
	c.purges.Set(name, through)
	c.put(c.tables.purges, stream, be8(uint64(through)))
	c.bounded = true
	return nil
}

func (c *Core) loadPurges() error {
	it := c.tx.Scan(c.tables.purges, nil, nil, false)
	defer it.Close()
	for it.Next() {
		if len(it.Value()) != 8 {
			return fmt.Errorf("%w: purge of stream %q has %d bytes", errRow, it.Key(), len(it.Value()))
		}
		c.purges.Set(string(it.Key()), event.Position(be64(it.Value())))
	}
	if err := it.Err(); err != nil {
		return fmt.Errorf("read purges: %w", err)
	}
	return nil
}
