package main

import (
	"fmt"
	"time"

	"github.com/edri-io/edri/client"
)

// pulseInfo is how a member is, as JSON.
type pulseInfo struct {
	AgeSeconds       float64  `json:"age_seconds"`
	ClockSkewSeconds *float64 `json:"clock_skew_seconds,omitempty"`
	Stalled          bool     `json:"stalled"`
	DiskFreeBytes    uint64   `json:"disk_free_bytes,string"`
	DiskTotalBytes   uint64   `json:"disk_total_bytes,string"`
	DiskReserveBytes uint64   `json:"disk_reserve_bytes,string"`
	FeatureLevel     uint32   `json:"feature_level"`
	StateIndex       uint64   `json:"state_index,string"`
	StateHash        string   `json:"state_hash"`
}

// newPulseInfo returns nil for a member that has told nothing.
func newPulseInfo(p client.Pulse) *pulseInfo {
	if !p.Known {
		return nil
	}
	info := &pulseInfo{AgeSeconds: p.Age.Seconds(), Stalled: p.Stalled,
		DiskFreeBytes: p.DiskFree, DiskTotalBytes: p.DiskTotal, DiskReserveBytes: p.DiskReserve,
		FeatureLevel: p.FeatureLevel, StateIndex: p.StateIndex, StateHash: fmt.Sprintf("%016x", p.StateHash)}
	if p.ClockKnown {
		skew := p.ClockSkew.Seconds()
		info.ClockSkewSeconds = &skew
	}
	return info
}

// ownPulse is what a node says of itself.
func ownPulse(s client.Status) client.Pulse {
	for _, m := range s.Members {
		if m.ServerID == s.NodeID {
			return m.Pulse
		}
	}
	return client.Pulse{}
}

// clockText is how far a clock is from the cluster's time.
func clockText(p client.Pulse) string {
	if !p.ClockKnown {
		return "-"
	}
	return fmt.Sprintf("%+.3fs", p.ClockSkew.Round(time.Millisecond).Seconds())
}

// diskText is the free space of a node's disk.
func diskText(p client.Pulse) string {
	switch {
	case p.DiskTotal == 0:
		return "-"
	case p.DiskFree < p.DiskReserve:
		return fmt.Sprintf("%d MiB of %d reserved", p.DiskFree>>20, p.DiskReserve>>20)
	}
	return fmt.Sprintf("%d MiB", p.DiskFree>>20)
}

// levelText is the cluster's feature level, and the binary's where that is newer.
func levelText(s client.Status) string {
	if own := ownPulse(s); own.FeatureLevel > s.FeatureLevel {
		return fmt.Sprintf("%d, can %d", s.FeatureLevel, own.FeatureLevel)
	}
	return fmt.Sprint(s.FeatureLevel)
}

// writeAlarms tells what the nodes say that a person must look at, each once.
func (a *app) writeAlarms(answers []nodeAnswer) error {
	told := map[string]bool{}
	for _, n := range answers {
		for _, alarm := range n.status.Alarms {
			if told[alarm] {
				continue
			}
			told[alarm] = true
			if _, err := fmt.Fprintf(a.stdout, "ALARM: %s\n", printable(alarm)); err != nil {
				return wrapWrite(err)
			}
		}
	}
	return nil
}
