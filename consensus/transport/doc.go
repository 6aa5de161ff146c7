// Package transport is the way between nodes: one TCP port, the raft port, that
// carries Raft's own calls, the introductions of nodes that look for their
// cluster, what a follower forwards to the leader, and sealed segments of the
// journal.
//
//	connection   first 8 bytes            then
//	raft         "edri" 1 'r' 0 0         hashicorp/raft's network transport
//	hello        "edri" 1 'h' 0 0         a line of JSON each way
//	forward      "edri" 1 'f' 0 0         frames, see frame.go
//	segment      "edri" 1 's' 0 0         one sealed segment, see segments.go
//	image        "edri" 1 'i' 0 0         state and journal come back, see image.go
//
// then the server id that is meant: see preamble.go. To Raft a node's address is its
// server id; where it is dialled is looked up for each call (resolve.go).
//
// A connection that begins otherwise is closed before any decoder sees a byte.
// Config.Wrap is where TLS goes, for the same reason.
//
// # What raft 1.7.3 gets wrong, and where it is corrected
//
//   - Heartbeats are handled on the transport's goroutines, where they change
//     term and state beside the main loop (raft issue 695): heartbeat.go answers
//     them itself where nothing can change, and hands the rest to the main loop.
//   - InstallSnapshot is read from the network on the main loop, which then
//     neither votes nor applies: receive.go has all of it taken first, with the
//     segments that it only names, and gives Raft an empty stream.
//   - After a call that it answers with an error the transport goes on reading
//     where it stands, and takes what is left of a snapshot for calls: receive.go
//     reads a refused one to its end, conn.go ends a connection that breaks within
//     a call.
//   - A snapshot may take as long as its size allows, hours, also to a peer that is
//     gone; and no longer, also where its receiver is busy with segments: conn.go
//     waits as long as the peer answers heartbeats.
//   - A follower commits up to the end of its own log what a call did not compare
//     with the leader's: compared.go bounds the commit index.
//   - A follower that has fetched its state beside Raft is led back through the
//     leader's whole log, an entry a call: base.go.
//   - A repeated vote is granted, and a candidate told from the known leader, by
//     address: a node that took over another's address could get the vote that
//     was given to the other. Addresses are server ids here (Config.ID).
//   - An AppendEntries does not say whom it is meant for: see preamble.go.
//   - VerifyLeader counts answers to heartbeats that were sent before it was
//     asked: rounds.go numbers what is sent.
//   - Pipelined replication can wedge a follower in silence: it is off, by
//     MaxRPCsInFlight 1.
//   - A wrapper that forgets an optional interface loses its feature in silence
//     (pre-vote, Close): raft.go asserts them all.
//
// # Concurrency
//
// Every type is safe for concurrent use. Port owns all goroutines, and Close
// waits for them.
package transport
