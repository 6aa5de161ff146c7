package consensus_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// teller is a state machine that notes each word of operation 40's body, one that ends with
// "!" in an attempt that fails; 41 does so and fails, 42 notes for the machine "listener".
type teller struct {
	name        string
	first, last uint32
	heard       *[]string
}

func newTeller(name string, first, last uint32) teller {
	return teller{name: name, first: first, last: last, heard: &[]string{}}
}

func (t teller) Name() string                   { return t.name }
func (t teller) Ops() (first, last uint32)      { return t.first, t.last }
func (t teller) Check(_ uint32, _ []byte) error { return nil }

func (t teller) Apply(tx *consensus.Tx, op uint32, body []byte) ([]byte, error) {
	if op == 42 {
		tx = tx.In("listener")
	}
	for _, word := range strings.Fields(string(body)) {
		word, fails := strings.CutSuffix(word, "!")
		_ = tx.Attempt(func(tx *consensus.Tx) error { // what it returns was told here
			tx.Note(word)
			if fails {
				return event.Errorf(event.CodeExists, "told to fail")
			}
			return nil
		})
	}
	if op == 41 {
		return nil, event.Errorf(event.CodeExists, "told to fail")
	}
	return nil, nil
}

func (t teller) Observe(_ uint64, notes []any) {
	*t.heard = append(*t.heard, strings.Trim(fmt.Sprint(notes), "[]"))
	clear(notes) // the slice is nobody's afterwards
}

// told returns what was observed since the last call, "; " between batches.
func (t teller) told() string {
	defer func() { *t.heard = nil }()
	return strings.Join(*t.heard, "; ")
}

func TestObserversAreToldWhatTookEffect(t *testing.T) {
	t.Parallel()
	a, b := newTeller("teller", 40, 42), newTeller("listener", 43, 43)
	h := newHarness(t, registers{}, echo{}, a, b)
	for name, c := range map[string]struct {
		commits     []*edriv1.Commit
		told, heard string
	}{
		"in order":                {[]*edriv1.Commit{alone(register(40, "1 2"), register(40, "3")), alone(register(40, "4"))}, "1 2 3 4", ""},
		"not of a failed op":      {[]*edriv1.Commit{each(alone(register(40, "1"), register(41, "2 3"), register(40, "4")))}, "1 4", ""},
		"not of a failed commit":  {[]*edriv1.Commit{alone(register(40, "1"), register(41, "2")), alone(register(40, "3"))}, "3", ""},
		"not of a failed attempt": {[]*edriv1.Commit{alone(register(40, "1 2! 3"))}, "1 3", ""},
		"nothing":                 {[]*edriv1.Commit{alone(register(41, "1")), alone(add("s", "1"))}, "", ""},
		"of another machine":      {[]*edriv1.Commit{alone(register(42, "1"), register(40, "2"), register(43, "3"))}, "2", "1 3"},
	} {
		h.apply(c.commits...)
		if got := a.told(); got != "" {
			t.Errorf("%s: told %q before Notify", name, got)
		}
		h.core.Notify()
		if told, heard := a.told(), b.told(); told != c.told || heard != c.heard {
			t.Errorf("%s: the teller was told %q and the listener %q, want %q and %q", name, told, heard, c.told, c.heard)
		}
		h.core.Notify()
		if told := a.told(); told != "" {
			t.Errorf("%s: told %q twice", name, told)
		}
	}
}

// A machine that observes nothing may note what it likes.
func TestNotesOfWhoDoesNotObserveAreDropped(t *testing.T) {
	t.Parallel()
	a := newTeller("teller", 40, 42)
	h := newHarness(t, registers{}, mute{newTeller("listener", 43, 43)}, a)
	h.apply(alone(register(42, "1"), register(43, "2")))
	h.core.Notify()
	if told := a.told(); told != "" {
		t.Errorf("told %q", told)
	}
}

// mute is a teller without Observe.
type mute struct{ consensus.StateMachine }
