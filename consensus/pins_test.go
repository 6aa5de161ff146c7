package consensus_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// keeper is a state machine that pins positions: operation 20 pins the position
// that its body says under a name of its own, 21 does so and fails, 22 unpins.
type keeper struct{}

func (keeper) Name() string                   { return "keeper" }
func (keeper) Ops() (first, last uint32)      { return 20, 22 }
func (keeper) Check(_ uint32, _ []byte) error { return nil }

func (keeper) Apply(tx *consensus.Tx, op uint32, body []byte) ([]byte, error) {
	position, name := event.Position(body[0]-'0'), body[1:]
	if op == 22 {
		tx.Unpin(position, name)
		return nil, nil
	}
	if err := tx.Pin(position, name); err != nil {
		return nil, err
	}
	if op == 21 {
		return nil, event.Errorf(event.CodeExists, "told to fail")
	}
	return nil, nil
}

func TestRetentionStopsAtTheLowestPin(t *testing.T) {
	t.Parallel()
	h := newHarness(t, registers{}, keeper{})
	do := func(want string, ops ...*edriv1.Op) {
		t.Helper()
		if got := brief(h.apply(alone(ops...))[0]); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for _, id := range []string{"1", "2", "3", "4", "5", "6", "7", "8", "9"} {
		h.apply(alone(add("s", id)))
	}
	retain := func(first, want event.Position) {
		t.Helper()
		h.raw(consensus.RetainCommit(first, 0))
		if got := h.core.Meta().Mark.First; got != want {
			t.Errorf("retained from %d, want %d", got, want)
		}
	}
	do("9: ok ok ok", register(20, "4a"), register(20, "6b"), register(20, "4c"))
	do("error exists", register(21, "2x")) // leaves no pin
	retain(3, 3)
	retain(9, 4)
	do("error compacted", register(20, "2late"))
	do("9: ok", register(22, "4a"))
	h.reopen(true)
	retain(9, 4) // c's is still there
	do("9: ok", register(22, "4c"))
	retain(9, 6)
	retain(2, 6) // never back
	do("9: ok", register(22, "6b"))
	retain(10, 10)
	v := h.core.View()
	defer v.Close()
	if _, err := v.Journal().Get(9); !isCompacted(err, 10) {
		t.Errorf("got %v, want compacted", err)
	}
}

func isCompacted(err error, first event.Position) bool {
	var e *event.Error
	return errors.As(err, &e) && e.Code == event.CodeCompacted && e.First == first
}

// What holds retention back is seen by whose pins are in its way.
func TestPinsAreListedUpToAPosition(t *testing.T) {
	t.Parallel()
	h := newHarness(t, registers{}, keeper{})
	for _, id := range []string{"1", "2", "3", "4", "5"} {
		h.apply(alone(add("s", id)))
	}
	for _, pin := range []string{"4a", "2b", "2a", "5z"} {
		h.apply(alone(register(20, pin)))
	}
	v := h.core.View()
	defer v.Close()
	list := func(machine string, after consensus.Pin, below event.Position) string {
		t.Helper()
		text := ""
		for pin, err := range v.Pins(machine, after, below) {
			if err != nil {
				t.Fatal(err)
			}
			text += fmt.Sprintf("%d%s ", pin.Position, pin.Name)
		}
		return text
	}
	for _, c := range []struct {
		machine string
		after   consensus.Pin
		below   event.Position
		want    string
	}{
		{"keeper", consensus.Pin{}, 9, "2a 2b 4a 5z "},
		{"keeper", consensus.Pin{}, 5, "2a 2b 4a "},
		{"keeper", consensus.Pin{Position: 2, Name: []byte("a")}, 5, "2b 4a "},
		{"keeper", consensus.Pin{}, 2, ""},
		{"registers", consensus.Pin{}, 9, ""},
	} {
		if got := list(c.machine, c.after, c.below); got != c.want {
			t.Errorf("of %s after %v below %d: %q, want %q", c.machine, c.after, c.below, got, c.want)
		}
	}
}
