// Package consensus turns commits into the replicated history and its state.
//
// # The core
//
// Core is the deterministic part: it knows nothing of Raft, clocks or sockets.
// It is fed committed entries in order, on one goroutine, and derives from them
// the journal, the streams' revisions, the sessions and the deduplication
// window. Two cores that were fed the same entries hold the same rows, however
// the entries were batched and however often the cores were closed, killed and
// opened again in between. What varies between nodes or runs (time, epoch,
// feature level) is stamped into the entry's header by the proposer.
//
// The goroutine that feeds the core calls, per batch of the Raft log:
//
//	Apply, ApplyConfiguration …  change what is in memory and give outcomes
//	Publish                      shows all of it to readers at once
//	Freeze                       now and then: what is published is to be flushed
//
// Flush.Run, View and the accessors marked so may be called from any goroutine.
//
// # A commit
//
// The bytes of the protobuf message edri.v1.Commit are the commit, on the wire
// and in the log. CheckCommit validates them where they enter the cluster;
// SealCommit adds what apply needs (fields 15 and 16; concatenation is
// protobuf's merge). Apply trusts these bytes and treats what it cannot decode
// as ErrUndecodable, which stops the node: a node that skipped an entry would
// silently hold another history than its peers.
//
// Apply executes a commit in this order:
//
//  1. An entry or a commit of another epoch: epoch_changed; nothing is consumed.
//  2. Session. Unknown: session_expired. Sequences up to the last executed one
//     are repeats and get the kept result, byte for byte; a sequence whose result
//     is no longer kept is outcome_unknown; a range that overlaps what was
//     executed is invalid; a gap is unavailable. None of these is consumed, but
//     all of them count as use of the session, and drop the results up to
//     acked_through.
//  3. Each operation in order. An append looks for its (source, id) first, so
//     that a duplicate is a success even where `expected` would fail, then at
//     `expected`.
//  4. All operations hold, or none: one that fails does not stop the check of
//     those after it, which see what the holding ones before them made, as if the
//     failing ones were absent. A commit of one operation fails with that
//     operation's error, a longer one with check_failed and all violations.
//     With `each` those that hold take effect, and the others' errors are their
//     results.
//  5. The session's sequence is consumed and the result kept, also of a failure.
//
// Operations that change sessions or the cluster itself (open_session,
// open_producer, close_session and all from 100) stand alone in their commit.
//
// The text of an error that apply makes is part of a kept result and therefore
// of the replicated state: change it only with the feature level, and make it of
// nothing but replicated values (no path, address, or order of a map).
//
// # State machines
//
// What is above this package executes operations 16-99 as a StateMachine, with rows of
// its own, in the transaction of the whole commit (mux.go, tx.go). One may also be told
// what took effect (Observer, notes.go) and, on the leader, see operations before they
// are proposed (Admitter, admission.go); what it proposes itself it hands to
// Node.Propose or Node.Enqueue.
//
// # Idempotence
//
// A session keeps its last results, at most 256 and 64 KiB of them (the newest
// always, whatever its size), less those that the client acknowledged.
//
// The window holds the fingerprints of the last W events. A commit is judged by
// the window as it stood when the commit began, and by its own events. A change
// of W holds from the next commit. Lowering it forgets at once; raising it does
// not bring back what is out already, the window then grows with new events.
//
// # Pulses
//
// Every second each node asks each other member for its pulse (pulse.go): its
// clock, and how it is. What follows is computed then, once a second, and only
// loaded where it is needed:
//
//   - The cluster's time, with which the leader stamps entries, is the median of
//     the voters' clocks (clocks.go).
//   - While fewer than a majority of the voters, the leader among them, keep
//     their disk's reserve, the leader refuses commits that store with
//     quota_exceeded, before they are proposed (space.go). All else goes on. A
//     leader that alone has too little hands over.
//   - The cluster's feature level rises when every member's binary applies more
//     (feature.go).
//   - The hashes of the state at every 10,000th entry (statehash.go) are compared:
//     a node that differs from a majority stops (agreement.go).
//   - A member that answers the leader's heartbeats and whose log stands still for
//     10 s nevertheless is an alarm: Raft replicates beside its heartbeats and says
//     nothing when it is stuck (replication.go).
//
// What is wrong and needs a person is an alarm (alarms.go): logged once, and in
// the status as long as it holds.
//
// # Backup, restore, inspect
//
// Node.Backup writes state and journal at one position as a file of package backup,
// on any node and beside everything else: what can change is copied to the staging
// directory first, what cannot is linked there. Restore makes a data directory from
// it, a cluster of one in an epoch of its own (restore.go has the steps, lineage.go
// what survives). Inspect reads a data directory that no node has open.
//
// # The state
//
// One row of the table meta says up to which entry the other rows are current;
// they are written together. Tables (integers big-endian, BE8 of 8 bytes):
//
//	meta          "core" -> see meta.go; "configuration" -> BE8 index, Raft's bytes
//	streams       name -> BE8 revision, BE8 position of its last event
//	sessions      BE8 id -> see session_row.go
//	producers     name -> BE8 session id
//	fingerprints  BE8 first position -> 24 bytes for each event that one entry
//	              appended; gapless, kept for at least the window
//	members       server id -> API URL
//	settings      name -> BE8 value
//	purges        stream -> BE8 position of the last event that is purged
//	pins          see pins.go
//
// and one table for each StateMachine, under its name.
package consensus
