package router

import (
	"fmt"
	"testing"
	"time"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
)

func TestSeekTakesAwayWhatIsOut(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.subscribe("s", leasing())
	s.append("a", "a", "a")
	m := s.join("s", "m", 4)
	s.run()
	m.gets("1 2 3")
	old := *m.held[2]
	inFlight := "none"
	m.settle(m.settlement(1, edriv1.Settle_ACK), func(code string) { inFlight = code })
	s.must(seekTo("s", atPosition(2)))
	s.run()
	if inFlight != "stale_token" {
		t.Errorf("an ack that comes after the seek: %s", inFlight)
	}
	m.loses("1 2 3")
	m.gets("2") // the credit that was left
	m.credits(5)
	s.run()
	m.gets("3")
	m.acks(3)
	fresh := m.held[2]
	m.held[2] = &old
	m.refused(2, "stale_token")
	m.held[2] = fresh
	m.acks(2)
	s.wait(checkpointTick)
	s.expectState("s", "cursor 3;;")
}

func TestDeleteEndsMembers(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.subscribe("s", leasing())
	s.append("a")
	m := s.join("s", "m", 4)
	s.run()
	s.must(remove("s"))
	s.run()
	if _, _, err := m.m.Take(nil); event.CodeOf(err) != event.CodeNotFound {
		t.Errorf("the member ends with %v", err)
	}
	m.refused(1, "stale_token")
	m.m.Extend(m.holds()) // what it still says harms nobody
	m.m.GiveBack(m.holds())
	m.credits(1)
	m.m.Leave(true)
	s.subscribe("s", leasing())
	other := s.join("s", "other", 1)
	s.run()
	other.gets("1")
	s.wait(time.Second)
	if n := s.rows(kindGarbage); n != 0 {
		t.Errorf("%d rows of garbage are left", n)
	}
}

func TestPausedSubscriptionsHandNothingOut(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.subscribe("s", leasing())
	s.append("a", "a", "a")
	m := s.join("s", "m", 2)
	s.run()
	m.gets("1 2")
	s.must(pauseOf("s", true, "for a test"))
	m.credits(5)
	s.append("a")
	s.wait(20 * time.Second) // leases end, waits too
	m.gets("")
	s.must(pauseOf("s", false, ""))
	s.run()
	m.gets("1#2 2#2 3 4")
}

// A paused subscription looks for what a member claims, and hands nothing out by the way.
func TestClaimsOfAPausedSubscription(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.subscribe("s", leasing())
	s.append("a", "a", "a", "a")
	m := s.join("s", "m", 2)
	s.run()
	m.gets("1 2")
	m.acks(2) // 1 has a row
	m.credits(1)
	s.run()
	m.gets("3") // and 3 has none
	s.must(pauseOf("s", true, ""))
	s.elect()
	s.append("a")
	s.wait(adoptionTime)
	delete(m.held, 1)
	s.rejoin(m, "s", 10)
	s.wait(time.Second)
	m.gets("")
	m.acks(3)
	m.gets("")
	s.must(pauseOf("s", false, ""))
	s.run()
	m.gets("5 1#2 4") // 1 and 4 may have been out, which is committed first
}

func TestAFilterHoldsFromWhereTheLeaderHasLooked(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.subscribe("s", leasing())
	s.append("a", "b", "a", "b", "a")
	m := s.join("s", "m", 1)
	s.run()
	m.gets("1")
	s.must(update("s", of("b")))
	s.run()
	m.credits(5)
	s.run()
	m.gets("4") // 2 was passed
	s.append("a", "b")
	s.run()
	m.gets("7")
	m.acks(1, 4, 7)
	s.wait(checkpointTick)
	s.expectState("s", "cursor 7;;")
}

func TestOlderDefinitionsLeave(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	config := leasing()
	config.Version = 1
	s.subscribe("s", config)
	s.append("a")
	join := func(version uint32) (*Member, error) {
		return s.router.Join(Join{Subscription: "s", Version: version, Encode: func(dst []byte, _ *Delivery) []byte { return dst }})
	}
	old, err := join(1)
	if err != nil {
		t.Fatal(err)
	}
	if err := old.AddCredits(1); err != nil {
		t.Fatal(err)
	}
	s.run()
	any := s.join("s", "of no version", 1)
	newer := leasing()
	newer.Version = 2
	s.must(update("s", newer))
	s.run()
	if _, _, err := old.Take(nil); event.CodeOf(err) != event.CodeExists {
		t.Errorf("the older member ends with %v", err)
	}
	if _, err := join(1); event.CodeOf(err) != event.CodeExists {
		t.Errorf("an older member joins with %v", err)
	}
	if _, err := join(2); err != nil {
		t.Errorf("a member of the version joins with %v", err)
	}
	any.gets("1") // given back uncounted
}

