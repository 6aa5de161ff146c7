package consensus_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/store"
)

// watcher is a toy Reactor. Each word of operation 50's body is what it does: "+" waits for
// events from now on, "-" no more, "s:id" appends an event, "!" fails. While it waits it
// has a row for each event, under its position, but it is at a loss about those of the
// streams "refused" and "broken".
type watcher struct{ asked *int }

var errTorn = fmt.Errorf("%w: told to break", store.ErrCorrupt)

func (watcher) Name() string                   { return "watcher" }
func (watcher) Ops() (first, last uint32)      { return 50, 50 }
func (watcher) Check(_ uint32, _ []byte) error { return nil }

func (w watcher) Apply(tx *consensus.Tx, _ uint32, body []byte) ([]byte, error) {
	for _, word := range strings.Fields(string(body)) {
		switch word {
		case "+":
			tx.Put([]byte("waits"), []byte{1})
			tx.React()
		case "-":
			tx.Delete([]byte("waits"))
		case "!":
			return nil, event.Errorf(event.CodeExists, "told to fail")
		default:
			if _, err := (echo{}).Apply(tx.In("echo"), 30, []byte(word+":")); err != nil {
				return nil, err
			}
		}
	}
	return nil, nil
}

func (w watcher) Reacts(tx *consensus.Tx) (bool, error) {
	*w.asked++
	row, err := tx.Get([]byte("waits"))
	return row != nil, err
}

func (watcher) Appended(tx *consensus.Tx, e consensus.Appended) error {
	switch e.Stream {
	case "refused":
		return event.Errorf(event.CodeInvalid, "told to refuse")
	case "broken":
		return errTorn
	}
	if row, err := tx.Get([]byte("waits")); row == nil || err != nil {
		return err
	}
	h, err := event.ScanHeader(e.Event)
	if err != nil {
		return err
	}
	tx.Put([]byte("at "+e.Position.String()), []byte(e.Stream+" "+string(h.ID)))
	return nil
}

// reactions renders the rows that reactions made: "1 stream id, ...".
func (h *harness) reactions() string {
	h.Helper()
	v := h.core.View()
	defer v.Close()
	it := v.Scan("watcher", []byte("at "), []byte("at!"), false)
	defer it.Close()
	var list []string
	for it.Next() {
		list = append(list, strings.TrimPrefix(string(it.Key()), "at ")+" "+string(it.Value()))
	}
	return strings.Join(list, ", ")
}

func newWatched(t *testing.T) (*harness, *int) {
	t.Helper()
	asked := new(int)
	return newHarness(t, registers{}, echo{}, watcher{asked}), asked
}

func TestMachineReactsToEventsInTheirCommit(t *testing.T) {
	t.Parallel()
	h, _ := newWatched(t)
	h.one(alone(add("a", "1")))
	h.one(alone(register(50, "+")))
	h.one(alone(add("a", "2"), register(30, "b:3:x c:4:x"), add("a", "2"), register(30, "b:3:x"))) // by whomever; a duplicate is none
	h.one(alone(register(50, "d:5 - d:6")))
	h.one(alone(add("a", "7")))
	if got := h.reactions(); got != "2 a 2, 3 b 3, 4 c 4, 5 d 5" {
		t.Errorf("reactions: %s", got)
	}
	h.reopen(true)
	h.one(alone(register(50, "+")))
	h.reopen(false)
	h.one(alone(add("a", "8")))
	if got := h.reactions(); got != "2 a 2, 3 b 3, 4 c 4, 5 d 5, 8 a 8" {
		t.Errorf("reactions after reopening: %s", got)
	}
}

// While a machine waits for nothing, an entry costs one question, and without events none.
func TestMachineIsAskedOnceAnEntry(t *testing.T) {
	t.Parallel()
	h, asked := newWatched(t)
	h.apply(alone(add("a", "1"), add("a", "2")), alone(add("a", "3")), alone(register(30, "a:4:x")))
	h.one(alone(register(32, "k")))
	if *asked != 1 {
		t.Errorf("asked %d times, want 1", *asked)
	}
	h.apply(alone(add("a", "5")), alone(register(50, "+")), alone(add("a", "6")), alone(add("a", "7")))
	h.apply(alone(add("a", "8")), alone(add("a", "9")))
	if *asked != 3 {
		t.Errorf("asked %d times, want 3", *asked)
	}
	if got := h.reactions(); got != "6 a 6, 7 a 7, 8 a 8, 9 a 9" {
		t.Errorf("reactions: %s", got)
	}
}

func TestReactionsAreTakenBackWithTheirCommit(t *testing.T) {
	t.Parallel()
	h, _ := newWatched(t)
	// What a failed operation waited for, nothing reacts to.
	h.apply(alone(add("a", "1"), register(50, "+ a:2 !")), alone(add("a", "3")))
	h.apply(alone(register(50, "+"), add("a", "4"), register(50, "!")), alone(add("a", "5")))
	if got := h.reactions(); got != "" || h.core.Meta().Mark.Last != 2 {
		t.Errorf("reactions: %s; the journal ends at %d", got, h.core.Meta().Mark.Last)
	}
	h.one(alone(register(50, "+")))
	h.one(alone(add("b", "6"), at(9, add("b", "7"))))
	h.one(alone(register(30, "b:8:x"), register(31, "b:9:x")))
	if got := h.reactions(); got != "" {
		t.Errorf("reactions: %s", got)
	}
	h.one(each(alone(add("c", "10"), register(31, "c:11:x"), at(9, add("c", "12")), register(50, "c:13 !"), register(33, "c:14:x !\nc:15:x"))))
	if got := h.reactions(); got != "3 c 10, 4 c 15" {
		t.Errorf("reactions of each: %s", got)
	}
}

// That a machine waits for nothing is taken back too, where that is what failed.
func TestWaitThatWasTakenBackIsWaitedForAgain(t *testing.T) {
	t.Parallel()
	h, _ := newWatched(t)
	h.one(alone(register(50, "+")))
	h.apply(alone(register(50, "-"), add("a", "1"), register(50, "!")), alone(add("a", "2")))
	h.apply(each(alone(register(50, "- a:3 !"), add("a", "4"))))
	if got := h.reactions(); got != "1 a 2, 2 a 4" {
		t.Errorf("reactions: %s", got)
	}
}

// A machine that cannot go on is no reason to refuse an event: the node stops.
func TestErrorOfAReactionStopsTheNode(t *testing.T) {
	t.Parallel()
	for stream, want := range map[string]error{"refused": nil, "broken": store.ErrCorrupt} {
		t.Run(stream, func(t *testing.T) {
			t.Parallel()
			for _, op := range []string{"append", "operation"} {
				h, _ := newWatched(t)
				h.one(alone(register(50, "+")))
				commit := alone(add(stream, "1"))
				if op == "operation" {
					commit = each(alone(register(30, stream+":1:x")))
				}
				outcomes, err := h.try(h.seal(commit))
				if err == nil || outcomes != nil || !strings.Contains(err.Error(), "watcher reacts to position 1") {
					t.Errorf("%s: %v", op, err)
				}
				if want != nil && !errors.Is(err, want) {
					t.Errorf("%s: %v, want %v", op, err, want)
				}
			}
		})
	}
}
