package router

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
)

// leasing is a config with leases of 10 s and waits of 1 s, then 5 s.
func leasing() *edriv1.SubscriptionConfig {
	config := of("a")
	config.AckWait = int64(10 * time.Second)
	config.Backoff = []int64{int64(time.Second), int64(5 * time.Second)}
	return config
}

func TestALeaseThatEndsIsAnAttempt(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	g := s.subscribe("s", leasing())
	s.append("a", "a")
	m, other := s.join("s", "m", 2), s.join("s", "other", 0)
	s.run()
	m.gets("1 2")
	s.wait(5 * time.Second)
	m.m.Extend([]Held{{2, m.held[2].Token}})
	s.wait(5 * time.Second)
	other.credits(5)
	s.run()
	other.gets("1#2") // at once: it is the first that was lost
	m.refused(1, "stale_token")
	m.m.Extend([]Held{{1, m.held[1].Token}})
	m.loses("1")
	s.wait(5 * time.Second)
	other.gets("2#2")
	s.wait(10 * time.Second)
	other.gets("1#3") // after a wait of 5 s, for the second attempt was lost too
	v := s.View()
	defer v.Close()
	for p, err := range PendingOf(v, g) {
		if err != nil || p.Attempts != 2 {
			t.Errorf("pending %+v, %v; want 2 attempts", p, err)
		}
	}
}

// Extensions, and a shorter ack_wait, do not put off when other leases end.
func TestLeasesEndInTheirOwnTime(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.subscribe("s", leasing())
	s.append("a")
	m := s.join("s", "m", 2)
	s.run()
	short := leasing()
	short.AckWait = int64(time.Second)
	s.must(update("s", short))
	s.run()
	s.append("a")
	s.run()
	m.gets("1 2")
	m.credits(1)
	s.wait(time.Second)
	m.gets("2#2")
	m.acks(2)
	s.wait(8 * time.Second)
	m.gets("")
	m.credits(1)
	s.wait(time.Second)
	m.gets("1#2")
}

func TestWhatIsGivenBackIsNotCounted(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.subscribe("s", leasing())
	s.append("a", "a", "a")
	m := s.join("s", "m", 3)
	s.run()
	m.gets("1 2 3")
	other := s.join("s", "other", 3)
	m.m.GiveBack([]Held{{2, m.held[2].Token}})
	s.run()
	other.gets("2")
	// What was settled a moment before its member left is settled.
	acked := "none"
	m.settle(m.settlement(3, edriv1.Settle_ACK), func(code string) { acked = code })
	m.m.Leave(true)
	s.run()
	other.gets("1")
	if acked != "" {
		t.Errorf("ack of 3: %s", acked)
	}
	other.acks(1, 2)
	s.wait(checkpointTick)
	s.expectState("s", "cursor 3;;")
}

func TestABrokenConnectionIsAnAttemptAfterAWhile(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.subscribe("s", leasing())
	s.append("a", "a", "a")
	m := s.join("s", "m", 3)
	s.run()
	m.gets("1 2 3")
	other := s.join("s", "other", 3)
	m.m.Leave(false)
	s.wait(adoptionTime - leaseTick)
	other.gets("")
	delete(m.held, 3)
	s.rejoin(m, "s", 0) // with 1 and 2
	s.wait(leaseTick)
	other.gets("3#2")
	m.loses("")
	m.acks(1, 2)
	// The token of a lease that ended counts while nobody else has the event.
	other.m.Leave(false)
	s.wait(adoptionTime)
	other.acks(3)
}

// Who comes back before the old connection is known to be broken has what it shows.
func TestATokenIsWorthMoreThanAConnection(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.subscribe("s", leasing())
	s.append("a")
	m := s.join("s", "m", 1)
	s.run()
	old := m.m
	s.rejoin(m, "s", 0)
	m.loses("")
	old.Leave(false)
	s.wait(adoptionTime)
	m.gets("1")
	m.acks(1)
}

