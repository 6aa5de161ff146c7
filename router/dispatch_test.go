package router

import (
	"testing"
	"time"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
)

func TestEventsAreHandedOutInTheirOrderAsFarAsThereAreCredits(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.append("a", "b", "a", "a")
	s.subscribe("s", of("a"))
	s.run()
	m := s.join("s", "m", 2)
	s.run()
	m.gets("1 3")
	m.acks(3)
	m.gets("")
	m.credits(5)
	s.run()
	m.gets("4")
	s.append("b", "a", "a") // live
	s.run()
	m.gets("6 7")
	m.acks(1, 4, 6, 7)
	s.wait(checkpointTick)
	s.expectState("s", "cursor 7;;")
	if got := s.d.queues["s"]; len(got.open) != 0 || got.in[stateLeased] != 0 || got.credits != 2 {
		t.Errorf("left: %s", s.dump())
	}
}

func TestMaxInFlightAndMaxPendingHoldBack(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	config := of("a")
	config.MaxInFlight, config.MaxPending = 2, 3
	s.subscribe("s", config)
	s.append("a", "a", "a", "a", "a")
	m := s.join("s", "m", 10)
	s.run()
	m.gets("1 2")
	if got := m.says(1, edriv1.Settle_NAK); got != "" { // waits: not in flight, but pending
		t.Fatal(got)
	}
	m.gets("3")
	if got := m.says(2, edriv1.Settle_NAK); got != "" {
		t.Fatal(got)
	}
	m.gets("") // three are pending
	if info := s.router.live("s"); !info.Blocked || info.InFlight != 1 {
		t.Errorf("live is %+v", info)
	}
	m.acks(3)
	m.gets("4")
	s.wait(time.Second)
	m.gets("1#2")
}

// A request that has expired is not handed out; what follows it is.
func TestExpiredRequestsAreSkipped(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.subscribe("s", of("test"))
	s.append("other")
	s.run()
	s.must(request1("q1", time.Minute, 0))
	s.append("other")
	s.must(request1("q2", time.Hour, 0))
	s.must(request1("q3", time.Minute, 0))
	s.pass(2 * time.Minute)
	s.run()
	m := s.join("s", "m", 10)
	s.run()
	m.gets("4")
	m.acks(4)
	s.wait(checkpointTick)
	s.expectState("s", "cursor 5;;")
	// And where the queue is live.
	s.append("other")
	s.must(request1("q4", time.Minute, 0))
	s.append("test")
	s.now += int64(2 * time.Minute)
	s.run()
	m.gets("8")
	m.acks(8)
	s.wait(checkpointTick)
	s.expectState("s", "cursor 8;;")
}

// What is applied between the view from which a leader makes its queues and its first
// step is not missed.
func TestNothingAppliedWhileTheLeaderBeginsIsMissed(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	g := s.subscribe("s", of("test"))
	s.publish(2)
	s.advance(g, 0, 2, 1, 2)
	s.do(nakFor("s", g, 1, time.Second))
	s.resign()
	s.afterView = func() { s.pass(time.Second) } // the wait of 1 ends
	s.elect()
	s.run()
	m := s.join("s", "m", 10)
	s.wait(adoptionTime)
	m.gets("1#2 2#2")
}

// A subscription may begin beyond the journal's end: it waits for that.
func TestStartBeyondTheJournal(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.must(create("s", of("a"), atPosition(4)))
	s.append("a")
	s.run()
	m := s.join("s", "m", 10)
	s.append("a", "a")
	s.run()
	m.gets("")
	s.append("a", "a")
	s.run()
	m.gets("4 5")
	m.acks(5, 4)
	s.wait(checkpointTick)
	s.expectState("s", "cursor 5;;")
}

// An advance that was refused takes no settlement with it for good, nor what follows.
func TestRefusedAdvanceIsMadeUpFor(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.subscribe("s", of("a"))
	s.append("a", "a", "a")
	m := s.join("s", "m", 10)
	s.run()
	m.gets("1 2 3")
	s.refuse = func(op uint32) *event.Error {
		if op == opAdvance {
			return event.Errorf(event.CodeOverloaded, "too much")
		}
		return nil
	}
	m.refused(1, "unavailable")
	s.refuse = nil
	m.refused(2, "unavailable") // its advance would begin where none has come to
	s.wait(leaseTick)
	m.acks(1, 2, 3)
	s.expectState("s", "cursor 3;;")
}

// Many settlements behind an advance that was lost make one more advance, and not many.
func TestAdvancesDoNotMultiply(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.subscribe("s", of("a"))
	m := s.join("s", "m", 1000)
	refused := 0
	s.refuse = func(op uint32) *event.Error {
		if op == opAdvance && refused == 0 {
			refused++
			return event.Errorf(event.CodeOverloaded, "too much")
		}
		return nil
	}
	results := map[string]int{}
	for range 100 {
		s.append("a")
		s.step()
		last := m.events[len(m.events)-1] // each needs an advance of its own
		s.settle(m.settlement(last, edriv1.Settle_ACK), func(code string) { results[code]++ })
	}
	if len(s.log) < 150 {
		t.Fatalf("%d operations are in the log, want settlements and advances", len(s.log))
	}
	advances := 0
	s.refuse = func(op uint32) *event.Error {
		if op == opAdvance {
			advances++
		}
		return nil
	}
	s.run()
	s.wait(leaseTick)
	if advances > 3 {
		t.Errorf("%d advances to make up for one", advances)
	}
	if q := s.d.queues["s"]; q.committed < 100 {
		t.Errorf("the cursor did not come on: %s; results %v", s.dump(), results)
	}
}

// A lease that ends while the event has no row yet, since the advance was lost, ends
// after all once it has one.
func TestFailureWithoutARowIsRepeated(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	config := of("a")
	config.AckWait = int64(time.Second)
	s.subscribe("s", config)
	s.append("a")
	m := s.join("s", "m", 10)
	s.run()
	m.gets("1")
	s.refuse = func(op uint32) *event.Error {
		if op == opAdvance {
			return event.Errorf(event.CodeOverloaded, "too much")
		}
		return nil
	}
	s.wait(time.Second)
	m.gets("")
	s.refuse = nil
	s.wait(time.Second)
	m.gets("1#2")
	m.acks(1)
}

// Who has just created a subscription may use it: until the leader has heard of it
// nothing is said to be missing.
func TestNothingIsMissingBeforeTheLeaderHasHeardOfIt(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	call := request1("q", time.Minute, 0)
	call.GetSendRequest().Call = true
	_, body := bodyOf(t, call)
	ask := func() (string, string) {
		_, err := s.router.Join(Join{Subscription: "s"})
		return string(event.CodeOf(err)), string(event.CodeOf(asError(s.router.Admit(opSendRequest, body))))
	}
	if join, request := ask(); join != "not_found" || request != "no_responder" {
		t.Errorf("without a subscription: %s, %s", join, request)
	}
	s.must(create("s", of("test"), atFirst()))
	if join, request := ask(); join != "unavailable" || request != "unavailable" {
		t.Errorf("before it is heard of: %s, %s", join, request)
	}
	s.run()
	if join, request := ask(); join != "" || request != "" {
		t.Errorf("after that: %s, %s", join, request)
	}
}

func asError(err *event.Error) error {
	if err == nil {
		return nil
	}
	return err
}
