package router

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/timers"
)

func TestSubscriptionIsCreatedUpdatedPausedDeleted(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.publish(3)
	c := h.must(create("s", &edriv1.SubscriptionConfig{Priority: -3, Filter: `{"exact":{"type":"a"}}`}, nil)).GetSubscriptionChanged()
	if !c.Created || c.Generation == 0 {
		t.Errorf("created: %v", c)
	}
	h.expectState("s", "cursor 3;;")
	if got := code(h.do(create("s", nil, nil))); got != "exists" {
		t.Errorf("created twice: %q", got)
	}
	ensure := create("s", &edriv1.SubscriptionConfig{MaxDeliver: 4}, atFirst())
	ensure.GetCreateSubscription().Ensure = true
	if c := h.must(ensure).GetSubscriptionChanged(); c.Created || c.Generation != 1 {
		t.Errorf("ensured: %v", c)
	}
	h.told()
	h.must(ensure) // as it is already
	if got := h.told(); got != "" {
		t.Errorf("told %q of no change", got)
	}
	h.must(pauseOf("s", true, "night"))
	h.must(update("s", &edriv1.SubscriptionConfig{MaxDeliver: 5, OrderingKey: "subject"}))
	if got := h.told(); got != "Subscription{s} Subscription{s}" {
		t.Errorf("told %q", got)
	}
	h.reopen()
	v := h.core.View()
	defer v.Close()
	s, ok, err := SubscriptionOf(v, "s")
	if err != nil || !ok || !s.Paused || s.Note != "night" || s.Config.MaxDeliver != 5 || s.Config.MaxInFlight != event.DefaultMaxInFlight || s.ID != s.Generation || s.Cursor != 3 {
		t.Errorf("got %+v, %v, %v", s, ok, err)
	}
	wire := &edriv1.SubscriptionConfig{}
	if err := proto.Unmarshal(s.Wire, wire); err != nil || wire.OrderingKey != "subject" {
		t.Errorf("its config: %v, %v", wire, err)
	}
	h.must(remove("s"))
	for what, op := range map[string]*edriv1.Op{
		"delete": remove("s"), "pause": pauseOf("s", false, ""), "update": update("s", nil), "seek": seekTo("s", nil), "redrive": redriveOf("s"),
	} {
		if got := code(h.do(op)); got != "not_found" {
			t.Errorf("%s of none: %q", what, got)
		}
	}
	if c := h.must(create("s", nil, nil)).GetSubscriptionChanged(); !c.Created || c.Generation < 2 {
		t.Errorf("created again: %v", c)
	}
}

func TestOrderingKeyChangesOnlyWithNothingPending(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.publish(2)
	g := h.subscribe("s", nil)
	h.advance(g, 0, 2, 1, 2)
	h.must(ack("s", g, 1))
	byStream := update("s", &edriv1.SubscriptionConfig{OrderingKey: "stream"})
	if got := code(h.do(byStream)); got != "check_failed" {
		t.Errorf("while one is pending: %q", got)
	}
	h.must(update("s", &edriv1.SubscriptionConfig{MaxInFlight: 2}))
	h.must(ack("s", g, 2))
	h.must(byStream)
}

