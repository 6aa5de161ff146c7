package router

import (
	"strings"
	"testing"
	"time"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
)

func TestEventIsSettledOnce(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.publish(4)
	g := h.subscribe("s", nil)
	h.told()
	h.advance(g, 0, 3, 1, 3)
	h.expectState("s", "cursor 3; 1 3;")
	h.advance(g, 0, 4, 4) // of a leader that did not know
	h.expectState("s", "cursor 3; 1 3;")
	r := h.do(add("effect"), ack("s", g, 3))
	if s := r.Results[1].GetSettled(); s.GetPosition() != 5 || s.GetDead() {
		t.Errorf("settled: %v", s)
	}
	if got := h.told(); got != "Advanced{1 3} Done{1 3 0 false}" {
		t.Errorf("told %q", got)
	}
	for what, c := range map[string]struct {
		op   *edriv1.Op
		want string
	}{
		"again":                           {ack("s", g, 3), "already_acked by 5"},
		"by another verb":                 {nak("s", g, 3, ""), "already_acked by 5"},
		"what did not match":              {ack("s", g, 2), "already_acked"},
		"what the cursor has not come to": {ack("s", g, 4), "unavailable"},
		"of no generation":                {ack("s", g+77, 1), "stale_token"},
		"of another subscription":         {ack("t", g, 1), "stale_token"},
	} {
		if got := code(h.do(c.op)); got != c.want {
			t.Errorf("%s: %q, want %q", what, got, c.want)
		}
	}
	// The effects of the second go nowhere.
	if r := h.do(add("effect 2"), ack("s", g, 3)); r.Error.GetCode() != "check_failed" || r.Error.Violations[0].Error.Position != 5 {
		t.Errorf("a second with effects: %v", r.Error)
	}
	if last := h.core.Meta().Mark.Last; last != 5 {
		t.Errorf("the journal ends at %d", last)
	}
	h.reopen()
	h.expectState("s", "cursor 3; 1;")
	if got := code(h.do(opOf(settleOf("s", g, 1, edriv1.Settle_SKIP)))); got != "" {
		t.Errorf("skip: %s", got)
	}
	h.expectState("s", "cursor 3;;")
}

func TestNakWaits(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.publish(3)
	g := h.subscribe("s", &edriv1.SubscriptionConfig{Backoff: []int64{10, 0, 30}, MaxDeliver: 6})
	h.advance(g, 0, 3, 1, 2, 3)
	h.told()
	h.must(nak("s", g, 1, "no"))
	h.expectState("s", "cursor 3; 1(1 until 10) 2 3;")
	h.must(nak("s", g, 1, "counted already"))
	h.expectState("s", "cursor 3; 1(1 until 10) 2 3;")
	h.pass(9)
	h.expectState("s", "cursor 3; 1(1 until 1) 2 3;")
	h.pass(1)
	h.expectState("s", "cursor 3; 1(1) 2 3;")
	if got := h.told(); got != "Waiting{1 1 1 1010 1} Ready{1 1}" {
		t.Errorf("told %q", got)
	}
	h.must(nak("s", g, 1, "the second wait is none"))
	h.expectState("s", "cursor 3; 1(2) 2 3;")
	h.must(nak("s", g, 1, "the last wait repeats"))
	h.pass(30)
	h.must(nak("s", g, 1, ""))
	h.expectState("s", "cursor 3; 1(4 until 30) 2 3;")
	h.must(nakFor("s", g, 2, 500))
	h.must(nakFor("s", g, 3, 0))
	h.expectState("s", "cursor 3; 1(4 until 30) 2(1 until 500) 3(1);")
	// What waits may be done nevertheless, and its timer goes.
	h.must(ack("s", g, 1))
	h.must(park("s", g, 2, "poison"))
	if n := h.timers(); n != 0 {
		t.Errorf("%d timers are left", n)
	}
	h.expectState("s", "cursor 3; 3(1); 2(2)")
}

func TestFailedAttemptsCount(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.publish(5)
	g := h.subscribe("s", &edriv1.SubscriptionConfig{Backoff: []int64{10, 20}, MaxDeliver: 3})
	h.advance(g, 0, 4, 1, 2, 3, 4)
	h.must(ack("s", g, 4))
	h.fails(g, failLost, "gone", 1, 2, 4, 5)
	h.expectState("s", "cursor 4; 1(1) 2(1) 3;")
	h.fails(g, failLost, "gone again", 1)
	h.expectState("s", "cursor 4; 1(2 until 20) 2(1) 3;")
	h.fails(g, failLost, "it waits", 1)
	h.fails(g, failSuspect, "the leader changed", 1, 2)
	h.expectState("s", "cursor 4; 1(2 until 20) 2(2) 3;")
	h.pass(20)
	h.told()
	h.fails(g, failSuspect, "the leader changed again", 1, 2, 3)
	h.expectState("s", "cursor 4; 3(1); 1(3) 2(3)")
	if got := h.told(); got != "Done{1 1 4 true} Done{1 2 4 true} Waiting{1 3 1 0 4}" {
		t.Errorf("told %q", got)
	}
	h.fails(g+9, failLost, "of no generation", 3)
	h.expectState("s", "cursor 4; 3(1); 1(3) 2(3)")
}

