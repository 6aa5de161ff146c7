package consensus

import (
	"context"
	"io"
	"time"

	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/consensus/transport"
)

// Network is what a node needs of the way to its peers. In production it is the
// raft port (package transport); simulations bring their own.
type Network interface {
	// Transport is Raft's.
	Transport() raft.Transport

	// Begin, Acked and Changed number what Raft sends; see readIndexes.
	Begin() uint64
	Acked(id raft.ServerID) uint64
	Changed() <-chan struct{}
	// LastAck is when this voter last answered anything.
	LastAck(id raft.ServerID) time.Time

	// Match is up to where this server's log is known to be the leader's, 0 for
	// not known in this term.
	Match(id raft.ServerID) uint64

	// Go sends a request to a peer, in order with those sent to it before. done
	// is called once, with transport.ErrNotSent if the request certainly did not
	// leave this node.
	Go(peer raft.ServerID, kind byte, payload []byte, done func(reply []byte, err error))

	// Introduce tells the node at an address who this one is, and returns who it is.
	Introduce(ctx context.Context, address string, own Introduction) (Introduction, error)

	// FetchSegment copies a sealed segment of a peer to w and returns its size; see
	// transport.Port.
	FetchSegment(ctx context.Context, peer raft.ServerID, address raft.ServerAddress, s transport.Segment, w io.Writer) (int64, error)

	// FetchImage writes the state and the journal of a peer, reached at an address,
	// to w, as the stream of Node.Image. An error of w comes back as it is.
	FetchImage(ctx context.Context, peer raft.ServerID, address string, w io.Writer) error

	Close() error
}