func TestReservedTypesMatchWhereTheyAreNamed(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	config := of("a")
	config.MaxDeliver = 1
	s.subscribe("s", config)
	all := &edriv1.SubscriptionConfig{Filter: `{"prefix":{"source":"/"}}`}
	s.subscribe("all", all)
	s.subscribe("dead", of(deadType))
	s.append("a")
	m, d := s.join("s", "m", 9), s.join("dead", "d", 9)
	a := s.join("all", "a", 9)
	s.run()
	if got := m.says(1, edriv1.Settle_NAK); got != "" {
		t.Fatal(got)
	}
	s.run()
	d.gets("2")
	a.gets("") // its source is edri's, which no filter without the type takes
}

// What retention or a purge has ended while it was pending is passed.
func TestWhatRetentionEndedIsPassed(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.subscribe("s", leasing())
	s.append("a", "a", "a", "a")
	m := s.join("s", "m", 2)
	s.run()
	m.gets("1 2")
	s.elect() // without rows nothing is pinned but the cursor's next
	s.wait(adoptionTime)
	if first := s.retain(4); first != 1 {
		t.Fatalf("the journal begins at %d, want 1: the subscription needs it", first)
	}
	s.rejoin(m, "s", 2)
	s.run()
	m.m.Leave(true)
	m.acks(1, 2)
	s.wait(checkpointTick)
	if first := s.retain(4); first > 3 {
		t.Errorf("the journal begins at %d, before what is needed", first)
	}
}

// One subscription's stuck backlog is in nobody's way, nor are many that are idle.
func TestSubscriptionsDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	idle := 1000
	if testing.Short() {
		idle = 100
	}
	for i := range idle {
		s.hall.subscribe(fmt.Sprint("idle ", i), of(fmt.Sprint("type ", i)))
	}
	stuck := of("a")
	stuck.MaxPending = 10
	s.hall.subscribe("stuck", stuck)
	s.subscribe("busy", of("a"))
	for range 100 {
		s.append("a")
	}
	s.join("stuck", "stuck", 100)
	busy := s.join("busy", "busy", 50)
	s.run()
	for range 200 {
		s.append("a")
		s.run()
		held := busy.holds()
		if len(held) == 0 {
			t.Fatal("the busy member starves")
		}
		for _, h := range held {
			busy.settle(busy.settlement(h.Position, edriv1.Settle_ACK), func(string) {})
			delete(busy.held, h.Position)
		}
		busy.credits(len(held))
		s.run()
	}
	s.wait(2 * checkpointTick) // the cursors of many are written one after the other
	s.expectState("busy", "cursor 300;;")
	if q := s.d.queues["stuck"]; len(q.open) != 10 || len(q.ahead) > batchEvents {
		t.Errorf("the stuck subscription holds %d events and has read %d ahead", len(q.open), len(q.ahead))
	}
	s.expectState("idle 7", "cursor 300;;")
}

// The higher priority is served first; the lower has its turn in the same step.
func TestPrioritiesSayWhoIsServedFirst(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	var served []string
	for name, priority := range map[string]int32{"low": -1, "middle": 0, "high": 9} {
		config := of("a")
		config.Priority = priority
		s.subscribe(name, config)
		m, err := s.router.Join(Join{Subscription: name, Encode: func(dst []byte, _ *Delivery) []byte {
			served = append(served, name)
			return dst
		}})
		if err != nil {
			t.Fatal(err)
		}
		s.must(pauseOf(name, true, ""))
		s.run()
		if err := m.AddCredits(1); err != nil {
			t.Fatal(err)
		}
	}
	s.append("a")
	s.run()
	for _, name := range []string{"middle", "low", "high"} {
		s.must(pauseOf(name, false, ""))
	}
	s.step()
	if got := fmt.Sprint(served); got != "[high middle low]" {
		t.Errorf("served %s", got)
	}
}
