package server

import (
	"errors"
	"log/slog"
	"time"

	"github.com/edri-io/edri/event"
)

// ErrConfig is in the chain of every error about configuration: the operator
// must change something before another start can succeed.
var ErrConfig = errors.New("configuration")

// Config is what a node runs with. [Load] makes one from flags, environment and
// file; the settings table documents each field under its name.
type Config struct {
	NodeID  string
	DataDir string

	Listen        string   // host:port of the API
	RaftListen    string   // host:port
	Advertise     string   // host:port or URL where clients dial the API; empty: Listen
	RaftAdvertise string   // host:port where peers dial; empty: RaftListen
	Peers         []Peer   // sorted by ID
	Join          []string // URLs of members' APIs; empty: this node is of the first set
	Replace       string   // name or server id of the member whose place it takes when it joins

	Insecure bool

	LogLevel  slog.Level
	LogFormat string // "text" or "json"

	Limits event.Limits

	DedupWindow   uint64 // events
	SegmentBytes  int64
	FlushInterval time.Duration
	SessionTTL    time.Duration

	SnapshotLogBytes int64
	TrailingLogBytes int64

	CatchupRate int64 // bytes a second

	ScrubRate     int64 // bytes a second
	ScrubInterval time.Duration
	DiskReserve   int64 // bytes; 0: consensus decides

	HeartbeatTimeout time.Duration
	ElectionTimeout  time.Duration
	LeaseTimeout     time.Duration

	Workers []Worker // only in the file, under "workers"
}

// Peer is a member of the set of nodes that make a cluster.
type Peer struct {
	ID      string
	Address string // host:port of its raft port
}

// APIURL is the URL of the node's API as clients of any node are told it.
func (c Config) APIURL() string {
	address := c.Advertise
	if address == "" {
		address = c.Listen
	}
	if isURL(address) {
		return address
	}
	return "http://" + address
}

// raftAddress is where peers dial.
func (c Config) raftAddress() string {
	if c.RaftAdvertise != "" {
		return c.RaftAdvertise
	}
	return c.RaftListen
}
