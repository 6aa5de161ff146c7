package consensus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

const (
	meetInterval = 200 * time.Millisecond // while no leader is known
	// How often a leader looks for a member that does not answer, and how long a
	// node without a leader waits before it asks where else its peers may be.
	seekInterval = time.Second
	introduceFor = time.Second // one introduction
)

// ErrRemoved says that this node was taken out of the cluster. Its id never
// comes back: the data directory is to be deleted, and may then join anew.
var ErrRemoved = errors.New("this node was removed from the cluster")

// meetPeers introduces this node to the others while it knows no leader, and to
// silent members while it leads: after a change of addresses this is how nodes
// find each other again. It ends the node when one of them says that it was
// removed.
func (n *Node) meetPeers() {
	defer n.tasks.Done()
	ticker := time.NewTicker(meetInterval)
	defer ticker.Stop()
	alone := time.Now()  // since when no leader is known
	sought := time.Now() // when seeds were asked, or silent members looked for
	for {
		if ids, leaderless := n.strangers(); leaderless {
			seek := time.Since(alone) > seekInterval && time.Since(sought) > seekInterval
			if seek {
				sought = time.Now()
			}
			n.meet(ids, seek)
		} else {
			alone = time.Now()
			if len(ids) > 0 && time.Since(sought) > seekInterval {
				sought = time.Now()
				n.meet(ids, false)
			}
		}
		select {
		case <-ticker.C:
		case <-n.closing:
			return
		}
	}
}

// strangers returns the servers that this node should be in touch with and is
// not.
func (n *Node) strangers() (ids []raft.ServerID, leaderless bool) {
	r := n.raft.Load()
	if r == nil {
		return nil, false // the search for the cluster is under way
	}
	_, leader := r.LeaderWithID()
	leading := r.State() == raft.Leader
	for _, s := range r.GetConfiguration().Configuration().Servers {
		if s.ID == n.serverID || leading && time.Since(n.peers.LastAck(s.ID)) < seekInterval {
			continue
		}
		ids = append(ids, s.ID)
	}
	if leader == "" {
		return ids, true
	}
	if !leading {
		return nil, false
	}
	return ids, false
}

// meet exchanges introductions with whoever is at the addresses where these
// servers may be.
func (n *Node) meet(ids []raft.ServerID, seek bool) {
	targets := n.addresses.all(ids)
	if seek && n.cfg.Seeds != nil {
		targets = append(targets, n.cfg.Seeds(n.lifetime)...)
	}
	var meeting sync.WaitGroup
	for _, address := range targets {
		meeting.Go(func() {
			in, err := n.introduceAt(address)
			if err == nil && in.Removed {
				n.failWith(ExitRemoved, fmt.Errorf("%w: %s says so of %s; it may come back as a new one: empty the data directory and start it with --join",
					ErrRemoved, in.ServerID, n.serverID))
			}
		})
	}
	meeting.Wait()
}

// introduceAt exchanges introductions with the node at an address.
func (n *Node) introduceAt(address string) (Introduction, error) {
	own, err := n.introduction()
	if err != nil {
		return Introduction{}, err
	}
	ctx, cancel := context.WithTimeout(n.lifetime, introduceFor)
	defer cancel()
	in, err := n.peers.Introduce(ctx, address, own)
	if err != nil {
		return Introduction{}, err
	}
	if in.ServerID != string(n.serverID) {
		n.addresses.heard(raft.ServerID(in.ServerID), address)
		n.addresses.hearsay(in.Members)
	}
	return in, nil
}
