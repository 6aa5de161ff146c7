package consensus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/store"
)

// How often a node that has not found its cluster asks again.
const discoverInterval = 200 * time.Millisecond

// ErrForeignDisk means that the cluster knows a node of this name by another
// disk: this one was emptied, and has forgotten what it promised.
var ErrForeignDisk = errors.New("the cluster knows this node by another disk")

// Introduction is what nodes tell each other before Raft starts.
type Introduction struct {
	ServerID string   `json:"server_id"`
	Empty    bool     `json:"empty"`             // nothing in raft log or state
	Peers    []string `json:"peers"`             // NAME=HOST:PORT, sorted by name
	Members  []string `json:"members,omitempty"` // server ids of the configuration
}

// Introduce answers a peer that asks who this node is.
func (n *Node) Introduce() (Introduction, error) {
	empty, err := n.isEmpty()
	if err != nil {
		return Introduction{}, err
	}
	in := Introduction{ServerID: string(n.serverID), Empty: empty, Peers: peerList(n.cfg.Peers)}
	if r := n.raft.Load(); r != nil {
		for _, s := range r.GetConfiguration().Configuration().Servers {
			in.Members = append(in.Members, string(s.ID))
		}
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

// isEmpty reports whether this node has neither log nor state. A term alone
// does not count: a crash between the two writes of a bootstrap leaves one.
func (n *Node) isEmpty() (bool, error) {
	last, err := n.log.LastIndex()
	if err != nil {
		return false, fmt.Errorf("read raft log: %w", err)
	}
	index, _ := n.core.Load().AppliedIndex()
	return last == 0 && index == 0, nil
}

// start finds the cluster and starts Raft.
//
// A node with data goes on where it was. An empty one takes part in the making
// of a cluster only when every peer of the set is empty too and names the same
// set: the first in order writes the configuration, the others wait for it. If
// a peer has data, the cluster exists; its configuration must then contain this
// very disk, or the disk was emptied and must not answer under its old name.
func (n *Node) start() {
	defer n.tasks.Done()
	defer close(n.started)
	if err := n.findCluster(); err != nil {
		if n.lifetime.Err() == nil {
			n.failWith(startExitCode(err), err)
		}
		return
	}
	if err := n.startRaft(); err != nil && n.lifetime.Err() == nil {
		n.failWith(startExitCode(err), err)
	}
}

func startExitCode(err error) int {
	if errors.Is(err, store.ErrCorrupt) {
		return ExitCorruption
	}
	return ExitError
}

func (n *Node) findCluster() error {
	empty, err := n.isEmpty()
	if err != nil || !empty {
		return err
	}
	told := ""
	for {
		decision, why, err := n.decide()
		if err != nil || decision == joinExisting {
			return err
		}
		if decision == makeCluster {
			return n.bootstrap()
		}
		if why != told {
			n.logger.Info("waiting for the cluster", "reason", why)
			told = why
		}
		n.setWaiting(why)
		select {
		case <-time.After(discoverInterval):
		case <-n.closing:
			return n.lifetime.Err()
		}
	}
}

type decision int

const (
	keepWaiting decision = iota
	joinExisting
	makeCluster
)

// decide asks all peers once. While keepWaiting, why says for what.
func (n *Node) decide() (d decision, why string, err error) {
	n.introductions = map[string]Introduction{n.cfg.Name: {ServerID: string(n.serverID), Empty: true}}
	for _, p := range n.cfg.Peers {
		if p.Name == n.cfg.Name {
			continue
		}
		ctx, cancel := context.WithTimeout(n.lifetime, time.Second)
		in, err := n.peers.Introduce(ctx, p.Address)
		cancel()
		if err != nil {
			why = cmp.Or(why, fmt.Sprintf("%s at %s does not answer: %v", p.Name, p.Address, err))
			continue
		}
		if nodeName(raft.ServerID(in.ServerID)) != p.Name {
			return keepWaiting, "", fmt.Errorf("%s is node %q, not %q", p.Address, nodeName(raft.ServerID(in.ServerID)), p.Name)
		}
		if !in.Empty && len(in.Members) > 0 {
			if !slices.Contains(in.Members, string(n.serverID)) {
				return keepWaiting, "", fmt.Errorf("%w: %s has members %v, this is %s; an emptied disk cannot come back under its old name", ErrForeignDisk, p.Name, in.Members, n.serverID)
			}
			return joinExisting, "", nil
		}
		if !slices.Equal(in.Peers, peerList(n.cfg.Peers)) {
			return keepWaiting, "", fmt.Errorf("%s was started with peers %v, this node with %v", p.Name, in.Peers, peerList(n.cfg.Peers))
		}
		if !in.Empty {
			why = cmp.Or(why, p.Name+" has data but does not know its cluster yet")
		}
		n.introductions[p.Name] = in
	}
	if why == "" && n.cfg.Peers[0].Name == n.cfg.Name {
		return makeCluster, "", nil
	}
	return keepWaiting, cmp.Or(why, n.cfg.Peers[0].Name+" makes the cluster"), nil
}

// bootstrap writes the first configuration. A term that an interrupted attempt
// left is taken back, since Raft refuses to begin anew with one; nobody can have
// been promised a vote in it, for no configuration existed.
func (n *Node) bootstrap() error {
	if err := n.log.Stable().SetUint64([]byte("CurrentTerm"), 0); err != nil {
		return fmt.Errorf("reset term: %w", err)
	}
	var configuration raft.Configuration
	for _, p := range n.cfg.Peers {
		configuration.Servers = append(configuration.Servers, raft.Server{
			Suffrage: raft.Voter,
			ID:       raft.ServerID(n.introductions[p.Name].ServerID),
			Address:  raft.ServerAddress(p.Address),
		})
	}
	n.logger.Info("making the cluster", "members", fmt.Sprint(configuration.Servers))
	err := raft.BootstrapCluster(n.cfg.raftConfig(n.serverID), n.log, n.log.Stable(), snapshots{n}, n.peers.Transport(), configuration)
	if err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	return nil
}

// logCacheEntries is how many of the newest entries replication finds in memory.
// An entry may hold 1 MiB.
const logCacheEntries = 16

// startRaft starts Raft and what goes with it.
func (n *Node) startRaft() error {
	n.setWaiting("raft is starting")
	conf := n.cfg.raftConfig(n.serverID)
	conf.Logger = n.cfg.RaftLogger
	cache, err := raft.NewLogCache(logCacheEntries, n.log)
	if err != nil {
		return fmt.Errorf("make log cache: %w", err)
	}
	n.entries.LogStore = cache
	r, err := raft.NewRaft(conf, fsm{n}, &n.entries, n.log.Stable(), snapshots{n}, n.peers.Transport())
	if err != nil {
		return fmt.Errorf("start raft: %w", err)
	}
	n.proposer = newProposer(r, n.dead, n.stamp)
	n.reads = &readIndexes{raft: r, rounds: n.peers, local: n.serverID, established: n.progress.lastTerm, tasks: &n.tasks}
	n.tasks.Add(1)
	n.raft.Store(r)
	go n.watchLeadership(r)
	return nil
}
