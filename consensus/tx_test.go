package consensus_test

import (
	"strings"
	"testing"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// echo is a toy state machine that appends events: operation 30 one for each word
// of its body, 31 does the same and then fails, 32 writes a register, 33 attempts 30 with
// one line of its body after the other, and those that fail leave a register instead.
type echo struct{}

func (echo) Name() string               { return "echo" }
func (echo) Ops() (first, last uint32)  { return 30, 33 }
func (echo) Check(uint32, []byte) error { return nil }

func (echo) Apply(tx *consensus.Tx, op uint32, body []byte) ([]byte, error) {
	if op == 32 {
		tx.In("registers").Put(body, []byte("from the echo"))
		return nil, nil
	}
	if op == 33 {
		return nil, attemptLines(tx, string(body))
	}
	tx.Incarnation()
	for _, word := range strings.Fields(string(body)) {
		stream, data, _ := strings.Cut(word, ":")
		id, data, _ := strings.Cut(data, ":")
		e := event.Event{ID: id, Source: "/echo", Type: "echoed", Data: []byte(data)}
		position, revision, err := tx.Append(stream, event.ExpectAny, event.AppendEvent(nil, &e))
		if err != nil {
			return nil, err
		}
		tx.Put([]byte(id), []byte(position.String()+"@"+revision.String()))
	}
	if op == 31 {
		return nil, event.Errorf(event.CodeExists, "told to fail")
	}
	return nil, nil
}

// attemptLines attempts an operation 30 for each line, and within it fails where the line
// ends with a "!", after a change of another machine's rows.
func attemptLines(tx *consensus.Tx, body string) error {
	for line := range strings.Lines(body) {
		line, fails := strings.CutSuffix(strings.TrimSpace(line), "!")
		err := tx.Attempt(func(tx *consensus.Tx) error {
			if _, err := (echo{}).Apply(tx, 30, []byte(line)); err != nil {
				return err
			}
			tx.In("registers").Put([]byte("last"), []byte(line))
			if fails {
				return event.Errorf(event.CodeExists, "told to fail")
			}
			return nil
		})
		if err != nil {
			tx.Put([]byte("failed"), []byte(event.CodeOf(err)))
		}
	}
	return nil
}

func (h *harness) echoed(id string) string {
	h.Helper()
	v := h.core.View()
	defer v.Close()
	b, err := v.Get("echo", []byte(id))
	if err != nil {
		h.Fatal(err)
	}
	return string(b)
}

func TestStateMachineAppendsEvents(t *testing.T) {
	t.Parallel()
	h := newHarness(t, registers{}, echo{})
	h.raw(h.seal(alone(add("a", "1"), register(30, "a:e1:x b:e2:y a:e3:z"), add("a", "2"))))
	for id, want := range map[string]string{"e1": "2@2", "e2": "3@1", "e3": "4@3"} {
		if got := h.echoed(id); got != want {
			t.Errorf("%s stands at %q, want %q", id, got, want)
		}
	}
	if got := brief(h.one(alone(at(4, add("a", "3"))))); got != "6: 6@5" {
		t.Errorf("the next append: %q", got)
	}
	// What stands there already is not appended again, within a commit and after it.
	h.raw(h.seal(alone(register(30, "a:e1:x a:e4:x a:e4:x"))))
	if h.echoed("e1") != "2@0" || h.echoed("e4") != "7@0" || h.core.Meta().Mark.Last != 7 {
		t.Errorf("e1 %q, e4 %q, the journal ends at %d", h.echoed("e1"), h.echoed("e4"), h.core.Meta().Mark.Last)
	}
	h.reopen(true)
	if h.core.Meta().Mark.Last != 7 || h.echoed("e3") != "4@3" {
		t.Errorf("after reopening the journal ends at %d, e3 %q", h.core.Meta().Mark.Last, h.echoed("e3"))
	}
}

// An operation that fails takes back its own events alone, even where many
// events of its commit came before.
func TestFailedOperationTakesItsEventsBack(t *testing.T) {
	t.Parallel()
	h := newHarness(t, registers{}, echo{})
	many := &strings.Builder{}
	for _, c := range "abcdefghijklmnopqrstuvwxyz" {
		many.WriteString(" s:" + string(c) + ":x")
	}
	r := h.one(each(alone(register(30, many.String()), register(31, "s:e1:x t:e2:x"), register(30, "s:e1:y"), add("s", "1"), register(30, "s:a:other"))))
	if got := brief(r); got != "28: ok (exists) ok 28@28 (id_conflict at 1)" {
		t.Fatalf("got %q", got)
	}
	if h.echoed("e1") != "27@27" || h.echoed("e2") != "" {
		t.Errorf("e1 %q, e2 %q", h.echoed("e1"), h.echoed("e2"))
	}
	if s := h.openSession(); s != 3 {
		t.Errorf("the next number is %d, want 3", s)
	}
	// Without each, the whole commit is taken back.
	h.one(alone(register(30, "s:e5:x"), register(31, "s:e6:x")))
	if h.core.Meta().Mark.Last != 28 || h.echoed("e5") != "" {
		t.Errorf("the journal ends at %d, e5 %q", h.core.Meta().Mark.Last, h.echoed("e5"))
	}
	if got := brief(h.one(alone(register(30, "s:e5:x")))); got != "29: ok" || h.echoed("e5") != "29@29" {
		t.Errorf("again: %q, e5 %q", got, h.echoed("e5"))
	}
}

func TestStateMachineCannotAppendWhatClientsCannot(t *testing.T) {
	t.Parallel()
	h := newHarness(t, registers{}, echo{})
	for name, body := range map[string]string{
		"an event without an id":   "s::x",
		"too long a stream's name": strings.Repeat("s", 256) + ":e:x",
		"too long an id":           "s:" + strings.Repeat("i", 5000) + ":",
	} {
		if got := brief(h.one(alone(register(30, body)))); got != "error invalid" {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

func TestStateMachineReachesAnother(t *testing.T) {
	t.Parallel()
	h := newHarness(t, registers{}, echo{})
	h.raw(h.seal(alone(register(32, "k"))))
	v := h.core.View()
	defer v.Close()
	if b, err := v.Get("registers", []byte("k")); err != nil || string(b) != "from the echo" {
		t.Errorf("got %q, error %v", b, err)
	}
}

// An attempt that fails leaves nothing, of whatever machine, and what comes after it in the
// same operation finds everything as it was.
func TestFailedAttemptLeavesNothing(t *testing.T) {
	t.Parallel()
	h := newHarness(t, registers{}, echo{})
	many := &strings.Builder{} // more than are compared one by one
	for _, c := range "abcdefghijklmnopqrstuvwxyz" {
		many.WriteString("s:" + string(c) + ":x ")
	}
	lines := []string{many.String(), "s:e1:x t:e2:x !", "s:e1:y", "u:e3:x s:e1:z", "t:e4:x"}
	r := h.one(alone(register(33, strings.Join(lines, "\n")), register(32, "k")))
	if r.Error != nil {
		t.Fatal(r.Error)
	}
	for id, want := range map[string]string{"z": "26@26", "e1": "27@27", "e2": "", "e3": "", "e4": "28@1", "failed": "id_conflict"} {
		if got := h.echoed(id); got != want {
			t.Errorf("%s stands at %q, want %q", id, got, want)
		}
	}
	v := h.core.View()
	b, err := v.Get("registers", []byte("last"))
	if err != nil || string(b) != "t:e4:x" {
		t.Errorf("the other machine has %q, error %v", b, err)
	}
	v.Close()
	// Three attempts took one number each.
	if s := h.openSession(); s != 4 {
		t.Errorf("the next number is %d, want 4", s)
	}
	// The operation that fails takes its attempts back too.
	if got := brief(h.one(alone(register(33, "s:e5:x"), register(31, "s:e6:x")))); h.echoed("e5") != "" {
		t.Errorf("%s, e5 %q", got, h.echoed("e5"))
	}
	h.reopen(true)
	if h.core.Meta().Mark.Last != 28 || h.echoed("e4") != "28@1" {
		t.Errorf("after reopening the journal ends at %d, e4 %q", h.core.Meta().Mark.Last, h.echoed("e4"))
	}
}
