package transport

import (
	"io"

	"github.com/hashicorp/raft"
)

// resolving looks up the address of a server by its id for each call, so that an
// address may change while ids do not. (Raft's own ServerAddressProvider warns in the
// log, at each call, of a server that it does not know.)
type resolving struct {
	*raft.NetworkTransport
	resolve    func(raft.ServerID) string
	installing func(raft.ServerID, raft.ServerAddress) (done func())
}

var (
	_ Inner          = resolving{}
	_ raft.WithClose = resolving{}
)

func (t resolving) address(id raft.ServerID, configured raft.ServerAddress) raft.ServerAddress {
	if address := t.resolve(id); address != "" {
		return raft.ServerAddress(address)
	}
	return configured
}

// AppendEntries implements raft.Transport.
func (t resolving) AppendEntries(id raft.ServerID, to raft.ServerAddress, req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	return t.NetworkTransport.AppendEntries(id, t.address(id, to), req, resp)
}

// RequestVote implements raft.Transport.
func (t resolving) RequestVote(id raft.ServerID, to raft.ServerAddress, req *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	return t.NetworkTransport.RequestVote(id, t.address(id, to), req, resp)
}

// RequestPreVote implements raft.WithPreVote.
func (t resolving) RequestPreVote(id raft.ServerID, to raft.ServerAddress, req *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	return t.NetworkTransport.RequestPreVote(id, t.address(id, to), req, resp)
}

// InstallSnapshot implements raft.Transport.
func (t resolving) InstallSnapshot(id raft.ServerID, to raft.ServerAddress, req *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	address := t.address(id, to)
	defer t.installing(id, address)()
	return t.NetworkTransport.InstallSnapshot(id, address, req, resp, data)
}

// TimeoutNow implements raft.Transport.
func (t resolving) TimeoutNow(id raft.ServerID, to raft.ServerAddress, req *raft.TimeoutNowRequest, resp *raft.TimeoutNowResponse) error {
	return t.NetworkTransport.TimeoutNow(id, t.address(id, to), req, resp)
}

// EncodePeer implements raft.Transport.
func (t resolving) EncodePeer(id raft.ServerID, address raft.ServerAddress) []byte {
	return []byte(t.address(id, address))
}
