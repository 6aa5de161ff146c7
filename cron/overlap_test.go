package cron

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
)

// A schedule fires every 10 s; the request of the first is answered after 35 s, the
// others at once where they are open.
func TestOverlap(t *testing.T) {
	for name, c := range map[string]struct {
		policy edriv1.ScheduleSpec_Overlap
		fired  []string
		told   []string
	}{
		"skip is the default": {
			edriv1.ScheduleSpec_OVERLAP_UNSPECIFIED,
			[]string{"00:00:10", "00:00:50"},
			[]string{"skipped 00:00:20 overlap", "skipped 00:00:30 overlap", "skipped 00:00:40 overlap"},
		},
		"buffer one": {
			edriv1.ScheduleSpec_BUFFER_ONE,
			[]string{"00:00:10", "00:00:20", "00:00:50"},
			[]string{"skipped 00:00:30 buffer is full", "skipped 00:00:40 buffer is full"},
		},
		"buffer all": {
			edriv1.ScheduleSpec_BUFFER_ALL,
			[]string{"00:00:10", "00:00:20", "00:00:30", "00:00:40", "00:00:50"}, nil,
		},
		"cancel other": {
			edriv1.ScheduleSpec_CANCEL_OTHER,
			[]string{"00:00:10", "00:00:20", "00:00:30", "00:00:40", "00:00:50"}, nil,
		},
		"allow": {
			edriv1.ScheduleSpec_ALLOW,
			[]string{"00:00:10", "00:00:20", "00:00:30", "00:00:40", "00:00:50"}, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubbled(t, func(t *testing.T, s *shop) {
				spec := &edriv1.ScheduleSpec{Every: int64(10 * time.Second), Overlap: c.policy, Action: ask("asked", time.Hour)}
				s.must(create("a", spec))
				s.run(func() {
					time.Sleep(45 * time.Second)
					for p := event.Position(1); p < 40; p++ {
						s.do(respond(p)) // what is no open request is none of the answers
						synctest.Wait()
					}
					time.Sleep(6 * time.Second)
				})
				if got := s.history("asked"); !slices.Equal(got, c.fired) {
					t.Errorf("fired %q, want %q", got, c.fired)
				}
				if got := s.history("schedule/a"); !slices.Equal(got, c.told) {
					t.Errorf("told %q, want %q", got, c.told)
				}
				if got := s.of("a"); got.Running != 1 || got.Buffered != 0 {
					t.Errorf("%d run, %d wait", got.Running, got.Buffered)
				}
			})
		})
	}
}

// A request that nobody answers ends at its deadline.
func TestBufferedFireHappensAtTheDeadlineOfTheOther(t *testing.T) {
	t.Parallel()
	now := epoch2026.UnixNano()
	s := newShop(t, standing(&now))
	s.must(create("a", &edriv1.ScheduleSpec{Every: int64(time.Hour), Overlap: edriv1.ScheduleSpec_BUFFER_ALL, Action: ask("asked", time.Minute)}))
	for i := range 3 {
		r := s.must(trigger("a")).GetScheduleFired()
		if i > 0 && r.Reason != reasonBuffered {
			t.Errorf("fire %d: %v", i, r)
		}
		now += int64(time.Second)
	}
	for i := range 4 {
		if got := s.of("a"); got.Buffered != max(2-i, 0) {
			t.Errorf("%d wait after %d deadlines", got.Buffered, i)
		}
		s.reopen()
		now += int64(time.Minute)
		s.ring()
	}
	if got := s.history("asked"); fmt.Sprint(got) != "[00:00:00 00:00:01 00:00:02]" {
		t.Errorf("got %q", got)
	}
	if got := s.of("a"); got.Running != 0 || got.Fired != 3 {
		t.Errorf("at the end: %+v", got)
	}
}

func TestCancelledRequestTakesNoAnswer(t *testing.T) {
	t.Parallel()
	now := epoch2026.UnixNano()
	s := newShop(t, standing(&now))
	s.must(create("a", &edriv1.ScheduleSpec{Every: int64(time.Hour), Overlap: edriv1.ScheduleSpec_CANCEL_OTHER, Action: ask("asked", time.Minute)}))
	first := s.must(trigger("a")).GetScheduleFired()
	second := s.must(trigger("a")).GetScheduleFired()
	for position, want := range map[uint64]string{first.Position: "deadline_exceeded", second.Position: ""} {
		if got := s.must(respond(event.Position(position))).GetResponded().GetCode(); got != want {
			t.Errorf("position %d: got %q, want %q", position, got, want)
		}
	}
}

func TestDeletedScheduleLeavesNothing(t *testing.T) {
	t.Parallel()
	now := epoch2026.UnixNano()
	s := newShop(t, standing(&now))
	s.must(create("a", &edriv1.ScheduleSpec{Every: int64(time.Hour), Overlap: edriv1.ScheduleSpec_BUFFER_ALL, Action: ask("asked", time.Minute)}))
	s.must(backfill("a", epoch2026.Add(-time.Hour), epoch2026))
	for range 3 {
		s.must(trigger("a"))
	}
	s.must(remove("a"))
	now += int64(time.Hour)
	s.ring()
	v := s.core.View()
	defer v.Close()
	it := v.Scan(machineName, nil, nil, false)
	defer it.Close()
	for it.Next() {
		if it.Key()[0] != kindCount {
			t.Errorf("row %q is left", it.Key())
		}
	}
}

// What has not ended is known by the kind of its action and a number of that: the same
// number of another kind is something else.
func TestRunsOfKindsAreApart(t *testing.T) {
	t.Parallel()
	seen := map[string]run{}
	for _, r := range []run{{actionRequest, 1}, {actionRequest, 1 << 40}, {actionRequest + 1, 1}, {255, 1<<64 - 1}} {
		if got := runOf(runningKey(7, r)); got != r {
			t.Errorf("run %v is read as %v", r, got)
		}
		if other, ok := seen[string(r.key())]; ok {
			t.Errorf("runs %v and %v have one key", r, other)
		}
		seen[string(r.key())] = r
	}
}
