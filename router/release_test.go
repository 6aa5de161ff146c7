package router

import (
	"fmt"
	"testing"
	"time"

	"github.com/edri-io/edri/event"
)

// What holds retention back lets go of it, and an event says what a subscription loses:
// "lost: from to cursor pending".
func TestReleaseLosesWhatStandsInRetentionsWay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before event.Position
		limit  int
		state  string
		lost   string // the event's data, none: ""
		told   string
		first  event.Position // as far as retention comes
	}{
		"nothing before what it needs": {2, 9, "cursor 8; 2 5(1 until 3600000000000) 7;", "", "", 2},
		"one that is pending":          {3, 9, "cursor 8; 5(1 until 3600000000000) 7;", lostAs(2, 2, 8, 1), "Lost{1 2 2}", 5},
		"up to one that is pending":    {5, 9, "cursor 8; 5(1 until 3600000000000) 7;", lostAs(2, 4, 8, 1), "Lost{1 2 4}", 5},
		"few rows":                     {8, 2, "cursor 8; 5(1 until 3600000000000) 7;", lostAs(2, 3, 8, 1), "Lost{1 2 3}", 5},
		"all that is pending":          {9, 9, "cursor 8;;", lostAs(2, 8, 8, 3), "Lost{1 2 8}", 9},
		"more than was looked at":      {11, 9, "cursor 10;;", lostAs(2, 10, 8, 3), "Lost{1 2 10}", 11},
		"more than there is":           {99, 9, "cursor 11;;", lostAs(2, 11, 8, 3), "Lost{1 2 11}", 12},
		"no rows":                      {8, 0, "cursor 8; 2 5(1 until 3600000000000) 7;", "", "", 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHall(t)
			h.publish(11)
			g := h.subscribe("s", nil)
			h.advance(g, 0, 8, 2, 3, 5, 7)
			h.must(ack("s", g, 3))
			h.must(nakFor("s", g, 5, time.Hour))
			h.told()
			h.lead(opRelease, encodeRelease(g, c.before, c.limit))
			if got := h.told(); got != c.told {
				t.Errorf("told %q, want %q", got, c.told)
			}
			h.reopen()
			h.expectState("s", c.state)
			last := h.core.Meta().Mark.Last
			switch {
			case c.lost == "" && last != 11:
				t.Errorf("%s is said to be lost", h.data(last))
			case c.lost != "" && (last != 12 || h.data(12) != c.lost):
				t.Errorf("%d events, the last %s, want %s", last, h.data(last), c.lost)
			}
			if got := h.retain(last + 1); got != c.first {
				t.Errorf("the first is %d, want %d", got, c.first)
			}
		})
	}
}

func lostAs(from, to, cursor, pending int) string {
	return fmt.Sprintf(`dead/s edri.subscription.lost s {"subscription":"s","generation":"1","from":"%d","to":"%d","cursor":"%d","pending":%d}`, from, to, cursor, pending)
}

// What is lost is over: its timer, its settlement, and a release that comes again.
func TestWhatIsLostIsSettled(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.publish(5)
	g := h.subscribe("s", nil)
	h.advance(g, 0, 3, 1, 2)
	h.must(nakFor("s", g, 1, time.Hour))
	h.lead(opRelease, encodeRelease(g, 4, 9))
	if n := h.timers(); n != 0 {
		t.Errorf("%d timers", n)
	}
	if got := code(h.do(ack("s", g, 2))); got != "already_acked by 6" {
		t.Errorf("ack of what is lost: %q", got)
	}
	h.lead(opRelease, encodeRelease(g, 4, 9))
	h.lead(opRelease, encodeRelease(g+90, 4, 9)) // one that is over
	if last := h.core.Meta().Mark.Last; last != 6 {
		t.Errorf("the last is %d: %s", last, h.data(last))
	}
	h.advance(g, 3, 5, 5)
	h.expectState("s", "cursor 5; 5;")
}

// A generation whose pin lags behind what it needs loses nothing.
func TestReleaseLosesNothingThatIsNotNeeded(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.publish(3000)
	g := h.subscribe("s", nil)
	h.advance(g, 0, 2500, positionsUpTo(0, 2500)...)
	for p := range uint64(2500) {
		h.must(ack("s", g, p+1))
	}
	for range 4 { // a thousand rows at a time
		h.lead(opRelease, encodeRelease(g, 2500, maxRelease))
	}
	h.expectState("s", "cursor 2500;;")
	if last := h.core.Meta().Mark.Last; last != 3000 {
		t.Errorf("%s is said to be lost", h.data(last))
	}
	if first := h.retain(2600); first != 2501 {
		t.Errorf("the first is %d", first)
	}
}

// A dead letter and a request stay when they let go of their events. Redriven, what is
// gone holds nothing back.
func TestReleasedDeadLettersStay(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.must(request1("q", time.Hour, 0))
	h.publish(4)
	g := h.subscribe("s", nil)
	h.advance(g, 0, 5, 2, 3)
	h.must(park("s", g, 2, "no"))
	h.must(park("s", g, 3, "no"))
	h.lead(opCheckpoint, encodeCheckpoint([]move{{g, 5, 5}}))
	h.lead(opRelease, encodeUnpin([]pinned{{0, 1}, {g, 2}, {g + 7, 3}}))
	if first := h.retain(5); first != 3 {
		t.Errorf("the first is %d, want the other dead letter", first)
	}
	h.expectState("s", "cursor 5;; 2(1) 3(1)")
	if got := h.outcome(1); got != "open[] until 3600000001000" {
		t.Errorf("the request is %q", got)
	}
	if n := h.must(redriveOf("s", 2)).GetRedriven().GetCount(); n != 1 {
		t.Errorf("%d redriven", n)
	}
	h.lead(opRelease, encodeUnpin([]pinned{{g, 3}}))
	if first := h.retain(5); first != 5 {
		t.Errorf("the first is %d: what is gone holds back", first)
	}
	h.expectState("s", "cursor 5; 2; 3(1)")
	h.must(ack("s", g, 2))
}
