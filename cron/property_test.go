package cron

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// Whatever clients and leaders do, right ones or not, and however often the node starts
// anew: what package doc says holds.
func TestInvariantsHoldWhateverIsDone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "edri-cron-")
		if err != nil {
			t.Fatalf("make a directory: %v", err)
		}
		defer os.RemoveAll(dir)
		now := epoch2026.UnixNano()
		s := openShop(t, dir, standing(&now))
		defer func() { _ = s.core.Close() }()
		w := &world{rapidT: t, shop: s, now: &now, names: []string{"a", "b"}}
		actions := map[string]func(*rapid.T){
			"": func(*rapid.T) { w.check() }, "create": w.create, "update": w.update, "delete": w.delete,
			"pause": w.pause, "trigger": w.trigger, "backfill": w.backfill, "answer": w.answer, "wrong advance": w.wrong,
			"time": w.pass, "restart": func(*rapid.T) { s.reopen() },
		}
		// A leader that does what is right, more often than others do anything.
		for i := range 3 {
			actions[fmt.Sprint("lead ", i)] = w.leadOne
		}
		t.Repeat(actions)
	})
}

type rapidT = *rapid.T

// world is what the property test does things to.
type world struct {
	rapidT
	shop  *shop
	now   *int64
	names []string
}

func (w *world) spec(t *rapid.T) *edriv1.ScheduleSpec {
	spec := every(time.Duration(rapid.IntRange(1, 5).Draw(t, "every")) * time.Second)
	spec.Limit = uint64(rapid.SampledFrom([]int{0, 0, 3}).Draw(t, "limit"))
	spec.CatchUp = edriv1.ScheduleSpec_CatchUp(rapid.IntRange(0, 3).Draw(t, "catch-up"))
	spec.CatchUpCap = uint32(rapid.IntRange(1, 4).Draw(t, "cap"))
	spec.Jitter = int64(rapid.SampledFrom([]time.Duration{0, time.Second}).Draw(t, "jitter"))
	if rapid.Bool().Draw(t, "request") {
		spec.Action = ask("ticks", time.Duration(rapid.IntRange(1, 20).Draw(t, "timeout"))*time.Second)
		spec.Overlap = edriv1.ScheduleSpec_Overlap(rapid.IntRange(0, 5).Draw(t, "overlap"))
	}
	if rapid.IntRange(0, 3).Draw(t, "keys") == 0 {
		// One of the buckets is not there: fires fail midway.
		spec.Overlap = edriv1.ScheduleSpec_OVERLAP_UNSPECIFIED
		spec.Action = transact(&edriv1.KeyTransaction{Then: []*edriv1.KeyOp{
			putKey("default", "k", "v"), putKey(rapid.SampledFrom([]string{"default", "none"}).Draw(t, "bucket"), "k", "w"),
		}})
	}
	return spec
}

func (w *world) name(t *rapid.T) string { return rapid.SampledFrom(w.names).Draw(t, "name") }

func (w *world) create(t *rapid.T) { w.shop.do(create(w.name(t), w.spec(t))) }
func (w *world) update(t *rapid.T) { w.shop.do(update(w.name(t), w.spec(t))) }
func (w *world) delete(t *rapid.T) {
	if rapid.IntRange(0, 3).Draw(t, "really") == 0 {
		w.shop.do(remove(w.name(t)))
	}
}
func (w *world) pause(t *rapid.T) {
	w.shop.do(pauseOf(w.name(t), rapid.Bool().Draw(t, "paused"), ""))
}
func (w *world) trigger(t *rapid.T) { w.shop.do(trigger(w.name(t))) }
func (w *world) backfill(t *rapid.T) {
	to := time.Unix(0, *w.now)
	w.shop.do(backfill(w.name(t), to.Add(-time.Duration(rapid.IntRange(0, 10).Draw(t, "seconds"))*time.Second), to))
}

