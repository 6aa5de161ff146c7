package cron

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers/kv"
)

// changes returns the events of a bucket in short: what was done to which key.
func (s *shop) changes(bucket string) []string {
	s.Helper()
	v := s.core.View()
	defer v.Close()
	var list []string
	for p := event.Position(1); p <= v.Mark.Last; p++ {
		r, err := v.Journal().Get(p)
		if err != nil {
			s.Fatalf("read position %d: %v", p, err)
		}
		if string(r.Stream) != kv.StreamPrefix+bucket {
			continue
		}
		e, err := event.DecodeEvent(r.Event)
		if err != nil {
			s.Fatalf("decode position %d: %v", p, err)
		}
		text := strings.TrimPrefix(e.Type, "edri.kv.") + " " + e.Subject
		if e.Type == "edri.kv.put" {
			text += "=" + string(e.Data)
		}
		list = append(list, text)
	}
	return list
}

func bucket(name string, config *edriv1.BucketConfig) *edriv1.Op {
	return &edriv1.Op{Op: &edriv1.Op_CreateBucket{CreateBucket: &edriv1.CreateBucket{Name: name, Config: config}}}
}

func exists(bucket, key string, yes bool) *edriv1.CompareKey {
	return &edriv1.CompareKey{Bucket: bucket, Key: key, Condition: &edriv1.CompareKey_Exists{Exists: yes}}
}

func wantChanges(t *testing.T, s *shop, name string, want ...string) {
	t.Helper()
	synctest.Wait()
	if got := s.changes(name); !slices.Equal(got, want) {
		t.Errorf("bucket %s:\n got %q\nwant %q", name, got, want)
	}
}

// A schedule changes keys at its times, when it is triggered, when it catches up, and for
// times that have passed.
func TestScheduleChangesKeys(t *testing.T) {
	bubbled(t, func(t *testing.T, s *shop) {
		s.must(bucket("b", nil))
		spec := &edriv1.ScheduleSpec{Every: int64(10 * time.Second), CatchUp: edriv1.ScheduleSpec_ALL, Action: transact(&edriv1.KeyTransaction{
			Compare:   []*edriv1.CompareKey{exists("b", "on", false)},
			Then:      []*edriv1.KeyOp{putKey("b", "on", "1"), putKey("b", "n", "2")},
			Otherwise: []*edriv1.KeyOp{{Op: &edriv1.KeyOp_Delete{Delete: &edriv1.DeleteKey{Bucket: "b", Key: "on"}}}},
		})}
		on, off := []string{"put on=1", "put n=2"}, []string{"deleted on"}
		want := []string{"bucket.created "}
		s.run(func() {
			s.must(create("a", spec))
			time.Sleep(21 * time.Second)
			want = append(append(want, on...), off...)
			wantChanges(t, s, "b", want...)
			if r := s.must(trigger("a")).GetScheduleFired(); r.Reason != "" || r.Position == 0 {
				t.Errorf("triggered: %v", r)
			}
			if r := s.must(trigger("a")).GetScheduleFired(); r.Reason != reasonConditions || r.Position == 0 {
				t.Errorf("triggered again: %v", r)
			}
			want = append(append(want, on...), off...)
			wantChanges(t, s, "b", want...)
		})
		time.Sleep(30 * time.Second) // nobody leads
		s.run(func() {
			want = append(append(append(want, on...), off...), on...)
			wantChanges(t, s, "b", want...)
			s.must(backfill("a", epoch2026.Add(10*time.Second), epoch2026.Add(20*time.Second)))
			want = append(append(want, off...), on...)
			wantChanges(t, s, "b", want...)
		})
		if got := s.of("a"); got.Fired != 9 || got.Failed != 0 || got.Missed != 0 {
			t.Errorf("counters %+v", got.Counters)
		}
		wantHistory(t, s, "schedule/a")
	})
}

// Conditions that do not hold, with nothing to do for that, are no failure.
func TestScheduleWhoseConditionsDoNotHoldChangesNothing(t *testing.T) {
	t.Parallel()
	now := epoch2026.UnixNano()
	s := newShop(t, standing(&now))
	s.must(create("a", &edriv1.ScheduleSpec{Every: int64(time.Hour), Action: transact(&edriv1.KeyTransaction{
		Compare: []*edriv1.CompareKey{exists("default", "on", true)}, Then: []*edriv1.KeyOp{putKey("default", "a", "1")},
	})}))
	if r := s.must(trigger("a")).GetScheduleFired(); r.Reason != reasonConditions || r.Position != 0 {
		t.Errorf("triggered: %v", r)
	}
	if got := s.of("a"); got.Fired != 1 || got.Failed != 0 {
		t.Errorf("counters %+v", got.Counters)
	}
}

