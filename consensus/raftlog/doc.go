// Package raftlog is the durable half of Raft on one node: the log (hashicorp's
// raft-wal) and the stable store (raft-boltdb: current term and vote), wrapped so
// that what those two leave open is closed.
//
// # Why wrappers
//
// Raft logs some storage errors and goes on; after a failed fsync the page cache
// may lie, so going on is not safe. Every write or sync error here calls
// Config.Fatal before it is returned, and a production Fatal does not return.
//
// Neither store notices a flipped bit where it matters: raft-wal checks the CRC of
// the last batch only, and "recovers" from everything else by cutting the log
// there; bbolt checks its two meta pages and falls back to the older one, which
// would forget a vote. So:
//
//   - every log record carries a CRC32C over all of itself and is checked, with the
//     index that was asked for, on every read (codec.go);
//   - before the log opens, every segment is read once and every batch checked
//     (scan.go). Damage anywhere but in the last, unsynced batch is ErrCorrupt, with
//     file and offset; a torn last batch was never acknowledged and is zeroed;
//   - the list of segments is a small file that is replaced whole and carries a CRC
//     (meta.go), because a list that is one transaction old makes raft-wal delete
//     the newest segment;
//   - the stable store keeps one row with a CRC and the number of the transaction
//     that wrote it, and both meta pages must be valid (stable.go).
//
// # What raft-wal v0.4.0 gets wrong, and where it is corrected
//
//   - Segments are always labelled with the built-in codec, so that a log with
//     another one does not open a second time (its pull request 20): filer.go.
//   - Deleting a suffix marks the tail as sealed without writing its index; after
//     the next start no entry of it can be read (its issue 31): filer.go reads such
//     a segment with an index in memory.
//   - A crash between sealing a segment and recording that leaves a tail that
//     refuses every append: recover.go completes the rotation.
//   - A torn sealing batch leaves the same: recover.go zeroes it first.
//   - A delete right after a segment filled up does not wait for the rotation,
//     which then seals the new tail: log.go waits.
//   - A tail that is reopened does not sync its directory: recover.go does.
//   - Close leaves the meta store open and does not wait: log.go does both.
//
// # Segment files
//
// A segment is created full of zeros (written, not only allocated: an overwrite
// needs no journal commit of the file system, which halves the time of a sync
// here) and synced with its directory before its first append. Beyond the last
// batch there are zeros only. This is what makes a torn write recognisable: a
// sector that was not written is still zero.
//
// # Concurrency
//
// All methods of Log and Stable may be called from any goroutine. A Log owns two
// goroutines, the stall watch and the preparation of the next segment file; Close
// stops them and waits. raft-wal's own, for the rotation, has nothing left to do
// then and ends by itself.
package raftlog
