package server

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/edri-io/edri/router"
)

// routerCollector reads what the router delivers when it is asked.
type routerCollector struct {
	stats func() (router.Stats, error)
}

var _ prometheus.Collector = (*routerCollector)(nil)

var (
	descDeliveries    = gaugeDesc("router_deliveries_total", "Events that this node has handed out to members, leading.")
	descRedeliveries  = gaugeDesc("router_redeliveries_total", "Deliveries that were not the first attempt.")
	descSettlements   = gaugeDesc("router_settlements_total", "Attempts that ended, by how; lost: without a settlement.", "verb")
	descDeadLetters   = gaugeDesc("router_dead_letters_total", "Events that were given up.")
	descEnded         = gaugeDesc("router_ended_total", "Events that were skipped, since a purge or retention had ended them while they waited.")
	descSubscriptions = gaugeDesc("router_subscriptions", "Subscriptions; 0 where the node does not lead.")
	descRouterMembers = gaugeDesc("router_members", "Members of subscriptions; 0 where the node does not lead.")
	descInFlight      = gaugeDesc("router_in_flight", "Deliveries that members have; 0 where the node does not lead.")
	descPending       = gaugeDesc("router_pending", "Events that the leader knows to match and that are not done; 0 where the node does not lead.")
	descBlocked       = gaugeDesc("router_blocked", "Subscriptions that hand out nothing new, since max_pending events are pending; 0 where the node does not lead.")
	descStuck         = gaugeDesc("router_stuck", "Subscriptions that have finished nothing for minutes, though events wait; each is an alarm. 0 where the node does not lead.")
	descOldest        = gaugeDesc("router_oldest_pending_seconds", "Age of the oldest event that is not done; 0 for none, and where the node does not lead.")
)

// Describe implements prometheus.Collector.
func (c *routerCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descDeliveries, descRedeliveries, descSettlements, descDeadLetters, descEnded,
		descSubscriptions, descRouterMembers, descInFlight, descPending, descBlocked, descStuck, descOldest} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *routerCollector) Collect(ch chan<- prometheus.Metric) {
	s, err := c.stats()
	if err != nil {
		ch <- prometheus.NewInvalidMetric(descOldest, err)
		return
	}
	put := func(d *prometheus.Desc, t prometheus.ValueType, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, t, v, labels...)
	}
	put(descDeliveries, prometheus.CounterValue, float64(s.Deliveries))
	put(descRedeliveries, prometheus.CounterValue, float64(s.Redeliveries))
	put(descDeadLetters, prometheus.CounterValue, float64(s.Dead))
	put(descEnded, prometheus.CounterValue, float64(s.Ended))
	for i, verb := range router.Verbs {
		put(descSettlements, prometheus.CounterValue, float64(s.Settled[i]), verb)
	}
	put(descSubscriptions, prometheus.GaugeValue, float64(s.Subscriptions))
	put(descRouterMembers, prometheus.GaugeValue, float64(s.Members))
	put(descInFlight, prometheus.GaugeValue, float64(s.InFlight))
	put(descPending, prometheus.GaugeValue, float64(s.Pending))
	put(descBlocked, prometheus.GaugeValue, float64(s.Blocked))
	put(descStuck, prometheus.GaugeValue, float64(s.Stuck))
	put(descOldest, prometheus.GaugeValue, s.Oldest.Seconds())
}
