package server

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/workflows/engine"
)

// workflowsCollector reads how runs of workflows are when it is asked.
type workflowsCollector struct {
	node   *consensus.Node
	engine *engine.Engine
}

var _ prometheus.Collector = (*workflowsCollector)(nil)

var (
	descRuns            = gaugeDesc("workflow_runs", "Runs of workflows: those under way, counted up to 100,000, and those that have ended and are known.", "status")
	descWorkflowWorkers = gaugeDesc("workflow_workers", "Sessions of workers of workflows; 0 where the node does not lead.")
	descWorkflowReady   = gaugeDesc("workflow_ready", "Runs that wait for a worker; 0 where the node does not lead.")
	descAdvances        = gaugeDesc("workflow_advances_total", "Advances of runs that the node has executed, repeats included.")
)

// Describe implements prometheus.Collector.
func (c *workflowsCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descRuns, descWorkflowWorkers, descWorkflowReady, descAdvances} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *workflowsCollector) Collect(ch chan<- prometheus.Metric) {
	v := c.node.View()
	defer v.Close()
	s, err := c.engine.Stats(v)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(descRuns, err)
		return
	}
	put := func(d *prometheus.Desc, t prometheus.ValueType, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, t, v, labels...)
	}
	put(descRuns, prometheus.GaugeValue, float64(s.Running), "running")
	put(descRuns, prometheus.GaugeValue, float64(s.Ended), "ended")
	put(descWorkflowWorkers, prometheus.GaugeValue, float64(s.Workers))
	put(descWorkflowReady, prometheus.GaugeValue, float64(s.Ready))
	put(descAdvances, prometheus.CounterValue, float64(s.Advances))
}
