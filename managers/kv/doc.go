// Package kv is the replicated state machine of keys and their values.
//
// # Buckets and keys
//
// A bucket has limits of its own and an id, an incarnation, under which its rows are: a
// bucket that is made again under the same name begins empty. Buckets are made by
// operations; the one named "default" is made by its first put too.
//
// A key's revision is the position of the event of its last change, 0 while it is not
// there. Its history are its last changes, as many as the bucket says, the one that
// holds among them. With the usual history of one, all that is kept is the value.
//
//	         put               put
//	absent ───────▶ there ───────────▶ there        (the one before: history)
//	   ▲              │
//	   │     delete,  │
//	   │     its time │
//	   │              ▼
//	   └────────── absent, its history ends with a tombstone
//	   keep_deleted
//
// # Events
//
// Every change is an event in stream kv/BUCKET, appended in the same transaction, so that
// the history tells all that ever happened, beyond what is kept here:
//
//	type                     subject  data                     extensions
//	edri.kv.put              the key  the value                kvcommit, kvexpires
//	edri.kv.deleted          the key                           kvcommit
//	edri.kv.expired          the key                           kvcommit
//	edri.kv.bucket.created   none     the config, as JSON      kvcommit
//	edri.kv.bucket.updated   none     the config, as JSON      kvcommit
//	edri.kv.bucket.deleted   none                              kvcommit
//
// A key that is longer than a subject may be stands in the extension kvkey. kvcommit is
// the same for the events of one commit and of no other, so that a watch can keep a
// commit whole; kvexpires is when the put expires. Their ids are incarnations: no two
// changes are ever taken for one event, whatever is put again.
//
// # Rows
//
// Integers are big-endian (BE8: 8 bytes) or uvarints; layouts stand in row.go. Keys have
// no control characters, so that a zero byte ends them.
//
//	key                            row
//	'n'                            number of buckets
//	'b' name                       bucket: id, config as it came
//	'c' BE8 id                     what is in it: keys, bytes, floor, the bucket's name
//	'k' BE8 id, key                entry: the key as it is
//	'h' BE8 id, key, 0, BE8 revision   entry: the key as it was, or a tombstone
//
// What holds between them, after every operation:
//
//   - 'c' counts the 'k' rows of its id and the bytes of their values. Without it the
//     bucket is gone, and what else stands under its id is being swept.
//   - The 'h' rows of a key are older than its 'k' row, and contiguous: history is cut at
//     its old end alone. The entry that holds, or else the newest tombstone, says how many
//     'h' rows there are and whether some were cut.
//   - A key that is there and expires has one timer, as has a tombstone without a 'k' row.
//   - What a bucket forgot of keys that have no row any more lies below its floor. A read
//     at an earlier position is answered from rows, with compacted where it lies below
//     what was cut or below the floor, and never with a guess.
//
// # Expiry
//
// A key is there until the event of its expiry is committed, however late that is: reads,
// conditions and watches agree. The leader's timers fire by the cluster's time. A put or
// delete cancels the timer; one that fires anyway finds another number in the row.
//
// # Crashes
//
//	crash                                        then
//	before a change is in the Raft log           it did not happen; the client's session
//	                                             sends it again under its sequence
//	after it, before its answer                  the session's repeat gets the same answer
//	a leader was deposed, its entry commits      it counts; conditions hold in the order of
//	                                             the log, whoever leads
//	between an expiry's time and its timer       the next leader fires it
//	a bucket is deleted, its rows are left       they are of an id that nothing finds; a
//	                                             timer sweeps some, and sets the next
//	a sweep, a timer and a change in one entry   each is a commit of its own, in order
package kv