func TestNakWaitsForTheBackoff(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	config := leasing()
	config.MaxDeliver = 3
	s.subscribe("s", config)
	s.append("a", "a")
	m := s.join("s", "m", 5)
	s.run()
	m.gets("1 2")
	first := *m.held[1]
	if got := m.says(1, edriv1.Settle_NAK); got != "" {
		t.Fatal(got)
	}
	s.wait(time.Second - leaseTick)
	m.gets("")
	s.wait(leaseTick)
	m.gets("1#2")
	second := m.held[1]
	m.held[1] = &first
	m.refused(1, "stale_token")
	m.held[1] = second
	if got := m.says(1, edriv1.Settle_NAK); got != "" {
		t.Fatal(got)
	}
	s.wait(5 * time.Second)
	m.gets("1#3")
	if got := m.says(1, edriv1.Settle_NAK); got != "" {
		t.Fatal(got)
	}
	s.wait(time.Minute)
	m.gets("2#2")                              // its lease was over
	s.expectState("s", "cursor 3; 2(2); 1(3)") // 3 is the dead letter's event
	s.must(redriveOf("s"))
	m.credits(1)
	s.run()
	m.gets("1")
}

// A settlement that is refused takes the lease from nobody.
func TestRefusedEffectsLeaveTheLease(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.subscribe("s", leasing())
	s.append("a")
	m := s.join("s", "m", 5)
	s.run()
	m.gets("1")
	wrong := add("x")
	wrong.GetAppend().Expected = &edriv1.Append_Revision{Revision: 7}
	got := "none"
	m.settle(m.settlement(1, edriv1.Settle_ACK), func(code string) { got = code }, wrong)
	s.run()
	if got != string(event.CodeCheckFailed) {
		t.Errorf("ack with an effect that does not hold: %s", got)
	}
	m.gets("")
	m.acks(1)
}

func TestMembersAreServedInTurn(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.subscribe("s", leasing())
	m1, m2, m3 := s.join("s", "m1", 2), s.join("s", "m2", 1), s.join("s", "m3", 5)
	s.append("a", "a", "a", "a", "a", "a")
	s.run()
	for m, want := range map[*seat]int{m1: 2, m2: 1, m3: 3} {
		if len(m.events) != want {
			t.Errorf("%s has %v, want %d of them", m.name, m.events, want)
		}
	}
}

// What is being settled is handed to nobody, also by a token whose lease is over; if it
// comes to nothing, the event goes on.
func TestWhatIsBeingSettledIsNotHandedOut(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.subscribe("s", leasing())
	s.append("a", "a")
	m := s.join("s", "m", 2)
	s.run()
	s.wait(10 * time.Second) // their leases end, and nobody else is there
	results := map[event.Position]string{}
	for p := event.Position(1); p <= 2; p++ {
		m.settle(m.settlement(p, edriv1.Settle_ACK), func(code string) { results[p] = code })
	}
	other := s.join("s", "other", 5)
	s.step()
	other.gets("")
	lost := s.log[1]
	s.log = s.log[:1]
	lost.done(nil, event.Errorf(event.CodeOverloaded, "too much"))
	s.run()
	if results[1] != "" || results[2] != "overloaded" {
		t.Errorf("results %v", results)
	}
	s.wait(adoptionTime + 5*time.Second)
	other.gets("2#3")
}

// What waits for its backoff is nobody's.
func TestAWaitIsNotAdopted(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.subscribe("s", leasing())
	s.append("a")
	m := s.join("s", "m", 2)
	s.run()
	s.wait(20 * time.Second) // lost twice
	m.gets("1 1#2")
	s.rejoin(m, "s", 1)
	m.loses("1")
	s.wait(5 * time.Second)
	m.gets("1#3")
}

