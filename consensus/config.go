package consensus

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/consensus/transport"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/fault"
)

// Peer is a member of the fixed set with which a cluster begins.
type Peer struct {
	Name    string // node name
	Address string // host:port where the others dial its raft port
}

// Config configures a Node. The zero value of a field is its default where one
// is named.
type Config struct {
	Name  string // node name, unique in the cluster; required
	Dir   string // data directory, made if absent; required
	Peers []Peer // the whole first set, this node included; required without Seeds

	// Seeds returns raft addresses of members of the cluster that this node is to
	// join; nil for a node of the first set. A node that is a member asks them only
	// when it finds its peers nowhere else.
	Seeds func(ctx context.Context) []string
	// Replace is the name or server id of the member whose place this node takes
	// when it joins; empty: it is one more.
	Replace string

	RaftListen    string // host:port of the raft port; required
	RaftAdvertise string // where the others dial it; default RaftListen
	APIURL        string // committed for clients to find this node; empty: none

	Limits event.Limits // default event.DefaultLimits

	FlushInterval    time.Duration // of state and journal; default 100 ms
	SegmentBytes     int64         // of a new cluster's journal; default 256 MiB
	Window           uint64        // deduplication window of a new cluster, events; default 1,000,000
	SessionTTL       time.Duration // after which an idle session ends; default 1 h
	SnapshotLogBytes int64         // raft log between truncations; default 64 MiB
	LogSegmentBytes  int           // of the raft log's files; default 32 MiB
	TrailingLogBytes int64         // raft log kept for followers that were away; default 128 MiB

	CatchupRate   int64         // bytes of sealed segments sent a second to nodes that catch up; default 96 MiB
	ScrubRate     int64         // bytes a second that are read in the background; default 4 MiB
	ScrubInterval time.Duration // from one reading of everything to the next; default 24 h

	// Raft's timeouts; default 350, 350 and 200 ms, with which a killed leader
	// is replaced in about one second.
	HeartbeatTimeout, ElectionTimeout, LeaseTimeout time.Duration

	Machines *Mux // besides the core's own operations; nil for none

	// Leading are run, each on a goroutine of its own, whenever this node has begun
	// to lead. They return when their context ends, which it does as soon as the
	// node is known to lead no more; it does not lead again before they have. An
	// error ends the node.
	Leading []func(context.Context, *Node) error

	// Fatal ends the process with an exit code; it is called at most once and
	// must not return in production. The node does nothing any more afterwards.
	Fatal func(code int, err error)

	Logger     *slog.Logger // default: discards
	RaftLogger hclog.Logger // Raft's own; default: discards
	Seam       fault.Seam   // for tests

	// FeatureLevel and HashInterval are for tests, see CoreConfig.
	FeatureLevel uint32
	HashInterval uint64

	// DiskReserve is how many bytes of the data directory's disk are kept free of
	// events; default 512 MiB or 5% of the disk, the smaller.
	DiskReserve uint64
	// DiskSpace measures that disk, for tests; a total of 0 is unknown.
	DiskSpace func() (free, total uint64, err error)

	// Clock is this node's clock, for tests; default time.Now.
	Clock func() time.Time

	// Network replaces the raft port, for simulations; nil in production.
	Network func(*Node) (Network, error)
}

// Exit codes of the process after Fatal.
const (
	ExitError       = 1
	ExitStorage     = 10
	ExitCorruption  = 11
	ExitUndecodable = 12
	ExitStall       = 13
	ExitRemoved     = 14 // the node was taken out of the cluster
)

func (c Config) normalise() (Config, error) {
	if err := event.CheckName("node name", c.Name); err != nil {
		return c, err
	}
	c.RaftAdvertise = cmp.Or(c.RaftAdvertise, c.RaftListen)
	c.Limits = cmp.Or(c.Limits, event.DefaultLimits())
	c.FlushInterval = cmp.Or(c.FlushInterval, flushInterval)
	c.SessionTTL = cmp.Or(c.SessionTTL, time.Hour)
	c.SnapshotLogBytes = cmp.Or(c.SnapshotLogBytes, snapshotLogBytes)
	c.TrailingLogBytes = cmp.Or(c.TrailingLogBytes, trailingLogBytes)
	c.CatchupRate = cmp.Or(c.CatchupRate, transport.DefaultSegmentRate)
	c.ScrubRate = cmp.Or(c.ScrubRate, scrubRate)
	c.ScrubInterval = cmp.Or(c.ScrubInterval, scrubInterval)
	c.HeartbeatTimeout = cmp.Or(c.HeartbeatTimeout, 350*time.Millisecond)
	c.ElectionTimeout = cmp.Or(c.ElectionTimeout, 350*time.Millisecond)
	c.LeaseTimeout = cmp.Or(c.LeaseTimeout, 200*time.Millisecond)
	c.FeatureLevel = cmp.Or(c.FeatureLevel, FeatureLevel)
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	if c.DiskSpace == nil {
		dir := c.Dir
		c.DiskSpace = func() (free, total uint64, err error) { return diskOf(dir) }
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.RaftLogger == nil {
		c.RaftLogger = hclog.NewNullLogger()
	}
	if c.Fatal == nil {
		return c, fmt.Errorf("consensus: Config.Fatal is required")
	}
	c.Peers = slices.SortedFunc(slices.Values(c.Peers), func(a, b Peer) int { return cmp.Compare(a.Name, b.Name) })
	if c.Window > MaxWindow {
		// The cluster would refuse it, and go on with the default.
		return c, fmt.Errorf("consensus: Config.Window is %d, must be at most %d", c.Window, MaxWindow)
	}
	return c, c.checkPeers()
}

func (c Config) checkPeers() error {
	self := false
	for i, p := range c.Peers {
		if i > 0 && c.Peers[i-1].Name == p.Name {
			return fmt.Errorf("peers: %q stands there twice", p.Name)
		}
		if p.Address == "" {
			return fmt.Errorf("peers: %q has no address", p.Name)
		}
		self = self || p.Name == c.Name
	}
	if !self && c.Seeds == nil {
		return fmt.Errorf("peers: node %q itself is missing", c.Name)
	}
	return nil
}

// raftConfig returns Raft's own settings.
func (c Config) raftConfig(id raft.ServerID) *raft.Config {
	r := raft.DefaultConfig()
	r.LocalID = id
	r.HeartbeatTimeout = c.HeartbeatTimeout
	r.ElectionTimeout = c.ElectionTimeout
	r.LeaderLeaseTimeout = c.LeaseTimeout
	// An idle follower learns of a commit only with the next message; the
	// default of 50 ms is what its readers would wait.
	r.CommitTimeout = 2 * time.Millisecond
	r.MaxAppendEntries = 8
	// With a buffered channel, what is in it when Raft shuts down is never
	// answered, and its futures wait for ever.
	r.BatchApplyCh = false
	// compactLoop decides by bytes; Raft's own trigger counts entries.
	r.SnapshotThreshold = 1 << 62
	r.SnapshotInterval = 24 * time.Hour
	r.TrailingLogs = 1 << 20
	r.NoSnapshotRestoreOnStart = true
	r.NoLegacyTelemetry = true
	return r
}
