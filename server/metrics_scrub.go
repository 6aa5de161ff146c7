package server

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/edri-io/edri/consensus"
)

var (
	descScrubBytes    = gaugeDesc("scrub_bytes_total", "Bytes that the background scrub has read.")
	descScrubRounds   = gaugeDesc("scrub_rounds_total", "Times that the scrub has read everything since the node runs.")
	descScrubDamaged  = gaugeDesc("scrub_damaged_total", "Files that the scrub found damaged since the node runs.")
	descScrubComplete = gaugeDesc("scrub_complete_timestamp_seconds", "When the scrub had last read everything; absent before.")
)

// collectScrub tells how far the background scrub is.
func collectScrub(ch chan<- prometheus.Metric, s consensus.Scrub) {
	counter := func(d *prometheus.Desc, v uint64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v))
	}
	counter(descScrubBytes, s.Bytes)
	counter(descScrubRounds, s.Rounds)
	counter(descScrubDamaged, s.Damaged)
	if !s.Complete.IsZero() {
		at := float64(s.Complete.UnixMilli()) / 1000
		ch <- prometheus.MustNewConstMetric(descScrubComplete, prometheus.GaugeValue, at)
	}
}
