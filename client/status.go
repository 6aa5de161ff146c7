package client

import (
	"context"
	"time"

	"connectrpc.com/connect"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
)

// Status is what one node says about itself and the cluster.
type Status struct {
	// Server is the URL that was asked.
	Server  string
	NodeID  string
	Version string
	Epoch   event.Epoch
	// Role is leader, follower, candidate or starting.
	Role string
	Term uint64
	// LeaderID and LeaderURL are empty when no leader is known.
	LeaderID, LeaderURL string

	CommitIndex, AppliedIndex, DurableIndex uint64
	// FirstPosition and LastPosition bound the history that the node has applied.
	FirstPosition, LastPosition event.Position
	// LastStamp is when the last event was committed; zero without one.
	LastStamp time.Time

	Members []Member
	// Ready: a leader is known and the node has caught up; else Reason says why
	// not.
	Ready  bool
	Reason string

	// Change is the change of the members that is under way, nil if none is.
	Change *MemberChange
	// Replacements are the members that are to be replaced, by the name of the node
	// that is to come.
	Replacements map[string]string

	// Alarms are what a person must look at.
	Alarms []string
	// FeatureLevel is the cluster's: which commands may be in its log.
	FeatureLevel uint32
	// Diverged: some member's state differs from this node's.
	Diverged bool
}

// Member is a server of the cluster.
type Member struct {
	ServerID    string
	RaftAddress string
	APIURL      string
	Voter       bool
	Leader      bool
	// Pulse is how the member is, as the server that was asked knows it.
	Pulse Pulse
	// MatchIndex is up to where the member's log is the leader's, as far as the
	// server that was asked leads and knows; else 0. Silent is how long ago the
	// member answered it, negative for never.
	MatchIndex uint64
	Silent     time.Duration
}

// Pulse is what a node knows of how a member is, itself included. Members tell
// each other every second.
type Pulse struct {
	// Known is false where the member has told nothing since the node runs.
	Known bool
	// Age is how long ago it told something.
	Age time.Duration
	// ClockSkew is how far the member's clock is ahead of the cluster's time.
	ClockKnown bool
	ClockSkew  time.Duration
	// Stalled: a write of its raft log hangs.
	Stalled bool
	// Bytes of its data directory's disk; all 0 when unknown. While fewer than a
	// majority of the voters, the leader among them, have their reserve free,
	// appends fail with no_space.
	DiskFree, DiskTotal, DiskReserve uint64
	// FeatureLevel is the newest that its binary applies.
	FeatureLevel uint32
	// StateHash is the hash of its state at the newest entry that is compared,
	// StateIndex; 0: none yet.
	StateIndex, StateHash uint64
}

// Status asks the first server that answers.
func (c *Client) Status(ctx context.Context) (status Status, err error) {
	err = c.ask(ctx, func(ctx context.Context, n *server) error {
		status, err = c.statusOf(ctx, n)
		return err
	})
	return status, err
}

// StatusOf asks one server by its URL, once.
func (c *Client) StatusOf(ctx context.Context, url string) (Status, error) {
	base, err := normaliseServer(url)
	if err != nil {
		return Status{}, event.Errorf(event.CodeInvalid, "%v", err)
	}
	status, err := c.statusOf(ctx, newServer(c.cfg.HTTPClient, base))
	if err != nil && ctx.Err() != nil {
		return Status{}, ended(ctx, fromRPC(err))
	}
	if err != nil {
		return Status{}, fromRPC(err)
	}
	return status, nil
}

// Servers returns the configured servers' URLs.
func (c *Client) Servers() []string { return append([]string(nil), c.cfg.Servers...) }

func (c *Client) statusOf(ctx context.Context, n *server) (Status, error) {
	response, err := n.status.CallUnary(ctx, connect.NewRequest(&edriv1.StatusRequest{}))
	if err != nil {
		return Status{}, err
	}
	m := response.Msg
	status := Status{
		Server: n.url, NodeID: m.NodeId, Version: m.Version, Role: m.Role, Term: m.Term,
		LeaderID: m.LeaderId, LeaderURL: m.LeaderUrl,
		CommitIndex: m.CommitIndex, AppliedIndex: m.AppliedIndex, DurableIndex: m.DurableIndex,
		FirstPosition: event.Position(m.FirstPosition), LastPosition: event.Position(m.LastPosition),
		Ready: m.Ready, Reason: m.Reason, Alarms: m.Alarms,
		FeatureLevel: m.FeatureLevel, Diverged: m.Diverged,
	}
	copy(status.Epoch[:], m.Epoch)
	if m.LastStamp != 0 {
		status.LastStamp = time.Unix(0, m.LastStamp).UTC()
	}
	for _, member := range m.Members {
		status.Members = append(status.Members, Member{
			ServerID: member.ServerId, RaftAddress: member.RaftAddress, APIURL: member.ApiUrl,
			Voter: member.Voter, Leader: member.Leader,
			Pulse:      pulseOf(member.GetPulse()),
			MatchIndex: member.MatchIndex, Silent: time.Duration(member.SilentMilliseconds) * time.Millisecond,
		})
	}
	addChanges(&status, m)
	return status, nil
}

func pulseOf(p *edriv1.Pulse) Pulse {
	return Pulse{
		Known: p.GetKnown(), Age: time.Duration(p.GetAgeMilliseconds()) * time.Millisecond,
		ClockKnown: p.GetClockKnown(), ClockSkew: time.Duration(p.GetClockSkewNanoseconds()),
		Stalled:  p.GetStalled(),
		DiskFree: p.GetDiskFreeBytes(), DiskTotal: p.GetDiskTotalBytes(), DiskReserve: p.GetDiskReserveBytes(),
		FeatureLevel: p.GetFeatureLevel(), StateIndex: p.GetStateIndex(), StateHash: p.GetStateHash(),
	}
}
