package server

import (
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/edri-io/edri/consensus"
)

// Setting is the one definition of a setting: what flags, environment, YAML file,
// --print-config and the documentation are all made from.
type Setting struct {
	// Name is the flag and the key in the YAML file.
	Name string
	// Value is what stands for the value in help, as in HOST:PORT; empty for a
	// switch, which is true or false.
	Value string
	// Default is the value in the form in which it is written.
	Default string
	// Doc is one sentence without a full stop. It names bounds, if any.
	Doc string

	set func(*Config, string) error
	get func(*Config) string
}

// Env is the name of the setting's environment variable.
func (s Setting) Env() string {
	return "EDRI_" + strings.ToUpper(strings.ReplaceAll(s.Name, "-", "_"))
}

const (
	mib = 1 << 20
	gib = 1 << 30
)

// settings is the table, in the order of help and --print-config.
var settings = []Setting{
	text("node-id", "NAME", "", "name of this node, unique in the cluster: letters, digits, '.', '_' and '-'",
		func(c *Config) *string { return &c.NodeID }),
	text("data-dir", "DIR", "", "folder for all that the node stores, made if absent",
		func(c *Config) *string { return &c.DataDir }),
	text("listen", "HOST:PORT", "127.0.0.1:7420", "address of the API",
		func(c *Config) *string { return &c.Listen }),
	text("raft-listen", "HOST:PORT", "127.0.0.1:7421", "address for the other nodes",
		func(c *Config) *string { return &c.RaftListen }),
	text("advertise", "HOST:PORT|URL", "", "where clients reach the API, if not at its listen address",
		func(c *Config) *string { return &c.Advertise }),
	text("raft-advertise", "HOST:PORT", "", "where the other nodes reach this one, if not at raft-listen",
		func(c *Config) *string { return &c.RaftAdvertise }),
	{Name: "peers", Value: "ID=HOST:PORT,...",
		Doc: "raft address of each node of the cluster, this one included, the same on all: 1, 3 or 5",
		set: func(c *Config, s string) (err error) { c.Peers, err = parsePeers(s); return err },
		get: func(c *Config) string { return formatPeers(c.Peers) }},
	{Name: "join", Value: "URL,...",
		Doc: "API of members of the cluster that this node is to join, in the place of peers; a member just starts",
		set: func(c *Config, s string) (err error) { c.Join, err = parseJoin(s); return err },
		get: func(c *Config) string { return strings.Join(c.Join, ",") }},
	text("replace", "NAME", "", "member whose place this node takes when it joins: its disk is gone, or it is to go",
		func(c *Config) *string { return &c.Replace }),
	{Name: "insecure", Default: "false",
		Doc: "allow addresses off the loopback interface although nothing is encrypted or authenticated",
		set: func(c *Config, s string) (err error) { c.Insecure, err = parseBool(s); return err },
		get: func(c *Config) string { return strconv.FormatBool(c.Insecure) }},
	{Name: "log-level", Value: "LEVEL", Default: "info", Doc: "least level that is logged: debug, info, warn or error",
		set: func(c *Config, s string) (err error) { c.LogLevel, err = parseLevel(s); return err },
		get: func(c *Config) string { return formatLevel(c.LogLevel) }},
	{Name: "log-format", Value: "FORMAT", Default: "text", Doc: "form of the log lines: text or json",
		set: func(c *Config, s string) (err error) { c.LogFormat, err = parseWord(s, "text", "json"); return err },
		get: func(c *Config) string { return c.LogFormat }},

	size("max-event-bytes", "1MiB", 1, mib, "most bytes of one event's data",
		func(c *Config) *int { return &c.Limits.EventData }),
	size("max-commit-bytes", "4MiB", 4<<10, 4*mib, "most bytes of one commit",
		func(c *Config) *int { return &c.Limits.Commit }),
	count("max-commit-ops", "1000", 1, 1000, "most operations of one commit",
		func(c *Config) *int { return &c.Limits.Ops }),
	count("dedup-window", "1000000", 1, consensus.MaxWindow,
		"number of last events in which a source and id are unique; fixed when the cluster is made",
		func(c *Config) *uint64 { return &c.DedupWindow }),
	size("segment-bytes", "256MiB", 64<<10, 4*gib, "size of a journal segment; fixed when the cluster is made",
		func(c *Config) *int64 { return &c.SegmentBytes }),
	interval("flush-interval", "100ms", time.Millisecond, 10*time.Second, "time between flushes of state and journal",
		func(c *Config) *time.Duration { return &c.FlushInterval }),
	interval("session-ttl", "1h", time.Minute, 30*24*time.Hour, "time after which an idle session ends",
		func(c *Config) *time.Duration { return &c.SessionTTL }),
	size("snapshot-log-bytes", "64MiB", mib, 16*gib, "raft log written between two truncations",
		func(c *Config) *int64 { return &c.SnapshotLogBytes }),
	size("trailing-log-bytes", "128MiB", mib, 64*gib, "raft log kept for followers that were away",
		func(c *Config) *int64 { return &c.TrailingLogBytes }),
	size("catchup-rate", "96MiB", 64<<10, 16*gib, "bytes of sealed segments a second that a node sends to others which catch up",
		func(c *Config) *int64 { return &c.CatchupRate }),
	size("scrub-rate", "4MiB", 64<<10, 4*gib, "bytes a second that are read in the background to find damage",
		func(c *Config) *int64 { return &c.ScrubRate }),
	interval("scrub-interval", "24h", time.Second, 365*24*time.Hour,
		"time from one background reading of everything to the next",
		func(c *Config) *time.Duration { return &c.ScrubInterval }),
	{Name: "disk-reserve", Value: "SIZE|auto", Default: "auto",
		Doc: "disk space kept free: writes are refused while fewer than a majority of the nodes have it (1MiB to 1024GiB; auto: 512MiB or 5% of the disk, the smaller)",
		set: func(c *Config, s string) (err error) { c.DiskReserve, err = parseReserve(s); return err },
		get: func(c *Config) string { return formatReserve(c.DiskReserve) }},
	interval("heartbeat-timeout", "350ms", 50*time.Millisecond, time.Minute,
		"silence of the leader after which a follower stands for election",
		func(c *Config) *time.Duration { return &c.HeartbeatTimeout }),
	interval("election-timeout", "350ms", 50*time.Millisecond, time.Minute,
		"time after which an undecided election is repeated; not below heartbeat-timeout",
		func(c *Config) *time.Duration { return &c.ElectionTimeout }),
	interval("lease-timeout", "200ms", 50*time.Millisecond, time.Minute,
		"time without a majority after which a leader steps down; not above heartbeat-timeout",
		func(c *Config) *time.Duration { return &c.LeaseTimeout }),
}

