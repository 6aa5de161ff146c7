package server

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/managers/kv"
)

// keysCollector reads what is in the buckets, of which there are at most some thousand,
// when it is asked.
type keysCollector struct{ node *consensus.Node }

var _ prometheus.Collector = (*keysCollector)(nil)

var (
	descBuckets    = gaugeDesc("kv_buckets", "Buckets of keys.")
	descKeys       = gaugeDesc("kv_keys", "Keys in all buckets.")
	descValueBytes = gaugeDesc("kv_value_bytes", "Bytes of the values of all keys, without their history.")
)

// Describe implements prometheus.Collector.
func (c *keysCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descBuckets, descKeys, descValueBytes} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *keysCollector) Collect(ch chan<- prometheus.Metric) {
	v := c.node.View()
	defer v.Close()
	var buckets, keys, bytes uint64
	for b, err := range kv.Buckets(v, "", "") {
		if err != nil {
			ch <- prometheus.NewInvalidMetric(descBuckets, err)
			return
		}
		buckets++
		keys += b.Keys
		bytes += b.ValueBytes
	}
	for _, m := range []struct {
		desc  *prometheus.Desc
		value uint64
	}{{descBuckets, buckets}, {descKeys, keys}, {descValueBytes, bytes}} {
		ch <- prometheus.MustNewConstMetric(m.desc, prometheus.GaugeValue, float64(m.value))
	}
}