func TestPoisonGoesToTheDeadLetters(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.publish(2)
	h.now = int64(time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC).UnixNano())
	g := h.subscribe("s", &edriv1.SubscriptionConfig{MaxDeliver: 2, Backoff: []int64{0}})
	h.advance(g, 0, 2, 1, 2)
	h.must(nak("s", g, 2, "say \"no\"\n\x01é"))
	r := h.must(nak("s", g, 2, strings.Repeat("é", 8<<10))).GetSettled()
	if !r.Dead || r.Position != 3 {
		t.Errorf("settled: %v", r)
	}
	want := `dead/s edri.deadletter s {"subscription":"s","generation":"1","position":"2","attempts":[` +
		`{"stamp":"2026-01-02T03:04:05.0000006Z","reason":"say \"no\"\n\u0001é"},` +
		`{"stamp":"2026-01-02T03:04:05.0000006Z","reason":"` + strings.Repeat("é", 4<<10) + `"}]}`
	if got := h.data(3); got != want {
		t.Errorf("the journal has %s", got)
	}
	if got := code(h.do(ack("s", g, 2))); got != "already_acked" {
		t.Errorf("ack of a dead one: %q", got)
	}
	h.must(redriveOf("s"))
	h.expectState("s", "cursor 2; 1 2;")
	h.must(park("s", g, 2, "again"))
	h.expectState("s", "cursor 2; 1; 2(1)")
	if got := h.data(4); !strings.Contains(got, `"reason":"again"`) || strings.Count(got, "stamp") != 1 {
		t.Errorf("the journal has %s", got)
	}
}

// A client can take the ids that dead letters' events would have. That must stop nothing.
func TestDeadLetterSurvivesTakenIDs(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.publish(1)
	g := h.subscribe("s", nil)
	h.advance(g, 0, 1, 1)
	for _, id := range []string{"2", "3", "4"} {
		o := add(id)
		o.GetAppend().Event.Source = deadSource
		h.must(o)
	}
	h.must(park("s", g, 1, ""))
	h.expectState("s", "cursor 1;; 1(1)")
}

func TestReasonsAreBounded(t *testing.T) {
	t.Parallel()
	var f failures
	for i := range 100 {
		f = f.with(int64(i), []byte(strings.Repeat("x", 5000+i)))
	}
	list := f.all()
	if len(list) != 100 || f.count != 100 || len(f.list) > maxReasonsBytes+1000 {
		t.Errorf("%d failures in %d bytes", len(list), len(f.list))
	}
	for i, one := range list {
		want := 0
		if i >= 94 { // the newest that fit
			want = 5000 + i
		}
		if one.stamp != int64(i) || len(one.reason) != want {
			t.Errorf("failure %d: stamp %d, %d bytes", i, one.stamp, len(one.reason))
		}
	}
	if got := cutReason([]byte("a\xffb")); got != "a\uFFFDb" {
		t.Errorf("got %q", got)
	}
}

func TestRowsOfWhatIsDoneAreTrimmed(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.publish(1)
	g := h.subscribe("s", nil)
	const last = 40_000
	h.advance(g, 0, 10, positionsUpTo(0, 10)...)
	for p := range uint64(9) {
		h.must(ack("s", g, p+1))
	}
	for p := event.Position(10); p < last; p += 100 {
		h.advance(g, p, p+100, p+100)
		if p > 10 {
			h.must(ack("s", g, uint64(p)))
		}
	}
	if n := h.rows(kindPending); n > 2+(keptDone+trimStep)/100 {
		t.Errorf("%d rows are left", n)
	}
	h.expectState("s", "cursor 40010; 10 40010;")
	if got := code(h.do(ack("s", g, 39_910))); got != "already_acked by 1" {
		t.Errorf("one that is kept: %q", got)
	}
	if got := code(h.do(ack("s", g, 5))); got != "already_acked" {
		t.Errorf("one that is trimmed: %q", got)
	}
	rows := h.rows(kindPending)
	h.must(ack("s", g, 10)) // below what is trimmed: no row stays
	if got := h.rows(kindPending); got != rows-1 {
		t.Errorf("%d rows, then %d", rows, got)
	}
	if got := code(h.do(ack("s", g, 10))); got != "already_acked" {
		t.Errorf("again: %q", got)
	}
}

// More than one operation trims: what is left, those after it trim.
func TestTrimmingIsSpreadOverOperations(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.publish(1)
	g := h.subscribe("s", nil)
	const many = 5 * trimStep
	h.advance(g, 0, many, positionsUpTo(0, many)...)
	for p := range uint64(many) {
		if p+1 != 10 {
			h.must(ack("s", g, p+1))
		}
	}
	cursor, rows := event.Position(many), many
	for step := 0; rows > 1; step++ {
		if step > 6 {
			t.Fatalf("%d rows are left", rows)
		}
		h.lead(opCheckpoint, encodeCheckpoint([]move{{g, cursor, cursor + 2*keptDone}}))
		cursor += 2 * keptDone
		left := h.rows(kindPending)
		if rows-left > trimStep {
			t.Errorf("one checkpoint trimmed %d rows", rows-left)
		}
		rows = left
	}
	if got := h.state("s"); !strings.HasSuffix(got, "; 10;") {
		t.Errorf("left is %q", got)
	}
}
