// Package store keeps tables of sorted rows in one bbolt file and writes them
// behind. A change is in memory at once, and the state machine goes on without
// the disk; every so often all that was published reaches the file in one
// synced transaction. What was not flushed when the process dies is made again
// by replaying the replicated log, so the file needs to be consistent, not
// recent.
//
// # Layers
//
// A row is looked up from the top down; the first layer that knows the key
// decides. A deleted row is a tombstone in a layer above one that has it.
//
//	scratch    one commit's changes, merged on success, else dropped    ┐ owned by the
//	active     changes since the last Freeze, a copy-on-write B-tree    ┘ apply goroutine
//	frozen     what the running flush writes; immutable                 ┐ shared by views,
//	file       the last flush's bbolt read transaction, counted         ┘ immutable
//
// Publish makes a copy of the active layer visible to views; copying is cheap
// because nodes are shared until one side changes them. Freeze turns the
// active layer into the frozen one. When Flush has committed it, one step under
// the lock drops the frozen layer and moves on to a new read transaction, so a
// view sees the same rows before and after, and never half a Publish.
//
//	        Put, Delete        Freeze              Flush
//	scratch ────────▶ active ────────▶ frozen ────────▶ file
//	          Merge     │ Publish        │                │
//	                    └──────────▶ View ◀───────────────┘
//
// # Who may do what
//
// One goroutine, apply, calls Begin, all methods of the Tx and its scratches,
// Publish and Freeze. Any goroutine may call the rest. At most one layer is
// frozen; Flush runs on another goroutine while apply goes on. Locks, in
// order: DB.flushMu (a commit, a check), then DB.mu (which layers are current;
// held for a few instructions).
//
// Every read holds a bbolt read transaction through a count of references. bbolt
// cannot reuse pages that an open one sees, so a view held for long makes the
// file grow; and it cannot move its memory map while one is open, so the file
// is mapped once, far larger than it is (Config.InitialMmap).
//
// # Damage
//
// bbolt checksums its two meta pages and nothing else. A row here is
//
//	value | CRC-32C u32 little endian
//
// with the checksum over the table's name, the key's length, the key and the
// value (row.go), checked at every read from the file. Reads do not go through
// bbolt's cursors, which trust every page, but through our own (cursor.go): each
// page must fit the branch that leads to it, and a row that is not found must
// lie between sound neighbours, so that damage does not hide rows either. At open
// the skeleton of the file is checked (CheckBolt). So damage is ErrCorrupt, and
// neither a wrong value nor a wrong "there is none".
//
// What remains are writes that the disk reported and never made: a page that is
// old but whole. Some of them Check finds, which reads everything, as Scrub does
// at a pace; the rest only shows by comparing digests between nodes.
//
// # Errors
//
// An error of a flush may leave its rows in the file or not (a failed bbolt
// commit can be visible afterwards), and after a failed sync the page cache may
// claim what the disk does not have. So the DB is failed from then on: every
// later call returns that error, and the process must exit and replay.
package store
