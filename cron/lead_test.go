package cron

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
)

// bubbled runs f in a bubble of simulated time that begins with 2026.
func bubbled(t *testing.T, f func(t *testing.T, s *shop)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(epoch2026))
		f(t, newShop(t, func() int64 { return time.Now().UnixNano() }))
	})
}

func wantHistory(t *testing.T, s *shop, stream string, want ...string) {
	t.Helper()
	synctest.Wait()
	if got := s.history(stream); !slices.Equal(got, want) {
		t.Errorf("stream %s:\n got %q\nwant %q", stream, got, want)
	}
}

func TestSchedulesFireAtTheirTimes(t *testing.T) {
	bubbled(t, func(t *testing.T, s *shop) {
		s.run(func() {
			s.must(create("every", every(20*time.Second)))
			s.must(create("cron", &edriv1.ScheduleSpec{Cron: "*/1 * * * *", Zone: "Europe/Berlin", Action: appendTo("minutes")}))
			s.must(create("once", &edriv1.ScheduleSpec{At: epoch2026.Add(90 * time.Second).UnixNano(), Action: appendTo("once")}))
			time.Sleep(2*time.Minute + time.Second)
			wantHistory(t, s, "ticks", "00:00:20", "00:00:40", "00:01:00", "00:01:20", "00:01:40", "00:02:00")
			wantHistory(t, s, "minutes", "00:01:00", "00:02:00")
			wantHistory(t, s, "once", "00:01:30")
		})
		if got := s.of("once"); !got.Ended || got.Fired != 1 || got.Next != 0 {
			t.Errorf("once: %+v", got)
		}
		if got := s.of("every"); got.Ended || got.Fired != 6 || got.Late != 0 || got.Next != epoch2026.Add(140*time.Second).UnixNano() {
			t.Errorf("every: %+v", got)
		}
	})
}

func TestBoundsOfASchedule(t *testing.T) {
	bubbled(t, func(t *testing.T, s *shop) {
		at := func(seconds int) int64 { return epoch2026.Add(time.Duration(seconds) * time.Second).UnixNano() }
		bounded := every(10 * time.Second)
		bounded.Start, bounded.End = at(25), at(45)
		counted := every(10 * time.Second)
		counted.Limit, counted.Action = 2, appendTo("counted")
		excluded := &edriv1.ScheduleSpec{Cron: "*/10 * * * * *", ExcludeCron: []string{"20-40 * * * * *"}, Action: appendTo("excluded")}
		s.run(func() {
			s.must(create("bounded", bounded))
			s.must(create("counted", counted))
			s.must(create("excluded", excluded))
			time.Sleep(61 * time.Second)
			wantHistory(t, s, "ticks", "00:00:25", "00:00:35", "00:00:45")
			wantHistory(t, s, "counted", "00:00:10", "00:00:20")
			wantHistory(t, s, "excluded", "00:00:10", "00:00:50", "00:01:00")
		})
		for _, name := range []string{"bounded", "counted"} {
			if got := s.of(name); !got.Ended {
				t.Errorf("%s has not ended", name)
			}
		}
	})
}

func TestJitterFollowsFromScheduleAndTime(t *testing.T) {
	bubbled(t, func(t *testing.T, s *shop) {
		spec := every(time.Minute)
		spec.Jitter = int64(30 * time.Second)
		s.run(func() {
			s.must(create("a", spec))
			time.Sleep(4*time.Minute + 30*time.Second)
			wantHistory(t, s, "ticks", "00:01:00", "00:02:00", "00:03:00", "00:04:00")
		})
		v := s.core.View()
		defer v.Close()
		delays := map[int64]bool{}
		for p := range v.Mark.Last {
			r, err := v.Journal().Get(p + 1)
			if err != nil {
				t.Fatal(err)
			}
			e, err := event.DecodeEvent(r.Event)
			if err != nil {
				t.Fatal(err)
			}
			delay := r.Stamp - e.Time.UnixNano()
			if delay < 0 || delay > spec.Jitter {
				t.Errorf("delayed by %v", time.Duration(delay))
			}
			delays[delay] = true
		}
		if len(delays) < 3 {
			t.Errorf("delays %v", delays)
		}
	})
}

