package router

import (
	"testing"
	"time"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

func (s *stage) expectStats(want Stats) {
	s.Helper()
	got, err := s.router.Stats()
	if err != nil || got != want {
		s.Errorf("stats %+v, %v\n want %+v", got, err, want)
	}
}

// count makes the dispatcher count where the router looks.
func (s *stage) count() *stage {
	s.d.counts = &s.router.counts
	return s
}

func TestStatsCountWhatIsDeliveredAndWhatIsLeft(t *testing.T) {
	t.Parallel()
	s := newStage(t).count()
	config := of("a")
	config.MaxDeliver, config.MaxPending, config.Backoff = 2, 3, []int64{int64(time.Second)}
	s.subscribe("s", config)
	s.subscribe("idle", of("b"))
	s.expectStats(Stats{Subscriptions: 2})

	s.append("a", "a", "a", "a")
	m := s.join("s", "m", 3)
	s.run()
	m.gets("1 2 3")
	s.pass(time.Second)
	s.run()
	s.expectStats(Stats{
		Deliveries: 3, Subscriptions: 2, Members: 1, InFlight: 3, Pending: 3, Blocked: 1, Oldest: time.Second,
	})
	if got := m.says(1, edriv1.Settle_NAK); got != "" {
		t.Fatal(got)
	}
	m.acks(2)
	m.credits(3)
	s.wait(time.Second)
	m.gets("4 1#2")
	if got := m.says(1, edriv1.Settle_NAK) + m.says(3, edriv1.Settle_PARK) + m.says(4, edriv1.Settle_SKIP); got != "" {
		t.Fatal(got)
	}
	s.run()
	// In the order of Verbs: ack, nak, park, skip, lost.
	s.expectStats(Stats{
		Deliveries: 5, Redeliveries: 1, Settled: [...]uint64{1, 2, 1, 1, 0}, Dead: 2, Subscriptions: 2, Members: 1,
	})
	s.resign()
	s.expectStats(Stats{Deliveries: 5, Redeliveries: 1, Settled: [...]uint64{1, 2, 1, 1, 0}, Dead: 2})
}

// What is purged while it waits is skipped, and what is behind it in its key goes on.
// What a member has is settled as ever.
func TestWhatIsPurgedWhileItWaitsIsSkipped(t *testing.T) {
	t.Parallel()
	s := newStage(t).count()
	config := of("a")
	config.OrderingKey, config.Backoff = event.OrderByPartitionKey, []int64{int64(time.Second)}
	s.subscribe("s", config)
	s.append("a/k", "a/k", "a/other")
	s.run()
	// Behind them, in a stream that is not purged.
	e := wireEvent("kept", "")
	e.Type = "a"
	e.Attributes = map[string]*edriv1.CloudEvent_CloudEventAttributeValue{
		event.AttrPartitionKey: {Attr: &edriv1.CloudEvent_CloudEventAttributeValue_CeString{CeString: "k"}},
	}
	s.must(&edriv1.Op{Op: &edriv1.Op_Append{Append: &edriv1.Append{Stream: "kept", Event: e}}})
	m := s.join("s", "m", 10)
	s.run()
	m.gets("1 3")
	if got := m.says(1, edriv1.Settle_NAK); got != "" {
		t.Fatal(got)
	}
	s.raw(consensus.PurgeCommit("tests", 4, 3, 0))
	m.acks(3)
	s.wait(2 * time.Second)
	m.gets("4") // 1 and 2 are passed
	m.acks(4)
	s.wait(checkpointTick)
	s.expectState("s", "cursor 4;;")
	s.expectStats(Stats{Deliveries: 3, Ended: 2, Settled: [...]uint64{2, 1, 0, 2, 0}, Subscriptions: 1, Members: 1})
}