func TestSubscriptionsAreListedByName(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	for _, name := range []string{"b", "a/2", "a/1", "a", "c"} {
		h.subscribe(name, nil)
	}
	list := func(prefix, after string, most int) string {
		v := h.core.View()
		defer v.Close()
		var names []string
		for s, err := range Subscriptions(v, prefix, after) {
			if err != nil {
				t.Fatal(err)
			}
			if names = append(names, s.Config.Name); len(names) == most {
				break
			}
		}
		return strings.Join(names, " ")
	}
	for _, c := range []struct {
		prefix, after string
		most          int
		want          string
	}{
		{"", "", 9, "a a/1 a/2 b c"}, {"a/", "", 9, "a/1 a/2"}, {"a", "a/1", 9, "a/2"}, {"", "a/2", 1, "b"}, {"d", "", 9, ""}, {"b", "c", 9, ""},
	} {
		if got := list(c.prefix, c.after, c.most); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

// By a lower version members of the definition before would come back, beside those that
// took their place.
func TestVersionOfASubscriptionIsLoweredByForceAlone(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.subscribe("s", &edriv1.SubscriptionConfig{Version: 5})
	lower := update("s", &edriv1.SubscriptionConfig{Version: 3})
	if got := code(h.do(lower)); got != "check_failed" {
		t.Errorf("lower: %q", got)
	}
	if got := code(h.do(update("s", nil))); got != "check_failed" {
		t.Errorf("without a version: %q", got)
	}
	h.must(update("s", &edriv1.SubscriptionConfig{Version: 5, MaxDeliver: 2}))
	h.must(update("s", &edriv1.SubscriptionConfig{Version: 6}))
	lower.GetUpdateSubscription().Force = true
	h.must(lower)
	v := h.core.View()
	defer v.Close()
	if s, _, err := SubscriptionOf(v, "s"); err != nil || s.Config.Version != 3 {
		t.Errorf("got %+v, %v", s.Config, err)
	}
}

func TestNumberOfSubscriptionsIsBounded(t *testing.T) {
	t.Parallel()
	table := timers.New()
	mux, err := consensus.NewMux(table, full{NewMachine(table)})
	if err != nil {
		t.Fatal(err)
	}
	h := &hall{failer: t, witness: &witness{}, dir: t.TempDir(), cfg: consensus.CoreConfig{Machines: mux, InitialMmap: 1 << 24}}
	h.open()
	t.Cleanup(func() { _ = h.core.Close() })
	h.raw(consensus.LeadCommit("n1", testEpoch, 0))
	h.subscribe("s", nil)
	h.lead(opLast, nil)
	if got := code(h.do(create("one more", nil, nil))); got != "quota_exceeded" {
		t.Errorf("got %q", got)
	}
	h.must(remove("s"))
	h.subscribe("t", nil)
}

// full is a machine whose last operation says that there are as many subscriptions as
// may be, which are too many for a test.
type full struct{ *Machine }

func (f full) Apply(tx *consensus.Tx, op uint32, body []byte) ([]byte, error) {
	if op == opLast {
		return nil, count(tx, maxSubscriptions-1)
	}
	return f.Machine.Apply(tx, op, body)
}

func TestSeekBeginsANewGeneration(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.publish(5)
	g := h.subscribe("s", nil)
	h.advance(g, 0, 4, 1, 2, 3, 4)
	h.must(park("s", g, 2, ""))
	h.must(nakFor("s", g, 3, 100))
	h.must(ack("s", g, 4))
	h.told()
	n := h.must(seekTo("s", atPosition(2))).GetSubscriptionChanged().GetGeneration()
	if n <= g {
		t.Errorf("generation %d after %d", n, g)
	}
	if got := h.told(); got != "Subscription{s}" {
		t.Errorf("told %q", got)
	}
	h.expectState("s", "cursor 1;; 2(1)")
	if got := code(h.do(ack("s", g, 1))); got != "stale_token" {
		t.Errorf("ack of the old generation: %q", got)
	}
	h.advance(g, 4, 5, 5) // of the old one
	h.fails(g, failLost, "", 1)
	h.must(redriveOf("s", 2)) // beyond the cursor: it stays
	h.expectState("s", "cursor 1;; 2(1)")
	h.pass(100) // the wait of 3 ends in nothing
	h.expectState("s", "cursor 1;; 2(1)")
	h.advance(n, 1, 4, 2, 4) // 2 matches again: it is pending and dead no more
	h.expectState("s", "cursor 4; 2 4;")
	h.must(ack("s", n, 4)) // in its generation for the first time

	if v := h.core.View(); v != nil {
		if number, ok, err := GarbageOf(v); number != g || !ok || err != nil {
			t.Errorf("garbage %d, %v, %v", number, ok, err)
		}
		v.Close()
	}
	for i := range 3 {
		h.lead(opSweep, encodeSweep(g, 1))
		if rows := h.rows(kindPending); rows != 2+max(3-1-i, 0) {
			t.Errorf("after sweep %d there are %d rows", i+1, rows)
		}
	}
	h.lead(opSweep, encodeSweep(g, 1000))
	if n := h.rows(kindGarbage); n != 0 {
		t.Errorf("%d garbage rows are left", n)
	}
	h.lead(opSweep, encodeSweep(g, 1000)) // of another leader
	h.expectState("s", "cursor 4; 2;")
	if got := code(h.do(seekTo("s", atPosition(99)))); got != "" {
		t.Errorf("beyond the end: %q", got)
	}
	h.expectState("s", "cursor 98;;")
	h.must(seekTo("s", nil))
	h.expectState("s", "cursor 6;;") // with the dead letter's event
}

// A dead letter that the cursor passes again without a match can be redriven then.
func TestDeadLetterBehindASeekIsRedrivenOncePassed(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.publish(5)
	g := h.subscribe("s", nil)
	h.advance(g, 0, 5, 1, 3, 4)
	h.must(park("s", g, 1, ""))
	h.must(park("s", g, 3, ""))
	h.must(park("s", g, 4, ""))
	n := h.must(seekTo("s", atPosition(2))).GetSubscriptionChanged().GetGeneration()
	h.advance(n, 1, 3)
	if c := h.must(redriveOf("s")).GetRedriven().GetCount(); c != 2 {
		t.Errorf("%d redriven", c)
	}
	h.expectState("s", "cursor 3; 1 3; 4(1)")
	h.lead(opCheckpoint, encodeCheckpoint([]move{{n, 3, 5}}))
	h.must(redriveOf("s", 4, 4, 5))
	h.expectState("s", "cursor 5; 1 3 4;")
	h.must(ack("s", n, 1))
	if got := code(h.do(ack("s", n, 1))); got != "already_acked" {
		t.Errorf("again: %q", got)
	}
}

// Of the dead letters that a seek leaves beyond the cursor, each goes when its event
// matches again, however many advances that takes.
func TestDeadLettersBehindASeekGoWhenTheyMatchAgain(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.publish(5)
	g := h.subscribe("s", nil)
	h.advance(g, 0, 5, 1, 3, 4)
	h.must(park("s", g, 1, ""))
	h.must(park("s", g, 3, ""))
	h.must(park("s", g, 4, ""))
	n := h.must(seekTo("s", atFirst())).GetSubscriptionChanged().GetGeneration()
	h.advance(n, 0, 2, 1)
	h.expectState("s", "cursor 2; 1; 3(1) 4(1)")
	h.advance(n, 2, 3)
	h.reopen()
	h.advance(n, 3, 5, 4)
	h.expectState("s", "cursor 5; 1 4; 3(1)")
}

func TestDeletedSubscriptionIsSweptAndHoldsNothing(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.publish(6)
	g := h.subscribe("s", nil)
	h.advance(g, 0, 6, 1, 2, 3)
	h.must(park("s", g, 1, ""))
	h.must(nak("s", g, 2, ""))
	h.must(remove("s"))
	if first := h.retain(7); first != 1 {
		t.Errorf("first is %d: the dead letter is not swept yet", first)
	}
	h.lead(opSweep, encodeSweep(g, 1000))
	if h.rows(kindPending)+h.rows(kindDead)+h.rows(kindGarbage)+h.timers() != 0 {
		t.Errorf("%d pending, %d dead, %d garbage, %d timers", h.rows(kindPending), h.rows(kindDead), h.rows(kindGarbage), h.timers())
	}
	if first := h.retain(7); first != 7 {
		t.Errorf("first is %d", first)
	}
}

func TestRetentionKeepsWhatIsNeeded(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.publish(10)
	g := h.subscribe("s", nil)
	expect := func(want event.Position) {
		t.Helper()
		if got := h.retain(h.core.Meta().Mark.Last + 1); got != want {
			t.Errorf("first is %d, want %d", got, want)
		}
	}
	checkpoint := func(cursor event.Position) {
		h.lead(opCheckpoint, encodeCheckpoint([]move{{g, cursor, cursor}}))
	}
	expect(1)
	h.advance(g, 0, 8, 2, 3, 5, 7)
	checkpoint(8)
	expect(2)
	h.must(ack("s", g, 2))
	h.must(park("s", g, 3, ""))
	h.must(ack("s", g, 7))
	checkpoint(8)
	expect(3) // the dead letter
	h.must(redriveOf("s"))
	expect(3)
	h.must(ack("s", g, 3))
	h.reopen()
	checkpoint(8)
	expect(5)
	h.must(ack("s", g, 5))
	checkpoint(8)
	expect(9)
	if got := code(h.do(seekTo("s", atPosition(8)))); got != "compacted" {
		t.Errorf("a seek below the first: %q", got)
	}
	n := h.must(seekTo("s", nil)).GetSubscriptionChanged().GetGeneration()
	g = n
	expect(12) // 11 is the dead letter's event
	h.must(seekTo("s", atFirst()))
	h.expectState("s", "cursor 11;;")
}

func TestCheckpointMovesManyCursors(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.publish(10)
	a, b, c := h.subscribe("a", nil), h.subscribe("b", nil), h.subscribe("c", nil)
	h.advance(b, 0, 5, 4)
	h.told()
	h.lead(opCheckpoint, encodeCheckpoint([]move{{a, 0, 10}, {b, 4, 10}, {b + 90, 0, 10}, {c, 0, 0}}))
	if got := h.told(); got != "Advanced{1 10}" {
		t.Errorf("told %q", got)
	}
	h.expectState("a", "cursor 10;;")
	h.expectState("b", "cursor 5; 4;")
	h.expectState("c", "cursor 0;;")
}

// Filters that were accepted once are read as ever.
func TestStoredFilterOfNoAttributeGoesOn(t *testing.T) {
	t.Parallel()
	config, err := proto.Marshal(&edriv1.SubscriptionConfig{Filter: `{"exact":{"edristream":"a"}}`})
	if err != nil {
		t.Fatal(err)
	}
	s, err := readConfig("s", config)
	if err != nil || s.Filter.Exact["edristream"] != "a" {
		t.Errorf("got %v, %v", s.Filter, err)
	}
}