// While no node leads times pass: what becomes of them is the policy's.
func TestCatchUp(t *testing.T) {
	for name, c := range map[string]struct {
		spec func(*edriv1.ScheduleSpec)
		want []string // told, then fired
	}{
		"none": {
			func(s *edriv1.ScheduleSpec) { s.CatchUp = edriv1.ScheduleSpec_NONE },
			[]string{"missed 9 00:01:00-00:09:00", "00:10:00"},
		},
		"last": {
			func(*edriv1.ScheduleSpec) {},
			[]string{"missed 8 00:01:00-00:08:00", "00:09:00", "00:10:00"},
		},
		"all": {
			func(s *edriv1.ScheduleSpec) { s.CatchUp = edriv1.ScheduleSpec_ALL },
			[]string{"00:01:00", "00:02:00", "00:03:00", "00:04:00", "00:05:00", "00:06:00", "00:07:00", "00:08:00", "00:09:00", "00:10:00"},
		},
		"all up to a cap": {
			func(s *edriv1.ScheduleSpec) { s.CatchUp, s.CatchUpCap = edriv1.ScheduleSpec_ALL, 3 },
			[]string{"missed 6 00:01:00-00:06:00", "00:07:00", "00:08:00", "00:09:00", "00:10:00"},
		},
		"all within a window": {
			func(s *edriv1.ScheduleSpec) {
				s.CatchUp, s.CatchUpWindow = edriv1.ScheduleSpec_ALL, int64(2*time.Minute)
			},
			[]string{"missed 7 00:01:00-00:07:00", "00:08:00", "00:09:00", "00:10:00"},
		},
		"last, but not within the window": {
			func(s *edriv1.ScheduleSpec) { s.CatchUpWindow = int64(20 * time.Second) },
			[]string{"missed 9 00:01:00-00:09:00", "00:10:00"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubbled(t, func(t *testing.T, s *shop) {
				spec := every(time.Minute)
				c.spec(spec)
				s.run(func() {
					s.must(create("a", spec))
					synctest.Wait()
				})
				time.Sleep(9*time.Minute + 30*time.Second)
				s.run(func() { time.Sleep(time.Minute) })
				if got := append(s.history("schedule/a"), s.history("ticks")...); !slices.Equal(got, c.want) {
					t.Errorf("got %q, want %q", got, c.want)
				}
				got := s.of("a")
				if got.Missed+got.Fired != 10 {
					t.Errorf("counters %+v", got.Counters)
				}
				v := s.core.View()
				defer v.Close()
				stats, err := s.scheduler.Stats(v)
				if want := map[string]Counters{"append": got.Counters}; err != nil || stats.Schedules != 1 || !maps.Equal(stats.ByAction, want) {
					t.Errorf("stats %+v, %v; want %+v", stats, err, want)
				}
			})
		})
	}
}

// A change of leader is no outage, whatever the policy.
func TestFiresWithinGraceAreMade(t *testing.T) {
	bubbled(t, func(t *testing.T, s *shop) {
		spec := every(2 * time.Second)
		spec.CatchUp = edriv1.ScheduleSpec_NONE
		s.run(func() {
			s.must(create("a", spec))
			synctest.Wait()
		})
		time.Sleep(9 * time.Second)
		s.run(func() { time.Sleep(2 * time.Second) })
		wantHistory(t, s, "ticks", "00:00:02", "00:00:04", "00:00:06", "00:00:08", "00:00:10")
		wantHistory(t, s, "schedule/a")
		if got := s.of("a"); got.Late != 3 {
			t.Errorf("late: %d", got.Late)
		}
	})
}

// A month of seconds is not counted to the end.
func TestTooManyMissedAreNotCounted(t *testing.T) {
	bubbled(t, func(t *testing.T, s *shop) {
		s.run(func() {
			s.must(create("a", every(time.Second)))
			synctest.Wait()
		})
		time.Sleep(30*24*time.Hour + time.Millisecond)
		s.run(func() { synctest.Wait() })
		got := s.of("a")
		if got.Fired != 10 || got.Missed < 10_000 || len(s.history("schedule/a")) != 1 {
			t.Errorf("%+v, %q", got.Counters, s.history("schedule/a"))
		}
	})
}