// with is what a member says of one event by the token of another's delivery.
func (c *seat) with(token event.Position, of event.Position, verb edriv1.Settle_Verb) string {
	c.Helper()
	result := "none"
	settle := c.settlement(token, verb)
	settle.Position = uint64(of)
	c.settle(settle, func(code string) { result = code }, add(fmt.Sprint("effect of ", of)))
	c.run()
	return result
}

// A token settles the event that it was handed out with: not one that waits for its key,
// its next attempt or a member, is with another, did not match, or is not there yet.
func TestATokenSettlesItsOwnEventAlone(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	config := leasing()
	config.OrderingKey = event.OrderByPartitionKey
	s.subscribe("s", config)
	s.append("b", "a/x", "a/x", "a", "a", "a")
	m, other := s.join("s", "m", 3), s.join("s", "other", 0)
	s.run()
	m.gets("2 4 5")
	last := s.core.Meta().Mark.Last
	if got := m.says(4, edriv1.Settle_NAK); got != "" {
		t.Fatal(got)
	}
	check := func(tokenOf event.Position) {
		t.Helper()
		for _, p := range []event.Position{1, 2, 3, 4, 5, 6, last + 1, 1e9} {
			if p == tokenOf {
				continue
			}
			if got := m.with(tokenOf, p, edriv1.Settle_ACK); got != string(event.CodeInvalid) {
				t.Errorf("ack of %d by the token of %d: %q, want invalid", p, tokenOf, got)
			}
		}
	}
	check(2)
	m.m.Extend([]Held{{5, m.held[2].Token}})
	m.loses("5")
	m.m.GiveBack([]Held{{5, m.held[2].Token}})
	other.credits(1)
	s.run()
	other.gets("6")
	s.elect()
	check(2) // by that of a leader before
	s.rejoin(m, "s", 0)
	s.rejoin(&seat{stage: s, name: "thief", held: map[event.Position]*Delivery{3: m.held[2], 6: m.held[5]}}, "s", 0).loses("3 6")
	s.run()
	m.acks(2, 5)
	if got := s.core.Meta().Mark.Last; got != last {
		t.Errorf("the journal ends at %d, want %d: effects were committed", got, last)
	}
}

// What a binary before tokens named their events handed out is handed out again.
func TestATokenWithoutAnEventIsStale(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.subscribe("s", leasing())
	s.append("a")
	m := s.join("s", "m", 1)
	s.run()
	m.gets("1")
	d := m.held[1]
	d.Token = binary.BigEndian.AppendUint64(nil, d.Generation)
	d.Token = binary.BigEndian.AppendUint64(d.Token, s.term)
	d.Token = binary.BigEndian.AppendUint64(d.Token, 1)
	m.refused(1, "stale_token")
	s.elect()
	m.refused(1, "stale_token")
	s.rejoin(m, "s", 0)
	m.loses("1")
}

// One delivery is one attempt: what its member says after its lease was counted, or after
// it gave it back, or said so before, counts nothing.
func TestALateNakOrParkCountsNothing(t *testing.T) {
	t.Parallel()
	for name, verb := range map[string]edriv1.Settle_Verb{"nak": edriv1.Settle_NAK, "park": edriv1.Settle_PARK} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.subscribe("s", leasing())
			s.append("a", "a", "a")
			m := s.join("s", "m", 3)
			s.run()
			m.gets("1 2 3")
			late := func(p event.Position, when string) {
				t.Helper()
				if got := m.says(p, verb); got != "stale_token" {
					t.Errorf("%s, %s: %q, want stale_token", name, when, got)
				}
			}
			first := *m.held[1]
			if got := m.says(1, edriv1.Settle_NAK); got != "" {
				t.Fatal(got)
			}
			m.held[1] = &first
			late(1, "said before, and it waits")
			m.m.GiveBack([]Held{{3, m.held[3].Token}})
			late(3, "given back")
			s.pass(9 * time.Second)
			s.run()
			late(1, "said before, and it is ready")
			s.pass(time.Second)
			s.step() // the failure is on its way
			late(2, "the lease is over")
			s.run()
			late(2, "the lease is counted")
			s.expectState("s", "cursor 3; 1(1) 2(1) 3;")
			m.acks(1, 2, 3) // which counts, however late
		})
	}
}

