package consensus

import (
	"cmp"
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

// ErrNotMember means that the peers have a cluster, of which this node is none.
var ErrNotMember = errors.New("the cluster does not know this node")

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
	if err := n.prepare(); err != nil {
		if n.lifetime.Err() == nil {
			n.failWith(startExitCode(err), err)
		}
		return
	}
	if err := n.startRaft(); err != nil {
		if n.lifetime.Err() == nil {
			n.failWith(startExitCode(err), err)
		}
		return
	}
	if err := n.keepJoining(); err != nil && n.lifetime.Err() == nil {
		n.failWith(startExitCode(err), err)
	}
}

// prepare does what must be done before Raft runs.
func (n *Node) prepare() error {
	if n.resyncing() {
		if err := n.fetchState(); err != nil {
			return err
		}
	}
	return n.findCluster()
}

func startExitCode(err error) int {
	switch {
	case errors.Is(err, store.ErrCorrupt):
		return ExitCorruption
	case errors.Is(err, ErrRemoved):
		return ExitRemoved
	case errors.Is(err, ErrUndecodable):
		return ExitUndecodable
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
		if err == nil && decision == joinAsNew {
			why, err = n.requestJoin()
			if err == nil && why == "" {
				decision = joinExisting
			}
		}
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
	joinAsNew
	makeCluster
)

// decide asks all peers once. While keepWaiting, why says for what.
func (n *Node) decide() (d decision, why string, err error) {
	if n.cfg.Seeds != nil {
		return joinAsNew, "", nil
	}
	n.introductions = map[string]Introduction{n.cfg.Name: {ServerID: string(n.serverID), Empty: true}}
	for _, p := range n.cfg.Peers {
		if p.Name == n.cfg.Name {
			continue
		}
		in, err := n.introduceAt(p.Address)
		if err != nil {
			why = cmp.Or(why, fmt.Sprintf("%s at %s does not answer: %v", p.Name, p.Address, err))
			continue
		}
		if nodeName(raft.ServerID(in.ServerID)) != p.Name {
			return keepWaiting, "", fmt.Errorf("%s is node %q, not %q", p.Address, nodeName(raft.ServerID(in.ServerID)), p.Name)
		}
		if in.Feature > n.cfg.FeatureLevel {
			return keepWaiting, "", tooOld(in.Feature, n.cfg.FeatureLevel)
		}
		if !in.Empty && len(in.Members) > 0 {
			d, err := n.decideAmong(p, in)
			return d, "", err
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

// decideAmong decides for an empty node whose peer belongs to a cluster. In it an
// empty disk has no place, unless the making of the cluster was interrupted, or
// this node is to replace one.
func (n *Node) decideAmong(p Peer, in Introduction) (decision, error) {
	if in.knows(n.serverID) {
		return joinExisting, nil
	}
	if in.Expected {
		return joinAsNew, nil
	}
	for _, m := range in.Members {
		if nodeName(raft.ServerID(m.ServerID)) == n.cfg.Name {
			return keepWaiting, fmt.Errorf("%w: %s knows %s, this is %s. An emptied disk cannot come back under its old name; "+
				"if it is gone for good, run 'edri cluster replace %s' and start this node again", ErrForeignDisk, p.Name, m.ServerID, n.serverID, n.cfg.Name)
		}
	}
	return keepWaiting, fmt.Errorf("%w: %s has no member %q; start it with --join and the API URL of a member", ErrNotMember, p.Name, n.cfg.Name)
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
			Address:  raft.ServerAddress(n.introductions[p.Name].ServerID), // see transport.Config.ID
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
	n.reads = &readIndexes{raft: r, rounds: n.peers, ask: n.askTerm, local: n.serverID, established: n.progress.lastTerm, tasks: &n.tasks}
	n.tasks.Add(3)
	n.raft.Store(r)
	go n.watchLeadership(r)
	go n.meetPeers()
	go n.driveChanges()
	return nil
}