func (w *world) answer(t *rapid.T) {
	v := w.shop.core.View()
	last := v.Mark.Last
	v.Close()
	if last > 0 {
		w.shop.do(respond(event.Position(rapid.Uint64Range(1, uint64(last)).Draw(t, "position"))))
	}
}

func (w *world) pass(t *rapid.T) {
	*w.now += int64(rapid.SampledFrom([]time.Duration{100 * time.Millisecond, time.Second, 4 * time.Second, time.Minute}).Draw(t, "time"))
	w.shop.ring()
	w.shop.ring()
}

// jobs are those that a new leader would have.
func (w *world) jobs() []*job {
	l := &leader{node: w.shop, byName: map[string]*job{}, byIncarnation: map[uint64]*job{}}
	if err := l.load(); err != nil {
		w.Fatalf("load: %v", err)
	}
	return l.queue
}

// leadOne does what a leader does, for one schedule.
func (w *world) leadOne(t *rapid.T) {
	jobs := w.jobs()
	if len(jobs) == 0 {
		return
	}
	j := jobs[rapid.IntRange(0, len(jobs)-1).Draw(t, "job")]
	a := j.advance(*w.now)
	w.shop.lead(a)
	if rapid.Bool().Draw(t, "twice") {
		w.shop.lead(a)
	}
}

// wrong does what a leader would that knows an older state, or whose clock is ahead.
func (w *world) wrong(t *rapid.T) {
	jobs := w.jobs()
	if len(jobs) == 0 {
		return
	}
	j := jobs[rapid.IntRange(0, len(jobs)-1).Draw(t, "job")]
	j.revision -= uint64(rapid.IntRange(0, 1).Draw(t, "older"))
	a := j.advance(*w.now + int64(rapid.IntRange(0, 100).Draw(t, "ahead"))*int64(time.Second))
	if rapid.Bool().Draw(t, "from") {
		a.from -= int64(time.Second)
	}
	w.shop.lead(a)
}

// check holds state and journal to the invariants.
func (w *world) check() {
	v := w.shop.core.View()
	defer v.Close()
	last := map[string]time.Time{} // scheduled, by incarnation
	for p := event.Position(1); p <= v.Mark.Last; p++ {
		r, err := v.Journal().Get(p)
		if err != nil {
			w.Fatalf("read position %d: %v", p, err)
		}
		e, err := event.DecodeEvent(r.Event)
		if err != nil {
			w.Fatalf("decode position %d: %v", p, err)
		}
		incarnation, rest, _ := strings.Cut(e.ID, "/")
		if e.Type != "tick" || !strings.HasPrefix(rest, "scheduled/") {
			continue
		}
		if !e.Time.After(last[incarnation]) {
			// What waited for the end of another comes in its order too.
			w.Fatalf("position %d fires for %v after %v", p, e.Time, last[incarnation])
		}
		last[incarnation] = e.Time
		if r.Stamp < e.Time.UnixNano() {
			w.Fatalf("position %d fires for %v early, at %d", p, e.Time, r.Stamp)
		}
	}
	for s, err := range Schedules(v, "", "") {
		if err != nil {
			w.Fatalf("schedules: %v", err)
		}
		w.checkSchedule(v, &s)
	}
}

func (w *world) checkSchedule(v *consensus.View, s *Schedule) {
	if s.Next != 0 && (s.Next <= s.Through || s.Due < s.Next || s.Ended) {
		w.Fatalf("schedule %q: next %d, due %d, through %d, ended %v", s.Name, s.Next, s.Due, s.Through, s.Ended)
	}
	if s.Through > *w.now {
		w.Fatalf("schedule %q: through %d is ahead of %d", s.Name, s.Through, *w.now)
	}
	it := v.Scan(machineName, numberKey(kindBuffered, s.Incarnation), numberKey(kindBuffered, s.Incarnation+1), false)
	defer it.Close()
	rows := 0
	for it.Next() {
		rows++
	}
	if rows != s.Buffered || rows > 0 && s.Running == 0 {
		w.Fatalf("schedule %q: %d wait in %d rows, %d run", s.Name, s.Buffered, rows, s.Running)
	}
}
