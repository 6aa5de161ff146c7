package consensus

import (
	"maps"
	"slices"
	"sync"

	"github.com/hashicorp/raft"
)

// maxHeard bounds the servers whose addresses are remembered: anyone may call.
const maxHeard = 1024

// addresses is where the other servers are reached. Ids stay, addresses may
// change, all at once too, so that nothing that was stored can be relied on. The
// sources, best first:
//
//	heard   a server said so itself, or answered there, or committed it since this
//	        node runs: whatever came last
//	peers   --peers, by the name in the id
//	table   what the state said when this node started
//	told    by another server about it
//	roster  of whoever it may be: what was a member's before this node started
//
// A wrong address costs a failed call: a connection names whom it is meant for.
type addresses struct {
	own    string
	peers  []Peer
	roster []string

	mu     sync.Mutex
	latest map[raft.ServerID]string
	table  map[raft.ServerID]string
	told   map[raft.ServerID]string
}

func newAddresses(own string, peers []Peer, roster []string) *addresses {
	return &addresses{own: own, peers: peers, roster: roster, latest: map[raft.ServerID]string{}, told: map[raft.ServerID]string{}}
}

// of returns the address of a server, empty if it is not known.
func (a *addresses) of(id raft.ServerID) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if address := a.latest[id]; address != "" {
		return address
	}
	for _, p := range a.peers {
		if p.Name == nodeName(id) {
			return p.Address
		}
	}
	if address := a.table[id]; address != "" {
		return address
	}
	return a.told[id]
}

// heard records where a server is certainly reached.
func (a *addresses) heard(id raft.ServerID, address string) {
	if address == "" {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, known := a.latest[id]; known || len(a.latest) < maxHeard {
		a.latest[id] = address
	}
}

// hearsay records where another server says that these are.
func (a *addresses) hearsay(members []IntroducedMember) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, m := range members {
		if _, known := a.told[raft.ServerID(m.ServerID)]; m.Address != "" && (known || len(a.told) < maxHeard) {
			a.told[raft.ServerID(m.ServerID)] = m.Address
		}
	}
}

// committed takes over what the state says. What changes while this node runs
// is news; what was there before may be old.
func (a *addresses) committed(members []Member) {
	a.mu.Lock()
	defer a.mu.Unlock()
	first := a.table == nil
	if first {
		a.table = map[raft.ServerID]string{}
	}
	for _, m := range members {
		id := raft.ServerID(m.ServerID)
		if m.RaftAddress == "" || a.table[id] == m.RaftAddress {
			continue
		}
		a.table[id] = m.RaftAddress
		if !first {
			a.latest[id] = m.RaftAddress
		}
	}
}

// all returns every address under which one of these servers, a peer or an earlier
// member might be reached, without this node's own.
func (a *addresses) all(ids []raft.ServerID) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	found := map[string]bool{}
	for _, p := range a.peers {
		found[p.Address] = true
	}
	for _, address := range a.roster {
		found[address] = true
	}
	for _, id := range ids {
		found[a.latest[id]], found[a.table[id]], found[a.told[id]] = true, true, true
	}
	delete(found, "")
	delete(found, a.own)
	return slices.Sorted(maps.Keys(found))
}

// PeerAddress returns where the raft port of a server is reached, empty if that
// is not known.
func (n *Node) PeerAddress(id raft.ServerID) string {
	if id == n.serverID {
		return n.cfg.RaftAdvertise
	}
	return n.addresses.of(id)
}
