package consensus

import (
	"fmt"

	"github.com/hashicorp/raft"
)

// Introduction is what nodes tell each other outside Raft: who they are, where
// they are reached, and what they know of the cluster.
type Introduction struct {
	ServerID string   `json:"server_id"`
	Address  string   `json:"address"`         // of the raft port, as others dial it
	Empty    bool     `json:"empty,omitempty"` // nothing in raft log or state
	Peers    []string `json:"peers,omitempty"` // NAME=HOST:PORT, sorted by name

	Leader  string             `json:"leader,omitempty"`  // server id; empty: none known
	Members []IntroducedMember `json:"members,omitempty"` // of the configuration
	Feature uint32             `json:"feature,omitempty"` // feature level of the cluster

	// About the node that asked.
	Removed  bool `json:"removed,omitempty"`  // it was taken out of the cluster for good
	Expected bool `json:"expected,omitempty"` // a node of its name is to replace another
}

// IntroducedMember is a member of the configuration and where it was last known.
type IntroducedMember struct {
	ServerID string `json:"server_id"`
	Address  string `json:"address,omitempty"`
}

// knows reports whether a server is among the members.
func (in Introduction) knows(id raft.ServerID) bool {
	for _, m := range in.Members {
		if m.ServerID == string(id) {
			return true
		}
	}
	return false
}

// Introduce answers a node that introduces itself.
func (n *Node) Introduce(caller Introduction) (Introduction, error) {
	in, err := n.introduction()
	if err != nil || caller.ServerID == "" {
		return in, err
	}
	n.findUsurpation(caller)
	id := raft.ServerID(caller.ServerID)
	n.addresses.heard(id, caller.Address)
	view := n.View()
	defer view.Close()
	row, err := view.member(caller.ServerID)
	if err != nil {
		return Introduction{}, err
	}
	old, err := view.expected(nodeName(id))
	if err != nil {
		return Introduction{}, err
	}
	in.Removed, in.Expected = row.Removed, old != ""
	return in, nil
}

// findUsurpation ends this node if the caller's cluster knows another disk under
// this node's name and address. The first node of a cluster of one, with its disk
// emptied, makes a cluster of one again, since nothing tells it of the nodes that
// have joined since. They look for it here.
func (n *Node) findUsurpation(caller Introduction) {
	if caller.knows(n.serverID) {
		return
	}
	for _, m := range caller.Members {
		if nodeName(raft.ServerID(m.ServerID)) == n.cfg.Name && m.Address == n.cfg.RaftAdvertise && n.isSoleMember() {
			n.failWith(ExitError, fmt.Errorf("%w: %s knows %s at this address, this is %s, with an emptied disk and a cluster of its own. "+
				"Empty the data directory again, run 'edri cluster replace %s', and start this node with --join and the API URL of another",
				ErrForeignDisk, caller.ServerID, m.ServerID, n.serverID, n.cfg.Name))
		}
	}
}

// isSoleMember reports whether this node is a cluster of one.
func (n *Node) isSoleMember() bool {
	r := n.raft.Load()
	return r != nil && len(r.GetConfiguration().Configuration().Servers) == 1 && n.votes()
}

// introduction is what this node says of itself.
func (n *Node) introduction() (Introduction, error) {
	empty, err := n.isEmpty()
	if err != nil {
		return Introduction{}, err
	}
	in := Introduction{ServerID: string(n.serverID), Address: n.cfg.RaftAdvertise, Empty: empty, Peers: peerList(n.cfg.Peers),
		Feature: n.core.Load().FeatureLevel()}
	r := n.raft.Load()
	if r == nil {
		return in, nil
	}
	_, leader := r.LeaderWithID()
	in.Leader = string(leader)
	for _, s := range r.GetConfiguration().Configuration().Servers {
		in.Members = append(in.Members, IntroducedMember{string(s.ID), n.PeerAddress(s.ID)})
	}
	return in, nil
}

func peerList(peers []Peer) []string {
	list := make([]string, len(peers))
	for i, p := range peers {
		list[i] = p.Name + "=" + p.Address
	}
	return list
}