// Whatever fails in the middle of a transaction: nothing of it stays, the fire is told as
// failed with the reason, and the schedule goes on.
func TestTransactionThatFailsMidwayLeavesNothing(t *testing.T) {
	revision := uint64(77)
	for name, c := range map[string]struct {
		op     *edriv1.KeyOp
		reason string
	}{
		"no bucket":     {putKey("none", "k", "v"), `not_found: then[2]: bucket "none" does not exist`},
		"too large":     {putKey("small", "k", "12345"), "too_large: then[2]: value in bytes: 5 is more than 4"},
		"too many keys": {putKey("full", "other", "1"), `quota_exceeded: then[2]: bucket "full" has 1 keys`},
		"revision": {&edriv1.KeyOp{Op: &edriv1.KeyOp_Put{Put: &edriv1.PutKey{Bucket: "b", Key: "k", Revision: &revision}}},
			`revision_conflict: then[2]: key "k" of bucket "b" is at revision 0, expected 77`},
		"too much to get": {&edriv1.KeyOp{Op: &edriv1.KeyOp_Get{Get: &edriv1.GetKey{Bucket: "large", Key: "k"}}},
			"too_large: then[2]: values to get in bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			bubbled(t, func(t *testing.T, s *shop) {
				s.must(bucket("b", &edriv1.BucketConfig{History: 3}))
				s.must(bucket("small", &edriv1.BucketConfig{MaxValueBytes: 4}))
				s.must(bucket("full", &edriv1.BucketConfig{MaxKeys: 1}))
				s.must(bucket("large", nil))
				s.do(&edriv1.Op{Op: &edriv1.Op_PutKey{PutKey: &edriv1.PutKey{Bucket: "full", Key: "k"}}},
					&edriv1.Op{Op: &edriv1.Op_PutKey{PutKey: &edriv1.PutKey{Bucket: "large", Key: "k", Value: make([]byte, 70<<10)}}})
				ttl := int64(time.Minute)
				s.run(func() {
					s.must(create("a", &edriv1.ScheduleSpec{Every: int64(10 * time.Second), Action: transact(&edriv1.KeyTransaction{
						Then: []*edriv1.KeyOp{
							{Op: &edriv1.KeyOp_Put{Put: &edriv1.PutKey{Bucket: "b", Key: "x", Ttl: &ttl}}},
							putKey("default", "y", "makes the bucket"), c.op,
						},
					})}))
					s.must(create("other", every(10*time.Second)))
					time.Sleep(21 * time.Second)
					wantChanges(t, s, "b", "bucket.created ")
					wantChanges(t, s, "default")
					wantHistory(t, s, "ticks", "00:00:10", "00:00:20")
					time.Sleep(2 * time.Minute) // no timer of it is left either
					s.ring()
					wantChanges(t, s, "b", "bucket.created ")
				})
				told := s.history("schedule/a")
				if len(told) != 14 || !strings.HasPrefix(told[0], "failed 00:00:10 "+c.reason) {
					t.Errorf("%d told, the first %q, want %s", len(told), told[0], c.reason)
				}
				if got := s.of("a"); got.Failed != 14 || got.Fired != 0 {
					t.Errorf("counters %+v", got.Counters)
				}
				v := s.core.View()
				defer v.Close()
				if _, err := kv.BucketOf(v, "default"); event.CodeOf(err) != event.CodeNotFound {
					t.Errorf("the default bucket: %v", err)
				}
			})
		})
	}
}

// Fires that change many keys are made a few at a time.
func TestFiresOfManyChangesAreSpread(t *testing.T) {
	bubbled(t, func(t *testing.T, s *shop) {
		var puts []*edriv1.KeyOp
		for i := range 120 {
			puts = append(puts, putKey("default", fmt.Sprint(i), "v"))
		}
		for i := range 2 {
			s.must(create(fmt.Sprint(i), &edriv1.ScheduleSpec{Cron: "* * * * * *", Action: transact(&edriv1.KeyTransaction{Then: puts})}))
		}
		s.run(func() { synctest.Wait() })
		time.Sleep(5*time.Second + time.Millisecond)
		before := s.calls
		s.run(func() {
			synctest.Wait()
			if got := s.calls - before; got < 10 {
				t.Errorf("10 fires of 120 changes in %d operations", got)
			}
		})
		if got := len(s.changes("default")); got != 1+10*120 {
			t.Errorf("%d changes", got)
		}
		before = s.calls
		s.run(func() {
			s.must(backfill("0", epoch2026.Add(time.Second), epoch2026.Add(5*time.Second)))
			synctest.Wait()
			if got := s.calls - before; got < 5 {
				t.Errorf("a backfill of 5 fires of 120 changes in %d operations", got)
			}
		})
	})
}
