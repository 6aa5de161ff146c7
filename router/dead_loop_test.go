package router

import (
	"strings"
	"testing"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
)

// monitor creates a subscription to the events that say what was given up.
func (h *hall) monitor(name string) uint64 {
	h.Helper()
	return h.subscribe(name, &edriv1.SubscriptionConfig{Filter: `{"exact":{"type":"edri.deadletter"}}`, MaxDeliver: 1, Backoff: []int64{0}})
}

// What says that an event was given up is given up in its turn without another such
// event, or a monitor that cannot handle them would make them without end.
func TestDeadLetterOfADeadLetterIsNotAnnounced(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.publish(2)
	g := h.subscribe("s", nil)
	nakking, parking, losing := h.monitor("m1"), h.monitor("m2"), h.monitor("m3")
	h.advance(g, 0, 2, 1, 2)
	h.must(park("s", g, 1, "poison"))
	for _, m := range []uint64{nakking, parking, losing} {
		h.advance(m, 0, 3, 3)
	}
	h.must(nak("m1", nakking, 3, "no"))
	h.must(park("m2", parking, 3, "no"))
	h.fails(losing, failLost, "gone", 3)
	for _, name := range []string{"m1", "m2", "m3"} {
		h.expectState(name, "cursor 3;; 3(1)")
	}
	if last := h.core.Meta().Mark.Last; last != 3 {
		t.Errorf("the journal ends at %d, want 3", last)
	}
	// Redriven and given up once more, and after a restart, it is the same.
	h.must(redriveOf("m1"))
	h.reopen()
	h.must(nak("m1", nakking, 3, "still no"))
	h.expectState("m1", "cursor 3;; 3(1)")
	if last := h.core.Meta().Mark.Last; last != 3 {
		t.Errorf("the journal ends at %d, want 3", last)
	}
	// What the client appended is announced as ever.
	h.must(park("s", g, 2, "poison"))
	if got := h.data(4); !strings.HasPrefix(got, "dead/s edri.deadletter s ") {
		t.Errorf("the journal has %s", got)
	}
}

// The same holds where it is given up in the entry that made it.
func TestDeadLetterIsGivenUpInItsOwnEntry(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.publish(1)
	g, m := h.subscribe("s", nil), h.monitor("m")
	h.advance(g, 0, 1, 1)
	results, err := h.entry([][]byte{
		h.seal(park("s", g, 1, "poison")), internal(opAdvance, encodeAdvance(m, 0, 2, []event.Position{2}, nil)), h.seal(nak("m", m, 2, "no")),
	})
	if err != nil || results[2].Error != nil {
		t.Fatalf("got %v, %v", results, err)
	}
	h.expectState("m", "cursor 2;; 2(1)")
	if last := h.core.Meta().Mark.Last; last != 2 {
		t.Errorf("the journal ends at %d, want 2", last)
	}
}

// What is known of announcing events goes with the events.
func TestAnnouncedEventsAreForgottenWithRetention(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.publish(10)
	g := h.subscribe("s", nil)
	h.advance(g, 0, 10, positionsUpTo(0, 10)...)
	for p := range uint64(8) {
		h.must(park("s", g, p+1, "poison"))
	}
	if n := h.rows(kindAnnounced); n != 8 {
		t.Fatalf("%d rows, want 8", n)
	}
	h.must(redriveOf("s"))
	for p := range uint64(10) {
		h.must(ack("s", g, p+1))
	}
	h.lead(opCheckpoint, encodeCheckpoint([]move{{g, 10, 17}}))
	if first := h.retain(18); first != 18 {
		t.Fatalf("the journal begins at %d, want 18", first)
	}
	h.publish(2)
	h.advance(g, 17, 20, 19, 20)
	for p := range uint64(2) {
		h.must(park("s", g, p+19, "poison"))
	}
	if n := h.rows(kindAnnounced); n != 3 {
		t.Errorf("%d rows are left, want 3: of positions 18, 21 and 22", n)
	}
}
