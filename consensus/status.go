package consensus

import (
	"context"
	"time"

	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/event"
)

// Status is what a node knows of itself and its cluster.
type Status struct {
	ServerID      string
	Role          string // leader, follower, candidate, starting or stopped
	Term          uint64
	LeaderID      string // empty: none known
	LeaderURL     string // API
	Epoch         event.Epoch
	CommitIndex   uint64
	AppliedIndex  uint64
	DurableIndex  uint64
	FirstPosition event.Position
	LastPosition  event.Position
	LastStamp     int64 // nanoseconds since 1970
	Members       []MemberStatus
	FeatureLevel  uint32            // of the cluster
	Diverged      bool              // some member's state differs from this node's
	Change        *Change           // of the members, under way; nil: none
	Expected      map[string]string // name of a node that is to come: server id that it replaces
	NotReady      string            // why the node should get no requests; empty: it should
	Alarms        []string          // what a person must look at
	Scrub         Scrub
}

// MemberStatus is one member of the cluster.
type MemberStatus struct {
	ServerID    string
	RaftAddress string
	APIURL      string // empty until the member has committed it
	Voter       bool
	Leader      bool
	Pulse       Pulse
	// Known to the leader alone: up to where the member's log is the leader's, 0 if
	// not known, and when it last answered, zero for never.
	Match       uint64
	LastContact time.Time
}

// Pulse is what a node knows of how a member is, itself included.
type Pulse struct {
	Known        bool          // the member has told something since this node runs
	Age          time.Duration // since it did
	ClockKnown   bool
	ClockSkew    time.Duration // how far its clock is ahead of the cluster's time
	Stalled      bool          // a write of its raft log hangs
	DiskFree     uint64        // bytes of the data directory's disk; all 0: unknown
	DiskTotal    uint64
	DiskReserve  uint64
	FeatureLevel uint32     // newest that its binary applies
	Checkpoint   Checkpoint // the newest hash of its state
}

// Status returns the node's status.
func (n *Node) Status() (Status, error) {
	core := n.core.Load()
	meta := core.Meta()
	s := Status{
		ServerID:      string(n.serverID),
		Role:          "starting",
		Epoch:         meta.Epoch,
		DurableIndex:  core.DurableIndex(),
		FirstPosition: meta.Mark.First,
		LastPosition:  meta.Mark.Last,
		LastStamp:     meta.Stamp,
	}
	s.AppliedIndex, _ = n.progress.get()
	s.Alarms = n.alarms.list()
	s.FeatureLevel, s.Diverged = meta.Feature, n.diverged.Load()
	s.Scrub = n.scrub.status()
	if err := n.Ready(); err != nil {
		s.NotReady = err.Error()
	}
	r := n.raft.Load()
	if r == nil {
		return s, nil
	}
	s.Role, s.Term, s.CommitIndex = roleOf(r.State()), r.CurrentTerm(), r.CommitIndex()
	s.LeaderID, s.LeaderURL = n.Leader()
	err := n.addMembers(&s, r)
	return s, err
}

// addMembers adds the members, and what is being changed about them.
func (n *Node) addMembers(s *Status, r *raft.Raft) error {
	members, err := n.members()
	if err != nil {
		return err
	}
	reports, now := n.reports.all(), time.Now()
	leading := s.Role == "leader"
	for _, server := range r.GetConfiguration().Configuration().Servers {
		m := MemberStatus{
			ServerID:    string(server.ID),
			RaftAddress: n.PeerAddress(server.ID),
			APIURL:      members[string(server.ID)].APIURL,
			Voter:       server.Suffrage == raft.Voter,
			Leader:      string(server.ID) == s.LeaderID,
			Pulse:       n.pulseOf(server.ID, reports, now),
		}
		if leading && server.ID != n.serverID {
			m.Match, m.LastContact = n.peers.Match(server.ID), n.peers.LastAck(server.ID)
		}
		if m.Leader {
			m.Match = s.CommitIndex
		}
		s.Members = append(s.Members, m)
	}
	v := n.View()
	defer v.Close()
	if s.Change, err = v.PendingChange(); err != nil {
		return err
	}
	s.Expected, err = v.Expectations()
	return err
}

func (n *Node) pulseOf(member raft.ServerID, reports map[raft.ServerID]report, now time.Time) Pulse {
	last, age := reports[member].pulse, now.Sub(reports[member].at)
	if member == n.serverID {
		last, age = n.pulse(), 0
	}
	p := Pulse{Known: last.serverID != "", Stalled: last.stalled,
		DiskFree: last.disk.free, DiskTotal: last.disk.total, DiskReserve: last.disk.reserve,
		FeatureLevel: last.feature, Checkpoint: last.checkpoint}
	if p.Known {
		p.Age = age
	}
	p.ClockSkew, p.ClockKnown = n.clockSkew(member, reports, now)
	return p
}

func roleOf(state raft.RaftState) string {
	switch state {
	case raft.Leader:
		return "leader"
	case raft.Candidate:
		return "candidate"
	case raft.Follower:
		return "follower"
	}
	return "stopped"
}

// maxReadyLag is how many entries a ready node may be behind what it knows to be
// committed; under load a few always are on their way.
const maxReadyLag = 4096

// Ready returns why this node should get no requests, nil if it should: it knows
// the leader, and has applied a command of the leader's term, which means
// everything up to the moment the leader began.
func (n *Node) Ready() error {
	r := n.raft.Load()
	if r == nil {
		return event.Errorf(event.CodeUnavailable, "%s", *n.waiting.Load())
	}
	if _, leader := r.LeaderWithID(); leader == "" {
		return event.Errorf(event.CodeUnavailable, "no leader is known")
	}
	applied, term := n.progress.get()
	if current := r.CurrentTerm(); term != current {
		return event.Errorf(event.CodeUnavailable, "catching up: applied term %d of %d", term, current)
	}
	if commit := r.CommitIndex(); commit > applied+maxReadyLag {
		return event.Errorf(event.CodeUnavailable, "catching up: applied %d of %d entries", applied, commit)
	}
	return nil
}

// setWaiting says for what the node waits before Raft runs.
func (n *Node) setWaiting(why string) { n.waiting.Store(&why) }

// members returns what the state knows of servers, by server id.
func (n *Node) members() (map[string]Member, error) {
	v := n.View()
	defer v.Close()
	list, err := v.Members()
	if err != nil {
		return nil, err
	}
	members := make(map[string]Member, len(list))
	for _, m := range list {
		members[m.ServerID] = m
	}
	return members, nil
}

// View pins the state and the journal as of one moment. It must be short-lived:
// no network I/O while it is open.
func (n *Node) View() *View {
	n.replacing.RLock()
	defer n.replacing.RUnlock()
	return n.core.Load().View()
}

// Leader returns the leader's server id and API URL, empty when unknown.
func (n *Node) Leader() (serverID, apiURL string) {
	r := n.raft.Load()
	if r == nil {
		return "", ""
	}
	_, id := r.LeaderWithID()
	if id == "" {
		return "", ""
	}
	v := n.View()
	defer v.Close()
	m, err := v.member(string(id))
	if err != nil {
		n.logger.Error("members cannot be read", "error", err)
	}
	return string(id), m.APIURL
}

// WaitBeyond returns once this node has applied a position after the given one.
func (n *Node) WaitBeyond(ctx context.Context, position event.Position) error {
	return n.Await(ctx, false, position+1)
}
