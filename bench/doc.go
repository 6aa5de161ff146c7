// Package bench measures a running cluster from outside: appends by closed-loop
// producers, scans, deliveries and requests.
//
// A rate alone says little about a store that syncs to disk before it answers,
// because the disk decides most of it. Append therefore measures in the same run,
// round by round beside the cluster, what the disk itself allows (see limit.go):
// three files on the file system of the data directories, each batch of what is
// pending written to all three and synced in parallel, answered when all three
// are. The ratio between the two is what can be compared between machines.
//
// Producers are closed loops: each waits for its answer before it sends its next
// event, so k producers have at most k events in flight. A round measures each
// level of k once, limit and cluster one after the other; of the rounds the
// median counts.
//
// Deliver measures a member of a subscription beside as many producers in the same
// run, since an acknowledgement is a commit too.
package bench
