package cron

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers/kv"
	"github.com/edri-io/edri/timers"
)

func with(change func(*edriv1.ScheduleSpec)) *edriv1.ScheduleSpec {
	s := &edriv1.ScheduleSpec{Cron: "0 0 * * *", Action: appendTo("ticks")}
	change(s)
	return s
}

// keys changes a spec to one that changes keys.
func keys(then ...*edriv1.KeyOp) func(*edriv1.ScheduleSpec) {
	return func(s *edriv1.ScheduleSpec) { s.Action = transact(&edriv1.KeyTransaction{Then: then}) }
}

// What is wrong is refused where it enters, by an error that begins with the field.
func TestBadSpecsAreRefused(t *testing.T) {
	t.Parallel()
	table := timers.New()
	machine := NewMachine(table, nil, kv.New(table))
	for _, c := range []struct {
		change func(*edriv1.ScheduleSpec)
		want   string
	}{
		{func(s *edriv1.ScheduleSpec) { s.Cron = "TZ=UTC" }, `cron "TZ=UTC": a zone`},
		{func(s *edriv1.ScheduleSpec) { s.Cron = "0 0 31 2 *" }, `cron "0 0 31 2 *": its dates do not exist`},
		{func(s *edriv1.ScheduleSpec) { s.Cron = "@every -5s" }, `cron "@every -5s": use the field every`},
		{func(s *edriv1.ScheduleSpec) { s.Cron = "" }, "spec: one of cron, every and at"},
		{func(s *edriv1.ScheduleSpec) { s.Every = int64(time.Hour) }, "spec: one of cron, every and at"},
		{func(s *edriv1.ScheduleSpec) { s.Cron, s.Every = "", int64(time.Millisecond) }, "every: 1ms is less than 1s"},
		{func(s *edriv1.ScheduleSpec) { s.Cron, s.Every = "", -1 }, "every: -1ns is less"},
		{func(s *edriv1.ScheduleSpec) { s.Cron, s.At = "", -1 }, "at: is not within"},
		{func(s *edriv1.ScheduleSpec) { s.Zone = "Mars/Olympus" }, `zone "Mars/Olympus": is unknown`},
		{func(s *edriv1.ScheduleSpec) { s.Zone = "Local" }, `zone "Local": is unknown`},
		{func(s *edriv1.ScheduleSpec) { s.Zone = "../../etc/passwd" }, `zone "../../etc/passwd": is unknown`},
		{func(s *edriv1.ScheduleSpec) { s.ExcludeDates = []string{"2026-02-30"} }, `exclude_dates "2026-02-30"`},
		{func(s *edriv1.ScheduleSpec) { s.ExcludeDates = []string{"2026-02-02/2026-02-01"} }, `exclude_dates "2026-02-02/2026-02-01"`},
		{func(s *edriv1.ScheduleSpec) { s.ExcludeCron = []string{"x"} }, `exclude_cron "x"`},
		{func(s *edriv1.ScheduleSpec) { s.ExcludeCron = []string{"* * * * * *"} }, "spec: there is no time"},
		{func(s *edriv1.ScheduleSpec) { s.ExcludeCron = make([]string, 101) }, "exclude_cron of a schedule: 101"},
		{func(s *edriv1.ScheduleSpec) { s.Jitter = -1 }, "jitter: -1ns"},
		{func(s *edriv1.ScheduleSpec) { s.Jitter = int64(48 * time.Hour) }, "jitter: 48h"},
		{func(s *edriv1.ScheduleSpec) { s.Start, s.End = 2, 1 }, "end: is before start"},
		{func(s *edriv1.ScheduleSpec) { s.Overlap = edriv1.ScheduleSpec_BUFFER_ALL }, "overlap: the action has no end"},
		{func(s *edriv1.ScheduleSpec) { s.Overlap = 9 }, "overlap: 9 is unknown"},
		{func(s *edriv1.ScheduleSpec) { s.CatchUp = 9 }, "catch_up: 9 is unknown"},
		{func(s *edriv1.ScheduleSpec) { s.CatchUpCap = 1001 }, "catch_up_cap: 1001"},
		{func(s *edriv1.ScheduleSpec) { s.CatchUpWindow = -1 }, "catch_up_window: -1ns"},
		{func(s *edriv1.ScheduleSpec) { s.Action = nil }, "action: is missing"},
		{func(s *edriv1.ScheduleSpec) { s.Action = &edriv1.ScheduleAction{} }, "action: is missing"},
		{func(s *edriv1.ScheduleSpec) { s.Action.GetAppend().Event.Id = "x" }, "action: its event has an id"},
		{func(s *edriv1.ScheduleSpec) { s.Action.GetAppend().Event.Type = "" }, "type"},
		{func(s *edriv1.ScheduleSpec) { s.Action.GetAppend().Stream = "a\x00b" }, "stream"},
		{func(s *edriv1.ScheduleSpec) {
			s.Action.GetAppend().Event.Data = &edriv1.CloudEvent_BinaryData{BinaryData: make([]byte, 70<<10)}
		}, "action: its event in bytes"},
		{func(s *edriv1.ScheduleSpec) { s.Action = ask("a", 0); s.Action.GetRequest().Timeout = 1 }, "action: timeout 1ns"},
		{keys(), "action: its transaction changes nothing"},
		{keys(putKey("b", "a\x07b", "v")), `action: keys: then[0].put.key`},
		{keys(putKey("b", "", "v")), "action: keys: then[0].put.key: is missing"},
		{keys(putKey("b", "k", "v"), putKey("b\n", "k", "v")), `action: keys: then[1].put.bucket`},
		{keys(putKey("b", "k", strings.Repeat("v", 70<<10))), "action: its transaction in bytes: 7"},
		{keys(&edriv1.KeyOp{Op: &edriv1.KeyOp_Put{Put: &edriv1.PutKey{Bucket: "b", Key: "k", Ttl: proto.Int64(-1)}}}), "action: keys: then[0].put.ttl: -1ns"},
		{keys(slices.Repeat([]*edriv1.KeyOp{putKey("b", "k", "v")}, 513)...), "action: keys: compare, then and otherwise: 513 is more than 512"},
		{keys(slices.Repeat([]*edriv1.KeyOp{putKey("b", "k", "v")}, 10_000)...), "action: its transaction in bytes"},
		{keys(&edriv1.KeyOp{}), "action: keys: decode operation: then[0]"},
		{func(s *edriv1.ScheduleSpec) { keys(putKey("b", "k", "v"))(s); s.Overlap = edriv1.ScheduleSpec_SKIP }, "overlap: the action has no end"},
		{func(s *edriv1.ScheduleSpec) { s.Description = "\xff" }, ""},
	} {
		spec := with(c.change)
		b, err := proto.Marshal(spec)
		if err != nil {
			if c.want != "" {
				t.Errorf("%q: %v", c.want, err)
			}
			continue // the generated code refuses it too
		}
		_, err = machine.ParseSpec(b)
		if code := event.CodeOf(err); code != event.CodeInvalid && code != event.CodeTooLarge || !strings.HasPrefix(strings.TrimPrefix(err.Error(), string(code)+": "), c.want) {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
}

func TestOperationsOnSchedules(t *testing.T) {
	t.Parallel()
	now := epoch2026.UnixNano()
	s := newShop(t, standing(&now))
	s.must(create("a", every(time.Minute)))
	past := with(func(s *edriv1.ScheduleSpec) { s.Cron, s.At = "", 1 })
	for name, c := range map[string]struct {
		op   *edriv1.Op
		want string
	}{
		"create what exists":         {create("a", every(time.Minute)), "exists"},
		"create for the past":        {create("b", past), "invalid"},
		"update what is not there":   {update("b", every(time.Minute)), "not_found"},
		"delete what is not there":   {remove("b"), "not_found"},
		"pause what is not there":    {pauseOf("b", true, ""), "not_found"},
		"trigger what is not there":  {trigger("b"), "not_found"},
		"backfill what is not there": {backfill("b", epoch2026, epoch2026), "not_found"},
		"cancel what is not there":   {cancelLater("b"), "not_found"},
		"update with the same":       {update("a", every(time.Minute)), ""},
	} {
		if got := s.code(c.op); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
	if got := s.of("a"); got.Revision != 1 || got.Paused || got.Ended || got.Through != now {
		t.Errorf("got %+v", got)
	}
}

// An update is made of the revision that its author has seen, and leaves what a schedule
// is and has done.
func TestUpdateIsHeldToItsRevision(t *testing.T) {
	t.Parallel()
	now := epoch2026.UnixNano()
	s := newShop(t, standing(&now))
	limited := func(every time.Duration, limit uint64) *edriv1.ScheduleSpec {
		return &edriv1.ScheduleSpec{Every: int64(every), Limit: limit, Action: appendTo("ticks")}
	}
	s.must(create("a", limited(time.Minute, 3)))
	s.must(trigger("a"))
	incarnation := s.of("a").Incarnation
	at := func(revision uint64, spec *edriv1.ScheduleSpec) *edriv1.Op {
		op := update("a", spec)
		op.GetUpdateSchedule().Revision = revision
		return op
	}
	if c := s.must(at(1, limited(time.Hour, 3))).GetScheduleChanged(); c.Incarnation != incarnation || c.Revision != 2 {
		t.Errorf("changed: %v", c)
	}
	for _, old := range []*edriv1.Op{at(1, limited(time.Minute, 3)), at(1, limited(time.Hour, 3)), at(3, limited(time.Minute, 3))} {
		if got := s.do(old).GetError(); got.GetCode() != "revision_conflict" || !strings.Contains(got.GetMessage(), "is at revision 2") {
			t.Errorf("of another revision: %v", got)
		}
	}
	s.must(at(0, limited(time.Hour, 9)))
	if got := s.of("a"); got.Revision != 3 || got.Fired != 1 || got.Left != 9 || got.Incarnation != incarnation {
		t.Errorf("got %+v", got)
	}
}

// An advance that is not of the state as it is has no effect.
func TestAdvancesAreHeldAgainstTheState(t *testing.T) {
	t.Parallel()
	now := epoch2026.UnixNano()
	s := newShop(t, standing(&now))
	s.must(create("a", every(time.Minute)))
	minute := int64(time.Minute)
	start := now
	incarnation := s.of("a").Incarnation
	plan := advance{incarnation: incarnation, revision: 1, through: start, next: start + minute, due: start + minute}
	fire := advance{incarnation: incarnation, revision: 1, from: start + minute, fires: []int64{start + minute}, through: start + minute, next: start + 2*minute, due: start + 2*minute}
	s.lead(fire) // not planned yet
	s.lead(plan, plan)
	s.lead(fire) // not due
	now += minute - 1
	s.lead(fire) // not due
	if got := s.history("ticks"); len(got) != 0 {
		t.Fatalf("too early: %q", got)
	}
	now++
	other := fire
	other.revision = 2
	s.lead(other, fire, fire)
	s.lead(fire)
	if got := s.history("ticks"); len(got) != 1 {
		t.Errorf("once due: %q", got)
	}
	now += 10 * minute
	again := fire
	again.from, again.fires = start+2*minute, []int64{start + minute} // fired before
	again.through = start + 2*minute
	disordered := again
	disordered.fires = []int64{start + 3*minute, start + 2*minute}
	disordered.through = start + 3*minute
	future := again
	future.fires = []int64{start + 20*minute}
	future.through, future.next = start+20*minute, 0
	s.lead(again, disordered, future)
	s.must(pauseOf("a", true, ""))
	if got := s.history("ticks"); len(got) != 2 { // the pause let happen what was due
		t.Errorf("what must not be fired: %q", got)
	}
}

func TestDelayedEventsAreAppendedWhenTheyAreDue(t *testing.T) {
	t.Parallel()
	now := epoch2026.UnixNano()
	s := newShop(t, standing(&now))
	at := epoch2026.Add(time.Minute)
	if r := s.must(later1("a", at)).GetAppendsLater(); r.At != at.UnixNano() || r.Duplicate {
		t.Errorf("first: %v", r)
	}
	if r := s.must(later1("a", at)).GetAppendsLater(); !r.Duplicate {
		t.Errorf("the same again: %v", r)
	}
	if code := s.code(later1("a", at.Add(time.Second))); code != "id_conflict" {
		t.Errorf("at another time: %q", code)
	}
	s.must(later1("b", at))
	s.must(later1("c", epoch2026.Add(-time.Hour)))
	s.must(cancelLater("b"))
	s.reopen()
	s.ring()
	if got := s.ids("ticks"); got != "c" {
		t.Errorf("what was due already: %s", got)
	}
	now = at.UnixNano()
	s.ring()
	s.ring()
	if got := s.ids("ticks"); got != "c a" {
		t.Errorf("once due: %s", got)
	}
}

// An event of this source and id came first, with other content.
func TestDelayedEventThatConflictsIsTold(t *testing.T) {
	t.Parallel()
	now := epoch2026.UnixNano()
	s := newShop(t, standing(&now))
	s.must(later1("a", epoch2026.Add(time.Minute)))
	s.must(&edriv1.Op{Op: &edriv1.Op_Append{Append: &edriv1.Append{Stream: "other", Event: &edriv1.CloudEvent{SpecVersion: "1.0", Id: "a", Source: "tests", Type: "another"}}}})
	now += int64(time.Hour)
	s.ring()
	if got := s.ids(StreamDelayed); !strings.HasPrefix(got, "delayed/") {
		t.Errorf("told %q", got)
	}
}

// ids returns the ids of a stream's events.
func (s *shop) ids(stream string) string {
	v := s.core.View()
	defer v.Close()
	var ids []string
	for p := event.Position(1); p <= v.Mark.Last; p++ {
		r, err := v.Journal().Get(p)
		if err != nil {
			s.Fatalf("read position %d: %v", p, err)
		}
		if e, err := event.DecodeEvent(r.Event); err == nil && string(r.Stream) == stream {
			ids = append(ids, e.ID)
		}
	}
	return strings.Join(ids, " ")
}

func TestIDsOfFires(t *testing.T) {
	t.Parallel()
	for want, f := range map[string]fire{
		"7/scheduled/2026-01-01T00:00:00Z":  {incarnation: 7, nominal: epoch2026.UnixNano()},
		"7/trigger/9/2026-01-01T00:00:00Z":  {incarnation: 7, kind: kindTrigger, batch: 9, nominal: epoch2026.UnixNano()},
		"7/backfill/9/2026-01-01T00:00:00Z": {incarnation: 7, kind: kindBackfilled, batch: 9, nominal: epoch2026.UnixNano()},
	} {
		if got := f.id(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// A fire whose event cannot be appended is told and counted, and does not stop others.
func TestFireThatFailsIsTold(t *testing.T) {
	t.Parallel()
	now := epoch2026.UnixNano()
	s := newShop(t, standing(&now))
	s.must(create("a", every(time.Minute)))
	incarnation := s.of("a").Incarnation
	f := fire{incarnation: incarnation, nominal: now + int64(time.Minute)}
	s.must(&edriv1.Op{Op: &edriv1.Op_Append{Append: &edriv1.Append{Stream: "other", Event: &edriv1.CloudEvent{SpecVersion: "1.0", Id: f.id(), Source: defaultSource, Type: "mine"}}}})
	s.lead(advance{incarnation: incarnation, revision: 1, through: now, next: f.nominal, due: f.nominal})
	now = f.nominal
	s.lead(advance{incarnation: incarnation, revision: 1, from: f.nominal, fires: []int64{f.nominal}, through: f.nominal, ended: true})
	if got := s.of("a"); got.Failed != 1 || got.Fired != 0 || !got.Ended {
		t.Errorf("got %+v", got)
	}
	if got := fmt.Sprint(s.history("schedule/a")); !strings.Contains(got, "failed 00:01:00 id_conflict") {
		t.Errorf("told %s", got)
	}
}
