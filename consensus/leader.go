package consensus

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/event"
)

const (
	// How often a node compares what the cluster knows of it with what is true,
	// and how often the leader looks for idle sessions.
	advertiseInterval = time.Second
	sessionInterval   = 10 * time.Second
	// How often the leader looks what retention ends.
	retentionInterval = time.Second
	// After a refusal by the raft loop.
	establishPause = 10 * time.Millisecond
)

// leads reports whether this node leads and has applied a command of its term.
func (n *Node) leads() bool {
	r := n.raft.Load()
	return r != nil && r.State() == raft.Leader && n.progress.lastTerm() == r.CurrentTerm()
}

// watchLeadership opens the proposer when this node has become leader and closes
// it when it is no longer.
func (n *Node) watchLeadership(r *raft.Raft) {
	defer n.tasks.Done()
	resign := func() {}
	defer func() { resign() }()
	for {
		select {
		case leading := <-r.LeaderCh():
			n.proposer.setOpen(false)
			resign()
			resign = func() {}
			n.logger.Info("leadership changed", "leading", leading, "term", r.CurrentTerm())
			if leading && n.establish(r) {
				resign = n.lead()
			}
		case <-n.closing:
			return
		}
	}
}

// lead starts what only the leader does. What it returns ends that and waits for
// its end.
func (n *Node) lead() (resign func()) {
	ctx, cancel := context.WithCancel(n.lifetime)
	var running sync.WaitGroup
	for _, run := range n.cfg.Leading {
		running.Go(func() {
			if err := run(ctx, n); err != nil && ctx.Err() == nil {
				n.fail(err)
			}
		})
	}
	return func() {
		cancel()
		running.Wait()
	}
}

// establish proposes the leader's own command. Only when it is applied is all
// that earlier leaders committed applied too, so only then may this one propose
// for others and serve linearizable reads: then it returns true. (Raft's own no-op never reaches the
// state machine, and raft.AppliedIndex counts what is queued for it.)
func (n *Node) establish(r *raft.Raft) bool {
	n.awaitClocks(r)
	for r.State() == raft.Leader {
		header, commits := n.stamp(), [][]byte{LeadCommit(string(n.serverID), n.proposedEpoch, 0)}
		if header.Epoch.IsZero() {
			// The first leader of all also brings the settings. If another's epoch
			// got in before, these belong to no epoch and are refused.
			header.Epoch = n.proposedEpoch
			commits = append(commits, n.firstSettings()...)
		}
		err := await(r.Apply(EncodeEntry(header, commits), enqueueTimeout), n.dead)
		if err == nil {
			n.proposer.setOpen(true)
			return true
		}
		if refusalOf(err) == nil {
			return false // leadership was lost, or the node stops
		}
		select {
		case <-time.After(establishPause):
		case <-n.closing:
			return false
		}
	}
	return false
}

// firstSettings are the replicated settings with which a cluster begins.
func (n *Node) firstSettings() [][]byte {
	size := cmp.Or(n.cfg.SegmentBytes, DefaultSegmentBytes)
	settings := [][]byte{SettingCommit(SettingSegmentBytes, uint64(size), 0)}
	if n.cfg.Window != 0 {
		settings = append(settings, SettingCommit(SettingWindow, n.cfg.Window, 0))
	}
	return settings
}

// stamp returns the header of the next entry. Nodes agree on time by what the
// leader writes here: the time of the cluster, not its own. The stamp never goes
// back, whatever the clocks do.
func (n *Node) stamp() EntryHeader {
	meta := n.core.Load().Meta()
	now := n.clocks.now()
	for {
		last := n.lastStamp.Load()
		stamp := max(last, meta.Stamp, now)
		if n.lastStamp.CompareAndSwap(last, stamp) {
			return EntryHeader{Feature: meta.Feature, Epoch: meta.Epoch, Now: now, Stamp: stamp}
		}
	}
}

// keepHouse does what is due from time to time: it gives up what nobody will
// answer, tells the cluster this node's addresses, and on the leader ends idle sessions and what is not retained.
func (n *Node) keepHouse() {
	defer n.tasks.Done()
	addresses := time.NewTicker(advertiseInterval)
	defer addresses.Stop()
	sessions := time.NewTicker(sessionInterval)
	defer sessions.Stop()
	retention := time.NewTicker(retentionInterval)
	defer retention.Stop()
	for {
		select {
		case <-addresses.C:
			n.waiters.expire(time.Now())
			if leader, _ := n.Leader(); leader != "" {
				n.forwarder.leaderIs(raft.ServerID(leader))
			}
			n.advertise()
		case <-sessions.C:
			n.expireSessions()
			if err := n.staged.expire(time.Now()); err != nil {
				n.logger.Warn("staged segments were not removed", "error", err)
			}
		case <-retention.C:
			n.retain()
		case <-n.closing:
			return
		}
	}
}

// advertise takes over the addresses that the cluster knows, and commits this
// node's where they are others.
func (n *Node) advertise() {
	if n.resyncing() {
		return // there is no state that could say
	}
	members, err := n.members()
	if err != nil {
		n.logger.Error("members cannot be read", "error", err)
		return
	}
	n.addresses.committed(slices.Collect(maps.Values(members)))
	if err := n.saveRoster(members); err != nil {
		n.fail(err)
		return
	}
	if leader, _ := n.Leader(); leader == "" {
		return
	}
	if m := members[string(n.serverID)]; m.Removed || m.APIURL == n.cfg.APIURL && m.RaftAddress == n.cfg.RaftAdvertise {
		return
	}
	n.submitInternal(func(waiter uint64) []byte {
		return AdvertiseCommit(string(n.serverID), n.cfg.APIURL, n.cfg.RaftAdvertise, waiter)
	}, n.logRefusal("advertise the addresses"))
}

// expireSessions ends the sessions that nobody has used for the TTL. Apply
// looks again: one that was used in the meantime stays.
func (n *Node) expireSessions() {
	if !n.leads() {
		return
	}
	view := n.View()
	idle, err := view.IdleSessions(n.clocks.now()-int64(n.cfg.SessionTTL), maxExpirePerCommit)
	view.Close()
	if err != nil {
		n.fail(err)
		return
	}
	if len(idle) == 0 {
		return
	}
	n.submitInternal(func(waiter uint64) []byte {
		return ExpireSessionsCommit(idle, waiter)
	}, n.logRefusal("expire sessions"))
}

const maxExpirePerCommit = 1000

func (n *Node) logRefusal(what string) func([]byte, *event.Error) {
	return func(_ []byte, err *event.Error) {
		if err != nil {
			n.logger.Debug("internal commit was not executed", "what", what, "error", err)
		}
	}
}
