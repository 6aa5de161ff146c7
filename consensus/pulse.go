package consensus

import (
	"fmt"

	"github.com/edri-io/edri/internal/wire"
)

// pulse is what a node tells of itself when another asks, which each does every
// second. On the wire it is a protobuf message; a reader ignores fields that it
// does not know, so that nodes of two versions understand each other while a
// cluster is upgraded:
//
//	1 version, 1   2 server id   3 clock, nanoseconds since 1970   4 stalled
//	5 free, 6 total, 7 reserved bytes of the data directory's disk
//	8 feature level of the binary   9 index, 10 hash of the newest checkpoint
//	11 the disk's reserve was gone and is not well back
type pulse struct {
	serverID string
	clock    int64 // its own clock when it answered, nanoseconds since 1970
	stalled  bool  // a write of its raft log has taken too long and goes on
	disk     diskSpace
	feature  uint32 // newest level that its binary applies

	checkpoint Checkpoint // the newest
}

// pulseVersion goes up when the meaning of a field changes, which it never
// should: new fields need no new version.
const pulseVersion = 1

// append appends the message.
func (p *pulse) append(dst []byte) []byte {
	dst = wire.AppendUint(dst, 1, pulseVersion)
	dst = wire.AppendBytes(dst, 2, p.serverID)
	dst = wire.AppendUint(dst, 3, uint64(p.clock))
	dst = wire.AppendBool(dst, 4, p.stalled)
	dst = wire.AppendUint(dst, 5, p.disk.free)
	dst = wire.AppendUint(dst, 6, p.disk.total)
	dst = wire.AppendUint(dst, 7, p.disk.reserve)
	dst = wire.AppendUint(dst, 8, uint64(p.feature))
	dst = wire.AppendUint(dst, 9, p.checkpoint.Index)
	dst = wire.AppendUint(dst, 10, p.checkpoint.Hash)
	return wire.AppendBool(dst, 11, p.disk.tight)
}

func decodePulse(b []byte) (pulse, error) {
	var p pulse
	var version uint64
	f := wire.Walk(b)
	for f.Next() {
		switch {
		case f.Number == 1 && f.Varint:
			version = f.Value
		case f.Number == 2 && !f.Varint:
			p.serverID = string(f.Bytes)
		case f.Number == 3 && f.Varint:
			p.clock = int64(f.Value)
		case f.Number == 4 && f.Varint:
			p.stalled = f.Value != 0
		case f.Number == 5 && f.Varint:
			p.disk.free = f.Value
		case f.Number == 6 && f.Varint:
			p.disk.total = f.Value
		case f.Number == 7 && f.Varint:
			p.disk.reserve = f.Value
		case f.Number == 8 && f.Varint:
			p.feature = uint32(f.Value)
		case f.Number == 9 && f.Varint:
			p.checkpoint.Index = f.Value
		case f.Number == 10 && f.Varint:
			p.checkpoint.Hash = f.Value
		case f.Number == 11 && f.Varint:
			p.disk.tight = f.Value != 0
		}
	}
	if err := f.Err(); err != nil {
		return pulse{}, fmt.Errorf("decode pulse: %w", err)
	}
	if version != pulseVersion || p.serverID == "" {
		return pulse{}, fmt.Errorf("decode pulse: version %d, server id %q", version, p.serverID)
	}
	return p, nil
}
