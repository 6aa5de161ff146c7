package router

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
)

// alarm returns what is said of a subscription, "" if there is no alarm.
func (s *stage) alarm(name string) string { return s.alarms[stuckAlarm+name] }

func (s *stage) expectAlarm(name string, parts ...string) {
	s.Helper()
	got := s.alarm(name)
	if got == "" || len(parts) == 0 {
		if got != "" || len(parts) > 0 {
			s.Fatalf("alarm %q, want %q", got, parts)
		}
		return
	}
	for _, part := range parts {
		if !strings.Contains(got, part) {
			s.Errorf("alarm %q does not tell %q", got, part)
		}
	}
}

// patient is a subscription whose events wait long after a failure.
func patient(typ string) *edriv1.SubscriptionConfig {
	config := of(typ)
	config.Backoff, config.AckWait = []int64{int64(time.Hour)}, int64(time.Hour)
	config.OrderingKey = event.OrderByStream
	return config
}

func TestABacklogWithoutMembersIsAnAlarm(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.subscribe("s", patient("a"))
	s.subscribe("paused", patient("a"))
	s.subscribe("idle", patient("b"))
	s.must(pauseOf("paused", true, ""))
	s.wait(stuckAfter)
	s.append("a", "a")
	s.wait(stuckAfter - checkpointTick)
	s.expectAlarm("s")
	since := time.Unix(0, s.now).Add(checkpointTick - stuckAfter).UTC().Format("2006-01-02T15:04")
	s.wait(2 * checkpointTick)
	s.expectAlarm("s", `subscription "s"`, "since "+since, "from position 1 on", "it has no members")
	if len(s.alarms) != 1 {
		t.Errorf("alarms %q, want one", s.alarms)
	}
	if stats, err := s.router.Stats(); err != nil || stats.Stuck != 1 {
		t.Errorf("%d are stuck, %v, want 1", stats.Stuck, err)
	}
	m := s.join("s", "m", 10)
	s.run()
	m.acks(1)
	m.acks(2)
	s.wait(checkpointTick)
	s.expectAlarm("s") // nothing waits
}

func TestAStuckKeyIsNamedAndAnAlarmEndsWithSteadyProgress(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.subscribe("s", patient("a"))
	s.append("a", "a") // in one stream
	m := s.join("s", "m", 10)
	s.run()
	m.gets("1")
	s.wait(2 * stuckAfter)
	s.expectAlarm("s") // a first attempt is under way
	if got := m.says(1, edriv1.Settle_NAK); got != "" {
		t.Fatal(got)
	}
	s.wait(checkpointTick)
	s.expectAlarm("s", "the oldest at position 1", `whose key "tests" waits`, "1 members have 0 of 2 pending")

	// One now and then is no end of it.
	last := event.Position(2)
	next := func() {
		last++
		e := wireEvent(fmt.Sprint("other ", last), "")
		e.Type = "a"
		s.must(&edriv1.Op{Op: &edriv1.Op_Append{Append: &edriv1.Append{Stream: fmt.Sprint(last), Event: e}}})
		s.run()
		m.acks(last)
	}
	for range 3 {
		next()
		s.wait(calmAfter)
		s.expectAlarm("s", "the oldest at position 1")
	}
	for range calmAfter/(20*time.Second) + 1 {
		next()
		s.wait(20 * time.Second)
	}
	s.expectAlarm("s")
	// It may begin again.
	s.wait(stuckAfter + checkpointTick)
	s.expectAlarm("s", "the oldest at position 1")
	// The next leader looks for itself.
	s.elect()
	s.expectAlarm("s")
	s.wait(stuckAfter + 2*checkpointTick)
	s.expectAlarm("s", "the oldest at position 1", "no members")
	s.must(remove("s"))
	s.wait(checkpointTick)
	s.expectAlarm("s")
}

func TestManyStuckSubscriptionsAreCounted(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for n := range maxStuckTold + 3 {
		s.subscribe(fmt.Sprint("s", n), patient("a"))
	}
	s.append("a")
	s.wait(stuckAfter + 2*checkpointTick)
	if len(s.alarms) != maxStuckTold+1 {
		t.Errorf("%d alarms, want %d", len(s.alarms), maxStuckTold+1)
	}
	s.expectAlarm("", "3 more subscriptions")
}