func TestPauseAndResume(t *testing.T) {
	bubbled(t, func(t *testing.T, s *shop) {
		s.run(func() {
			s.must(create("a", every(10*time.Second)))
			time.Sleep(15 * time.Second)
			s.must(pauseOf("a", true, "night"))
			time.Sleep(30 * time.Second)
			if got := s.of("a"); !got.Paused || got.Note != "night" {
				t.Errorf("paused: %+v", got)
			}
			r := s.must(trigger("a")).GetScheduleFired()
			if r.Position == 0 || !strings.Contains(r.Id, "/trigger/") {
				t.Errorf("triggered: %v", r)
			}
			s.must(pauseOf("a", false, ""))
			time.Sleep(10 * time.Second)
			wantHistory(t, s, "ticks", "00:00:10", "00:00:45", "00:00:50")
		})
	})
}

func TestUpdateHoldsFromNowOn(t *testing.T) {
	bubbled(t, func(t *testing.T, s *shop) {
		s.run(func() {
			s.must(create("a", every(10*time.Second)))
			time.Sleep(11 * time.Second)
			s.must(update("a", every(7*time.Second)))
			time.Sleep(11 * time.Second)
			// Multiples of 7 s since it was made.
			wantHistory(t, s, "ticks", "00:00:10", "00:00:14", "00:00:21")
			s.must(remove("a"))
			time.Sleep(time.Minute)
			wantHistory(t, s, "ticks", "00:00:10", "00:00:14", "00:00:21")
			s.must(create("a", every(10*time.Second)))
			time.Sleep(11 * time.Second)
			if got := s.history("ticks"); len(got) != 4 {
				t.Errorf("the second life: %q", got)
			}
		})
	})
}

func TestBackfillFiresForTimesThatPassed(t *testing.T) {
	bubbled(t, func(t *testing.T, s *shop) {
		s.must(create("a", &edriv1.ScheduleSpec{Cron: "* * * * *", Action: appendTo("ticks")}))
		s.must(pauseOf("a", true, ""))
		s.run(func() {
			time.Sleep(time.Second)
			s.must(backfill("a", epoch2026.Add(-120*time.Minute), epoch2026))
			synctest.Wait()
			got := s.history("ticks")
			if len(got) != 121 || got[0] != "22:00:00" || got[120] != "00:00:00" {
				t.Errorf("%d fires: %q", len(got), got)
			}
			s.must(backfill("a", epoch2026.Add(-time.Minute), epoch2026))
			synctest.Wait()
			if got := s.history("ticks"); len(got) != 123 {
				t.Errorf("%d fires after the second", len(got))
			}
			if code := s.code(backfill("a", epoch2026, epoch2026.Add(time.Hour))); code != "invalid" {
				t.Errorf("into the future: %s", code)
			}
		})
	})
}

func TestAdvanceThatIsRefusedIsMadeAgain(t *testing.T) {
	bubbled(t, func(t *testing.T, s *shop) {
		s.run(func() {
			s.must(create("a", every(10*time.Second)))
			synctest.Wait()
			s.mu.Lock()
			s.refuse = event.Errorf(event.CodeOverloaded, "full")
			s.mu.Unlock()
			time.Sleep(11 * time.Second)
			wantHistory(t, s, "ticks", "00:00:10")
		})
	})
}

// The loop proposes only what is due, however many schedules wait.
func TestLoopIsQuietWhileNothingIsDue(t *testing.T) {
	bubbled(t, func(t *testing.T, s *shop) {
		for i := range 500 {
			s.must(create(fmt.Sprint(i), every(24*time.Hour)))
		}
		s.run(func() {
			synctest.Wait()
			before := s.calls
			time.Sleep(time.Hour)
			if s.calls != before {
				t.Errorf("%d operations", s.calls-before)
			}
		})
	})
}

// A pause lets happen what is due, and that is counted once.
func TestFireBeforeAPauseIsCountedOnce(t *testing.T) {
	bubbled(t, func(t *testing.T, s *shop) {
		s.run(func() {
			s.must(create("a", every(10*time.Second)))
			time.Sleep(9 * time.Second)
			s.mu.Lock()
			s.refuse = event.Errorf(event.CodeOverloaded, "full")
			s.mu.Unlock()
			time.Sleep(time.Second + time.Millisecond)
			s.must(pauseOf("a", true, ""))
			wantHistory(t, s, "ticks", "00:00:10")
			v := s.core.View()
			defer v.Close()
			stats, err := s.scheduler.Stats(v)
			if got := stats.ByAction["append"]; err != nil || got != (Counters{Fired: 1}) {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	})
}
