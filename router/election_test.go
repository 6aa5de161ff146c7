package router

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
)

// What a member has, it keeps over a change of the leader, whether it has a row or not;
// what nobody shows is an attempt, where the former leader may have handed it out.
func TestMembersKeepWhatTheyHaveWhenTheLeaderChanges(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.subscribe("s", leasing())
	s.append("a", "a", "a", "a", "a", "a")
	m, gone := s.join("s", "m", 2), s.join("s", "gone", 3)
	s.run()
	m.acks(m.events[0]) // the cursor passes all that is out
	lives, dies := m.events[1], gone.events
	m.got, gone.got = nil, nil
	s.elect()
	s.rejoin(m, "s", 1)
	s.run()
	m.gets("") // the others are waited for
	m.loses("")
	m.acks(lives)
	s.wait(adoptionTime)
	m.gets(fmt.Sprint(dies[0], "#2"))
	m.credits(5)
	s.run()
	m.gets(fmt.Sprintf("%d#2 %d#2 6", dies[1], dies[2]))
}

// What has no row yet is claimed by a member, and its settlement waits for the leader to
// come to it; nobody else gets it.
func TestClaimsBeyondTheCursor(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.subscribe("s", leasing())
	s.append("a", "a", "a", "a")
	m := s.join("s", "m", 4)
	s.run()
	m.gets("1 2 3 4")
	s.elect()
	delete(m.held, 1)
	m.held[3].Token = token{m.held[3].Generation, 1, 3, s.term, 9}.appendTo(nil) // of no leader before
	other := s.join("s", "other", 9)
	s.rejoin(m, "s", 0)
	m.loses("3")
	early := "none"
	m.settle(m.settlement(2, edriv1.Settle_ACK), func(code string) { early = code })
	if early != "unavailable" {
		t.Errorf("ack before the leader has come to the event: %s", early)
	}
	s.run()
	other.gets("")
	m.m.GiveBack([]Held{{4, m.held[4].Token}})
	m.acks(2)
	s.wait(adoptionTime)
	// Covered by an advance first, so that the next leader counts the attempt.
	other.gets("1 3 4")
	s.expectState("s", "cursor 4; 1 3 4;")
}

// A claim that is given back before the leader has come to the event is nobody's.
func TestAClaimIsGivenBack(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.subscribe("s", leasing())
	s.append("a")
	m := s.join("s", "m", 1)
	s.run()
	s.elect()
	s.rejoin(m, "s", 0)
	m.m.GiveBack(m.holds())
	other := s.join("s", "other", 1)
	s.wait(adoptionTime)
	other.gets("1")
}

// A settlement without a claim, such as one in a commit of its own, has the leader come
// to the event, whether there are credits or not.
func TestASettlementWithoutAMemberIsComeTo(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.subscribe("s", leasing())
	s.append("a", "a", "b", "a")
	m := s.join("s", "m", 2)
	s.run()
	s.elect()
	m.refused(2, "unavailable")
	m.acks(2)
	s.append("a")                                                                                // beyond what the leader before had
	m.held[5] = &Delivery{Token: token{m.held[1].Generation, 1, 5, s.term - 1, 9}.appendTo(nil)} // made up
	m.refused(5, "invalid")
	s.wait(adoptionTime + checkpointTick)
	s.expectState("s", "cursor 3; 1;")
}

// An event that kills the node of each leader that hands it out ends in the dead letters;
// those beside it do not, however few attempts there are.
func TestWhatKillsLeadersEndsAndTakesNobodyWithIt(t *testing.T) {
	t.Parallel()
	for _, attempts := range []uint32{2, 3, 4, 10} {
		t.Run(fmt.Sprint(attempts), func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			config := leasing()
			config.MaxDeliver = attempts
			s.subscribe("s", config)
			s.append("a", "a", "a", "a", "a", "a", "a", "a")
			const kills = event.Position(4)
			for range 3 * attempts {
				m := s.join("s", "m", 4)
				dead := false
				for range 20 {
					s.run()
					for _, p := range slices.Sorted(mapsKeys(m.held)) {
						if dead = m.held[kills] != nil; dead {
							break
						}
						m.acks(p)
						m.credits(1)
					}
					if dead = dead || m.held[kills] != nil; dead {
						break
					}
					s.wait(leaseTick)
				}
				if !dead {
					break
				}
				s.elect()
				s.wait(adoptionTime)
			}
			s.wait(checkpointTick)
			s.expectState("s", fmt.Sprintf("cursor 9;; %d(%d)", kills, attempts)) // 9 is the dead letter's event
		})
	}
}

// What was never with a member has no attempts, however often the leader changes.
func TestABacklogIsNotCounted(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	config := of("a")
	config.MaxDeliver = 2
	g := s.subscribe("s", config)
	for range 50 {
		s.append("a")
	}
	for range 5 {
		m := s.join("s", "m", 3)
		for range 10 {
			s.step() // while nothing is committed
		}
		s.run()
		if len(m.held) != 3 {
			t.Errorf("the member has %v, want 3 events", m.events)
		}
		s.elect()
		s.wait(adoptionTime)
	}
	v := s.View()
	defer v.Close()
	pending := 0
	for _, err := range PendingOf(v, g) {
		if err != nil {
			t.Fatal(err)
		}
		pending++
	}
	sub, _, err := SubscriptionOf(v, "s")
	if err != nil {
		t.Fatal(err)
	}
	dead, err := DeadCount(v, sub.ID, 100)
	if err != nil || pending+dead > 5*3 {
		t.Errorf("%d pending and %d dead after 5 leaders with 3 credits each, %v", pending, dead, err)
	}
}

// One suspect is out at a time from its third attempt on.
func TestSuspectsThatFailedOftenGoAlone(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.subscribe("s", leasing())
	s.append("a", "a", "a", "a")
	m := s.join("s", "m", 4)
	s.run()
	m.acks(1) // and the cursor passes them all
	s.elect()
	for range 2 {
		s.wait(adoptionTime)
		s.join("s", "m", 4)
		s.run()
		s.elect()
	}
	s.wait(adoptionTime)
	m = s.join("s", "m", 9)
	s.run()
	m.gets("2#4")
	m.acks(2)
	m.gets("3#4")
	if got := m.says(3, edriv1.Settle_NAK); got != "" {
		t.Error(got)
	}
	m.gets("4#4") // the member of 3 lives, and said no
	s.wait(5 * time.Second)
	m.gets("3#5")
}

// An advance whose outcome nobody knew arrives after all, when another was proposed.
func TestALateAdvanceIsTakenUp(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.subscribe("s", leasing())
	s.append("a", "a")
	m := s.join("s", "m", 2)
	s.step()
	results := []string{}
	m.settle(m.settlement(1, edriv1.Settle_ACK), func(code string) { results = append(results, code) })
	late := s.log[0] // the advance
	s.log = s.log[1:]
	late.done(nil, event.Errorf(event.CodeOutcomeUnknown, "nobody knows"))
	s.run() // the ack finds no row
	s.pass(leaseTick)
	s.step()                                                                                               // proposed anew …
	s.log = append([]entry{{late.op, late.commit, func(*edriv1.CommitResult, *event.Error) {}}}, s.log...) // … behind the late one
	s.run()
	m.acks(1, 2)
	if len(results) != 1 || results[0] != "unavailable" {
		t.Errorf("the first ack: %v", results)
	}
	s.expectState("s", "cursor 2;;")
}
