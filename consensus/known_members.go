package consensus

import (
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/event"
)

// deadAfter is how long a member must be silent to a leader to count as gone.
const deadAfter = 2 * time.Second

// knownMembers is who belongs to the cluster, and what is under way.
type knownMembers struct {
	servers  []raft.Server
	index    uint64 // of the configuration
	pending  *Change
	expected map[string]string
	removed  map[string]bool
}

func (n *Node) knownMembers() (knownMembers, error) {
	future := n.raft.Load().GetConfiguration()
	if err := future.Error(); err != nil {
		return knownMembers{}, fmt.Errorf("read configuration: %w", err)
	}
	k := knownMembers{servers: future.Configuration().Servers, index: future.Index(), removed: map[string]bool{}}
	v := n.View()
	defer v.Close()
	members, err := v.Members()
	if err != nil {
		return knownMembers{}, err
	}
	for _, m := range members {
		if m.Removed {
			k.removed[m.ServerID] = true
		}
	}
	if k.pending, err = v.PendingChange(); err != nil {
		return knownMembers{}, err
	}
	k.expected, err = v.Expectations()
	return k, err
}

// find returns the member that a person calls by its name or its server id.
func (k knownMembers) find(name string) (raft.ServerID, error) {
	var named []string
	for _, s := range k.servers {
		if string(s.ID) == name {
			return s.ID, nil
		}
		if nodeName(s.ID) == name {
			named = append(named, string(s.ID))
		}
	}
	switch len(named) {
	case 0:
		return "", event.Errorf(event.CodeNotFound, "the cluster has no member %q", name)
	case 1:
		return raft.ServerID(named[0]), nil
	}
	return "", event.Errorf(event.CodeInvalid, "%q is the name of several members, say which: %s", name, strings.Join(named, ", "))
}

// gone returns a removed server of this name or server id, empty if there is
// none.
func (k knownMembers) gone(name string) string {
	for id := range k.removed {
		if id == name || nodeName(raft.ServerID(id)) == name {
			return id
		}
	}
	return ""
}

const absent raft.ServerSuffrage = -1

func (k knownMembers) suffrage(id raft.ServerID) raft.ServerSuffrage {
	for _, s := range k.servers {
		if s.ID == id {
			return s.Suffrage
		}
	}
	return absent
}

func (k knownMembers) without(id raft.ServerID) []raft.Server {
	var rest []raft.Server
	for _, s := range k.servers {
		if s.ID != id {
			rest = append(rest, s)
		}
	}
	return rest
}

// with returns the servers with this one as a voter.
func (k knownMembers) with(id raft.ServerID) []raft.Server {
	return append(k.without(id), raft.Server{ID: id, Suffrage: raft.Voter})
}

func voters(servers []raft.Server) int {
	count := 0
	for _, s := range servers {
		if s.Suffrage == raft.Voter {
			count++
		}
	}
	return count
}

// losesQuorum says why these servers would have no quorum now, empty if they
// have one.
func (n *Node) losesQuorum(servers []raft.Server) string {
	answering := 0
	var silent []string
	for _, s := range servers {
		if s.Suffrage != raft.Voter {
			continue
		}
		if s.ID == n.serverID || time.Since(n.peers.LastAck(s.ID)) < deadAfter {
			answering++
		} else {
			silent = append(silent, string(s.ID))
		}
	}
	if all := voters(servers); answering <= all/2 {
		return fmt.Sprintf("%d of %d voters answer, %s do not", answering, all, strings.Join(silent, ", "))
	}
	return ""
}
