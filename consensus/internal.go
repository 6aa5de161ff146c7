package consensus

import (
	"encoding/binary"
	"fmt"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/wire"
)

// The cluster's own operations are written by the leader as commits without a
// session, each alone in its commit. Their messages, in protobuf's encoding:
//
//	100 lead             1 server id, 2 epoch   a new leader's first command; the
//	                                            first ever gives the cluster its epoch
//	101 advertise        1 server id, 2 API URL, 3 raft address
//	102 expire_sessions  1 packed: id, stamp of last use, id, stamp, …
//	103 setting          1 name, 2 value, see settings.go
//	104 retain           2 first position, see retention.go
//	105 purge            1 stream, 2 first revision that stays, 3 position of the
//	                     last event that goes, see purge.go
//	106 feature          2 the cluster's feature level, see feature.go
//	107 begin_change     1 change, see change.go
//	108 end_change       1 server id that is out for good, 2 number, 3 why given up
//	109 expect           1 name of a node, 2 server id that it replaces
type internalOp struct {
	text  []byte // field 1
	bytes []byte // field 2 where length-delimited
	value uint64 // field 2 where varint
	more  []byte // field 3
	other uint64 // field 3
}

// LeadCommit returns the command with which a leader begins its term. The epoch
// counts where the cluster has none yet.
func LeadCommit(serverID string, epoch event.Epoch, waiter uint64) []byte {
	body := wire.AppendBytes(nil, 1, serverID)
	body = wire.AppendBytes(body, 2, epoch[:])
	return internalCommit(opLead, body, waiter)
}

// AdvertiseCommit returns the commit of a member's addresses.
func AdvertiseCommit(serverID, apiURL, raftAddress string, waiter uint64) []byte {
	body := wire.AppendBytes(nil, 1, serverID)
	body = wire.AppendBytes(body, 2, apiURL)
	body = wire.AppendBytes(body, 3, raftAddress)
	return internalCommit(opAdvertise, body, waiter)
}

// IdleSession is a session as the leader saw it when it found it idle.
type IdleSession struct {
	ID   uint64
	Used int64 // stamp of its last use, in nanoseconds since 1970
}

// ExpireSessionsCommit returns the commit that ends sessions. Apply ends those
// that were not used since; producers never.
func ExpireSessionsCommit(idle []IdleSession, waiter uint64) []byte {
	var list []byte
	for _, s := range idle {
		list = binary.AppendUvarint(list, s.ID)
		list = binary.AppendUvarint(list, uint64(s.Used))
	}
	return internalCommit(opExpireSessions, wire.AppendBytes(nil, 1, list), waiter)
}

func internalCommit(number uint32, body []byte, waiter uint64) []byte {
	o := wire.AppendMessage(nil, number, body)
	return SealCommit(nil, wire.AppendMessage(nil, fieldOps, o), CommitInfo{}, waiter)
}

func decodeInternal(b []byte) (internalOp, error) {
	var o internalOp
	f := wire.Walk(b)
	for f.Next() && f.Once() {
		switch {
		case f.Number == 1 && !f.Varint:
			o.text = f.Bytes
		case f.Number == 2 && f.Varint:
			o.value = f.Value
		case f.Number == 2:
			o.bytes = f.Bytes
		case f.Number == 3 && !f.Varint:
			o.more = f.Bytes
		case f.Number == 3 && f.Varint:
			o.other = f.Value
		default:
			f.Unknown()
		}
	}
	return o, f.Err()
}

// isInternal reports whether this node knows an operation as the cluster's own.
func isInternal(number uint32) bool {
	return number >= opLead && number <= opPurge || number == opFeature || number >= opBeginChange && number <= opExpect
}

// applyInternal executes one of the cluster's own operations. An error that is
// no *event.Error stops the node.
func (c *Core) applyInternal(o op) error {
	in, err := decodeInternal(o.body)
	if err != nil {
		return fmt.Errorf("%w: operation %d: %w", ErrUndecodable, o.number, err)
	}
	switch o.number {
	case opLead:
		return c.lead(in)
	case opAdvertise:
		return c.advertise(in)
	case opExpireSessions:
		return c.expireSessions(in.text)
	case opSetting:
		return c.set(string(in.text), in.value)
	case opFeature:
		return c.raiseFeature(in.value)
	case opBeginChange:
		return c.beginChange(in.text)
	case opEndChange:
		return c.endChange(in)
	case opExpect:
		return c.expect(in)
	case opRetain:
		return c.retain(event.Position(in.value))
	case opPurge:
		return c.purge(in.text, event.Revision(in.value), event.Position(in.other))
	}
	return fmt.Errorf("%w: unknown operation %d", ErrUndecodable, o.number)
}

func (c *Core) lead(in internalOp) error {
	if len(in.bytes) != len(event.Epoch{}) {
		return fmt.Errorf("%w: lead with an epoch of %d bytes", ErrUndecodable, len(in.bytes))
	}
	if c.meta.Epoch.IsZero() {
		c.meta.Epoch = event.Epoch(in.bytes)
	}
	c.meta.Leader = string(in.text)
	return nil
}

func (c *Core) expireSessions(list []byte) error {
	r := wire.ReadRow(list)
	for r.More() {
		id, used := r.Uvarint(), r.Uvarint()
		if s := c.sessions.byID[id]; s != nil && s.producer == "" && s.used == int64(used) {
			c.sessions.remove(s)
		}
	}
	return r.Done(ErrUndecodable, "expire_sessions")
}
