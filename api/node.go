package api

import (
	"context"
	"io"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// Committer executes commits; see consensus.Node.Submit.
type Committer interface {
	Submit(commits [][]byte, done consensus.Done)
}

// Reader gives views of state and journal, and waits until they are as new as a
// read wants; see consensus.Node.
type Reader interface {
	// Now is the cluster's time, in nanoseconds since 1970.
	Now() int64
	Await(ctx context.Context, linearizable bool, min event.Position) error
	WaitBeyond(ctx context.Context, position event.Position) error
	View() *consensus.View
}

// Reporter tells how the node is.
type Reporter interface {
	Status() (consensus.Status, error)
	Ready() error
}

// Operator does what operators ask for; see consensus.Node.
type Operator interface {
	Backup(ctx context.Context, r consensus.BackupRequest, w io.Writer) error
	RemoveMember(ctx context.Context, server string, force bool) (serverID string, err error)
	ExpectReplacement(ctx context.Context, server, name string) (serverID string, err error)
	ForgetReplacement(ctx context.Context, server, name string) (serverID string, err error)
}

// Retainer bounds the history; see consensus.Node.
type Retainer interface {
	SetRetention(ctx context.Context, change consensus.RetentionChange) error
	PurgeStream(ctx context.Context, stream string, before event.Revision) error
}

// Node is what the api needs of a node.
type Node interface {
	Committer
	Reader
	Reporter
	Operator
	Retainer
	Guide
}

var _ Node = (*consensus.Node)(nil)
