// Package managers runs a user's handlers of events: a manager groups handlers by
// event type, workers run them, and what a handler returns is committed together
// with the acknowledgement of the event that it was given. It knows the cluster
// only as [Cluster], so that the same manager runs in a server and in a process of
// the user's own.
package managers