// Settings returns the table.
func Settings() []Setting { return append([]Setting(nil), settings...) }

func text(name, value, def, doc string, field func(*Config) *string) Setting {
	return Setting{Name: name, Value: value, Default: def, Doc: doc,
		set: func(c *Config, s string) error { *field(c) = s; return nil },
		get: func(c *Config) string { return *field(c) }}
}

func size[T int | int64](name, def string, lo, hi int64, doc string, field func(*Config) *T) Setting {
	return Setting{Name: name, Value: "SIZE", Default: def,
		Doc: doc + " (" + formatBytes(lo) + " to " + formatBytes(hi) + ")",
		set: func(c *Config, s string) error {
			n, err := parseBytes(s, lo, hi)
			*field(c) = T(n)
			return err
		},
		get: func(c *Config) string { return formatBytes(int64(*field(c))) }}
}

func count[T int | uint64](name, def string, lo, hi int64, doc string, field func(*Config) *T) Setting {
	return Setting{Name: name, Value: "N", Default: def,
		Doc: doc + " (" + strconv.FormatInt(lo, 10) + " to " + strconv.FormatInt(hi, 10) + ")",
		set: func(c *Config, s string) error {
			n, err := parseCount(s, lo, hi)
			*field(c) = T(n)
			return err
		},
		get: func(c *Config) string { return strconv.FormatInt(int64(*field(c)), 10) }}
}

func interval(name, def string, lo, hi time.Duration, doc string, field func(*Config) *time.Duration) Setting {
	return Setting{Name: name, Value: "DURATION", Default: def,
		Doc: doc + " (" + formatDuration(lo) + " to " + formatDuration(hi) + ")",
		set: func(c *Config, s string) (err error) { *field(c), err = parseDuration(s, lo, hi); return err },
		get: func(c *Config) string { return formatDuration(*field(c)) }}
}

var levels = []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}
