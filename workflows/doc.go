// Package workflows lets a user write a workflow of many steps as a Go function, whose
// progress survives every crash.
//
// This file says what the parts of it have to agree on; see cluster.go for what a worker
// says to a cluster and history.go for what is recorded.
package workflows
