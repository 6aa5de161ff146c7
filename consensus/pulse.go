package consensus

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
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
	dst = appendVarintField(dst, 1, pulseVersion)
	dst = appendBytesField(dst, 2, []byte(p.serverID))
	dst = appendVarintField(dst, 3, uint64(p.clock))
	dst = appendVarintField(dst, 4, protowire.EncodeBool(p.stalled))
	dst = appendVarintField(dst, 5, p.disk.free)
	dst = appendVarintField(dst, 6, p.disk.total)
	dst = appendVarintField(dst, 7, p.disk.reserve)
	dst = appendVarintField(dst, 8, uint64(p.feature))
	dst = appendVarintField(dst, 9, p.checkpoint.Index)
	dst = appendVarintField(dst, 10, p.checkpoint.Hash)
	return appendVarintField(dst, 11, protowire.EncodeBool(p.disk.tight))
}

func decodePulse(b []byte) (pulse, error) {
	var p pulse
	var version uint64
	f := fields{rest: b}
	for f.next() {
		switch {
		case f.number == 1 && f.varint:
			version = f.value
		case f.number == 2 && !f.varint:
			p.serverID = string(f.bytes)
		case f.number == 3 && f.varint:
			p.clock = int64(f.value)
		case f.number == 4 && f.varint:
			p.stalled = f.value != 0
		case f.number == 5 && f.varint:
			p.disk.free = f.value
		case f.number == 6 && f.varint:
			p.disk.total = f.value
		case f.number == 7 && f.varint:
			p.disk.reserve = f.value
		case f.number == 8 && f.varint:
			p.feature = uint32(f.value)
		case f.number == 9 && f.varint:
			p.checkpoint.Index = f.value
		case f.number == 10 && f.varint:
			p.checkpoint.Hash = f.value
		case f.number == 11 && f.varint:
			p.disk.tight = f.value != 0
		}
	}
	if f.err != nil {
		return pulse{}, fmt.Errorf("decode pulse: %w", f.err)
	}
	if version != pulseVersion || p.serverID == "" {
		return pulse{}, fmt.Errorf("decode pulse: version %d, server id %q", version, p.serverID)
	}
	return p, nil
}
