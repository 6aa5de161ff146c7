package transport

import (
	"io"
	"strings"

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

// target names the peer of a call to the port, which dials it.
func (t resolving) target(id raft.ServerID, configured raft.ServerAddress) raft.ServerAddress {
	address := t.resolve(id)
	if address == "" {
		address = string(configured)
	}
	return raft.ServerAddress(string(id) + "@" + address)
}

// splitTarget is the inverse of target. Addresses hold no @.
func splitTarget(target raft.ServerAddress) (id raft.ServerID, address string) {
	at := strings.LastIndexByte(string(target), '@')
	if at < 0 {
		return "", string(target)
	}
	return raft.ServerID(target[:at]), string(target[at+1:])
}

// AppendEntries implements raft.Transport.
func (t resolving) AppendEntries(id raft.ServerID, to raft.ServerAddress, req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	return t.NetworkTransport.AppendEntries(id, t.target(id, to), req, resp)
}

// RequestVote implements raft.Transport.
func (t resolving) RequestVote(id raft.ServerID, to raft.ServerAddress, req *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	return t.NetworkTransport.RequestVote(id, t.target(id, to), req, resp)
}

// RequestPreVote implements raft.WithPreVote.
func (t resolving) RequestPreVote(id raft.ServerID, to raft.ServerAddress, req *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	return t.NetworkTransport.RequestPreVote(id, t.target(id, to), req, resp)
}

// InstallSnapshot implements raft.Transport.
func (t resolving) InstallSnapshot(id raft.ServerID, to raft.ServerAddress, req *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	address := t.target(id, to)
	defer t.installing(id, address)()
	return t.NetworkTransport.InstallSnapshot(id, address, req, resp, data)
}

// TimeoutNow implements raft.Transport.
func (t resolving) TimeoutNow(id raft.ServerID, to raft.ServerAddress, req *raft.TimeoutNowRequest, resp *raft.TimeoutNowResponse) error {
	return t.NetworkTransport.TimeoutNow(id, t.target(id, to), req, resp)
}
