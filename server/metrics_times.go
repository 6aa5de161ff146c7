package server

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/cron"
	"github.com/edri-io/edri/timers"
)

// timesCollector reads what schedules and timers do when it is asked.
type timesCollector struct {
	node *consensus.Node
	cron *cron.Scheduler
}

var _ prometheus.Collector = (*timesCollector)(nil)

var (
	descSchedules     = gaugeDesc("schedule_schedules", "Schedules, those that are paused or have ended included.")
	descFired         = gaugeDesc("schedule_fired_total", "Fires that this node has made, leading, by action.", "action")
	descLate          = gaugeDesc("schedule_late_total", "Fires that were more than 1 s late, by action.", "action")
	descSkipped       = gaugeDesc("schedule_skipped_total", "Fires that overlap left out, by action.", "action")
	descMissed        = gaugeDesc("schedule_missed_total", "Times that were not made up for, by action.", "action")
	descFailed        = gaugeDesc("schedule_failed_total", "Fires that could not be made, by action.", "action")
	descTimersPending = gaugeDesc("timers_pending", "Timers that wait: of delayed events, keys, requests and settlements; counted up to 100,000.")
	descTimersOverdue = gaugeDesc("timers_overdue", "Timers that are due and have not fired.")
)

// Describe implements prometheus.Collector.
func (c *timesCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descSchedules, descFired, descLate, descSkipped, descMissed, descFailed,
		descTimersPending, descTimersOverdue} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *timesCollector) Collect(ch chan<- prometheus.Metric) {
	v := c.node.View()
	defer v.Close()
	schedules, err := c.cron.Stats(v)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(descSchedules, err)
		return
	}
	waiting, err := timers.Count(v, c.node.Now())
	if err != nil {
		ch <- prometheus.NewInvalidMetric(descTimersPending, err)
		return
	}
	put := func(d *prometheus.Desc, t prometheus.ValueType, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, t, v, labels...)
	}
	put(descSchedules, prometheus.GaugeValue, float64(schedules.Schedules))
	for _, action := range cron.Actions {
		counters := schedules.ByAction[action]
		put(descFired, prometheus.CounterValue, float64(counters.Fired), action)
		put(descLate, prometheus.CounterValue, float64(counters.Late), action)
		put(descSkipped, prometheus.CounterValue, float64(counters.Skipped), action)
		put(descMissed, prometheus.CounterValue, float64(counters.Missed), action)
		put(descFailed, prometheus.CounterValue, float64(counters.Failed), action)
	}
	put(descTimersPending, prometheus.GaugeValue, float64(waiting.Pending))
	put(descTimersOverdue, prometheus.GaugeValue, float64(waiting.Overdue))
}
