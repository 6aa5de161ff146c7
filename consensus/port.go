package consensus

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/consensus/transport"
)

// port is the Network of production: the raft port.
type port struct {
	*transport.Port
}

var _ Network = port{}

// connect opens the node's way to its peers.
func (n *Node) connect() (Network, error) {
	if n.cfg.Network != nil {
		return n.cfg.Network(n)
	}
	p, err := transport.Open(transport.Config{
		Listen:   n.cfg.RaftListen,
		ID:       n.serverID,
		Resolve:  n.PeerAddress,
		Hello:    n.answerHello,
		Serve:    n.Serve,
		State:    n.RaftState,
		Base:     n.RaftBase,
		Receive:  n.ReceiveSnapshot,
		Segments: n.OpenSegment,
		Image:    n.Image,

		SegmentRate: n.cfg.CatchupRate,

		RaftLogger: n.cfg.RaftLogger,
		Logger:     n.logger,
	})
	if err != nil {
		return nil, err
	}
	return port{p}, nil
}

// answerHello is what the raft port answers to another node's introduction.
func (n *Node) answerHello(from []byte) ([]byte, error) {
	var caller Introduction
	if err := json.Unmarshal(from, &caller); err != nil {
		return nil, fmt.Errorf("decode introduction: %w", err)
	}
	in, err := n.Introduce(caller)
	if err != nil {
		return nil, err
	}
	return encodeIntroduction(in)
}

func encodeIntroduction(in Introduction) ([]byte, error) {
	b, err := json.Marshal(in)
	if err != nil {
		return nil, fmt.Errorf("encode introduction: %w", err)
	}
	return b, nil
}

// RaftState is what this node currently is to Raft.
func (n *Node) RaftState() (raft.RaftState, uint64) {
	r := n.raft.Load()
	if r == nil {
		return raft.Shutdown, 0
	}
	return r.State(), r.CurrentTerm()
}

// RaftBase is the last entry of the state that this node got from another one, 0
// if it has none.
func (n *Node) RaftBase() (index, term uint64) {
	if base := n.entries.base.Load(); base != nil {
		return base.Index, base.Term
	}
	return 0, 0
}

// HangUp closes all connections to the other nodes, which then wait for this one
// no longer. The node must end after it.
func (n *Node) HangUp() error { return n.peers.Close() }

// Transport implements Network.
func (p port) Transport() raft.Transport { return p.Raft() }

// Begin implements Network.
func (p port) Begin() uint64 { return p.Rounds().Begin() }

// Acked implements Network.
func (p port) Acked(id raft.ServerID) uint64 { return p.Rounds().Acked(id) }

// Changed implements Network.
func (p port) Changed() <-chan struct{} { return p.Rounds().Changed() }

// LastAck implements Network.
func (p port) LastAck(id raft.ServerID) time.Time { return p.Rounds().LastAck(id) }

// Match implements Network.
func (p port) Match(id raft.ServerID) uint64 { return p.Rounds().Match(id) }

// Introduce implements Network.
func (p port) Introduce(ctx context.Context, address string, own Introduction) (Introduction, error) {
	mine, err := encodeIntroduction(own)
	if err != nil {
		return Introduction{}, err
	}
	b, err := p.Hello(ctx, address, mine)
	if err != nil {
		return Introduction{}, err
	}
	var in Introduction
	if err := json.Unmarshal(b, &in); err != nil {
		return Introduction{}, fmt.Errorf("decode introduction: %w", err)
	}
	return in, nil
}