// Who had an event from a leader before, and no attempt is counted, may say that it failed.
func TestANakByATokenOfALeaderBeforeCounts(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.subscribe("s", leasing())
	s.append("a", "a", "a")
	m := s.join("s", "m", 3)
	s.run()
	m.acks(3) // and the cursor passes all
	s.elect()
	if got := m.says(1, edriv1.Settle_NAK); got != "" {
		t.Error(got)
	}
	s.expectState("s", "cursor 3; 1(1 until 1000000000) 2;")
	s.join("s", "other", 0).credits(2)
	s.wait(adoptionTime)
	if got := m.says(2, edriv1.Settle_NAK); got != "stale_token" { // counted as a suspect
		t.Error(got)
	}
}

// A nak whose answer was lost is sent again to the next leader, to which its member shows
// the token, as it does not know that the attempt is counted.
func TestANakCountsOnceWhoeverLeads(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	config := leasing()
	config.Backoff = []int64{0}
	g := s.subscribe("s", config)
	s.append("a", "a")
	m := s.join("s", "m", 2)
	s.run()
	m.acks(2)
	first := *m.held[1]
	if got := m.says(1, edriv1.Settle_NAK); got != "" {
		t.Fatal(got)
	}
	m.held[1] = &first
	s.elect()
	s.rejoin(m, "s", 0)
	m.loses("1")
	if got := m.says(1, edriv1.Settle_NAK); got != "stale_token" {
		t.Errorf("sent again: %q", got)
	}
	s.expectState("s", "cursor 2; 1(1);")
	// Apply holds it to the attempt too, whatever a leader lets pass.
	again := opOf(&edriv1.Settle{Subscription: "s", Position: 1, Verb: edriv1.Settle_NAK, Token: first.Token})
	if got := code(s.do(again)); got != "stale_token" {
		t.Errorf("applied again: %q", got)
	}
	second := token{g, 2, 1, s.term, 1}
	again.GetSettle().Token = second.appendTo(nil)
	s.must(again)
	s.expectState("s", "cursor 2; 1(2);")
}

// A later attempt that failed under the leader before counts as the first does.
func TestALaterNakByATokenOfALeaderBeforeCounts(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	config := leasing()
	config.Backoff = []int64{0}
	s.subscribe("s", config)
	s.append("a")
	m := s.join("s", "m", 2)
	s.run()
	m.settle(m.settlement(1, edriv1.Settle_NAK), func(string) {})
	s.run()
	m.gets("1 1#2")
	s.elect()
	settle := m.settlement(1, edriv1.Settle_NAK)
	settle.Reason, settle.Delay = "late", proto.Int64(int64(time.Minute))
	m.settle(settle, func(code string) {
		if code != "" {
			t.Error(code)
		}
	})
	s.run()
	s.expectState("s", "cursor 1; 1(2 until 60000000000);")
}

// A lease does not end while its settlement is on its way.
func TestWhatIsBeingSettledDoesNotEnd(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.subscribe("s", leasing())
	s.append("a", "a")
	m := s.join("s", "m", 2)
	s.run()
	m.acks(2)
	settle := m.settlement(1, edriv1.Settle_NAK)
	settle.Delay = proto.Int64(0) // with a wait the failure would find that it is counted
	m.settle(settle, func(code string) {
		if code != "" {
			t.Errorf("nak: %s", code)
		}
	})
	s.pass(9 * time.Second)
	for range 20 { // leases are looked at, while nothing is committed
		s.now += int64(leaseTick)
		s.step()
	}
	s.run()
	s.expectState("s", "cursor 2; 1(1);")
}
