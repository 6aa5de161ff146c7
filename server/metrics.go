package server

import (
	"fmt"
	"sync"

	gometrics "github.com/armon/go-metrics"
	raftprom "github.com/armon/go-metrics/prometheus"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/router"
)

// raftSeries is where Raft's own measurements go. Raft (through
// hashicorp/go-metrics/compat) and raft-wal both write to the one global of
// armon/go-metrics, unless built with the tag hashicorpmetrics; so there is one
// sink in a process, and nodes that share a process share it.
var raftSeries = sync.OnceValues(func() (prometheus.Collector, error) {
	sink, err := raftprom.NewPrometheusSinkFrom(raftprom.PrometheusOpts{
		// The registry of each node gets the sink; this one is only for the
		// constructor, which wants one.
		Registerer: prometheus.NewRegistry(),
		Name:       "edri_raft_series",
		// Never forget a series: there are few, and one that vanishes while
		// nothing happens looks like a fault.
		Expiration: 0,
	})
	if err != nil {
		return nil, fmt.Errorf("make sink of raft's metrics: %w", err)
	}
	conf := gometrics.DefaultConfig("")
	conf.EnableHostname = false
	conf.EnableRuntimeMetrics = false
	if _, err := gometrics.NewGlobal(conf, sink); err != nil {
		return nil, fmt.Errorf("install sink of raft's metrics: %w", err)
	}
	return sink, nil
})

// newRegistry returns a registry with the process's, Raft's, the node's and its machines'
// series.
func newRegistry(status func() (consensus.Status, error), stats func() (router.Stats, error), machines ...prometheus.Collector) (*prometheus.Registry, error) {
	raft, err := raftSeries()
	if err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	for _, c := range append([]prometheus.Collector{
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		raft,
		&nodeCollector{status},
		&routerCollector{stats},
	}, machines...) {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return registry, nil
}

// nodeCollector reads the node's status when it is asked.
type nodeCollector struct {
	status func() (consensus.Status, error)
}

var _ prometheus.Collector = (*nodeCollector)(nil)

func gaugeDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("edri_"+name, help, labels, nil)
}

var (
	descBuild     = gaugeDesc("build_info", "1, with the version of the node as a label.", "version", "revision")
	descReady     = gaugeDesc("ready", "1 if the node knows the leader and has caught up.")
	descLeader    = gaugeDesc("leader", "1 if the node is the leader.")
	descTerm      = gaugeDesc("term", "Raft's term.")
	descCommitted = gaugeDesc("commit_index", "Raft index of the last committed entry.")
	descApplied   = gaugeDesc("applied_index", "Raft index of the last applied entry.")
	descDurable   = gaugeDesc("durable_index", "Raft index up to which the state is on disk.")
	descFirst     = gaugeDesc("journal_first_position", "Position of the first event.")
	descLast      = gaugeDesc("journal_last_position", "Position of the last event, 0 for none.")
	descMembers   = gaugeDesc("members", "Number of members that the node knows.")
	descAlarms    = gaugeDesc("alarms", "Number of things that a person must look at; edri cluster status tells them.")
	descAge       = gaugeDesc("pulse_age_seconds", "Time since the member last told how it is.", "member")
	descSkew      = gaugeDesc("clock_skew_seconds", "How far the member's clock is ahead of the cluster's time, the median of the voters' clocks.", "member")
	descFeature   = gaugeDesc("feature_level", "The cluster's feature level.")
	descDiverged  = gaugeDesc("state_diverged", "1 if some member's state differs from this node's.")
	descBinary    = gaugeDesc("binary_feature_level", "The newest feature level that the member's binary applies.", "member")
	descHashed    = gaugeDesc("state_hash_index", "Raft index of the newest hash of the member's state, 0 for none.", "member")
	descDiskFree  = gaugeDesc("disk_free_bytes", "Free space of the member's data directory.", "member")
	descReserve   = gaugeDesc("disk_reserve_bytes", "Free space below which the member does not count as one that can write.", "member")
	descStalled   = gaugeDesc("stalled", "1 if a write of the member's raft log hangs.", "member")
)

// Describe implements prometheus.Collector.
func (c *nodeCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descBuild, descReady, descLeader, descTerm, descCommitted,
		descApplied, descDurable, descFirst, descLast, descMembers, descAlarms, descAge, descSkew, descStalled,
		descDiskFree, descReserve, descFeature, descDiverged, descBinary, descHashed,
		descScrubBytes, descScrubRounds, descScrubDamaged, descScrubComplete} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *nodeCollector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	build := ReadBuild()
	gauge(descBuild, 1, build.Version, build.Revision)
	s, err := c.status()
	if err != nil {
		ch <- prometheus.NewInvalidMetric(descReady, err)
		return
	}
	gauge(descReady, oneIf(s.NotReady == ""))
	gauge(descLeader, oneIf(s.Role == "leader"))
	gauge(descTerm, float64(s.Term))
	gauge(descCommitted, float64(s.CommitIndex))
	gauge(descApplied, float64(s.AppliedIndex))
	gauge(descDurable, float64(s.DurableIndex))
	gauge(descFirst, float64(s.FirstPosition))
	gauge(descLast, float64(s.LastPosition))
	gauge(descMembers, float64(len(s.Members)))
	gauge(descAlarms, float64(len(s.Alarms)))
	gauge(descFeature, float64(s.FeatureLevel))
	gauge(descDiverged, oneIf(s.Diverged))
	collectScrub(ch, s.Scrub)
	for _, member := range s.Members {
		collectPulse(gauge, member.ServerID, member.Pulse)
	}
}

// collectPulse tells what this node knows of how a member is.
func collectPulse(gauge func(*prometheus.Desc, float64, ...string), member string, p consensus.Pulse) {
	if p.ClockKnown {
		gauge(descSkew, p.ClockSkew.Seconds(), member)
	}
	if !p.Known {
		return
	}
	gauge(descAge, p.Age.Seconds(), member)
	gauge(descStalled, oneIf(p.Stalled), member)
	gauge(descBinary, float64(p.FeatureLevel), member)
	gauge(descHashed, float64(p.Checkpoint.Index), member)
	if p.DiskTotal > 0 {
		gauge(descDiskFree, float64(p.DiskFree), member)
		gauge(descReserve, float64(p.DiskReserve), member)
	}
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
