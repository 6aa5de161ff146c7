package ledger

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edri-io/edri/event"
)

func sample(n int) event.Event {
	return event.Event{ID: fmt.Sprint("e", n), Source: "/s", Type: "t", Data: []byte(fmt.Sprint(n))}
}

func recorded(position int, stream string, revision, n int) event.Recorded {
	return event.Recorded{
		Event: sample(n), Position: event.Position(position), Revision: event.Revision(revision),
		Stream: stream, Stamp: time.Unix(int64(position), 0),
	}
}

// three events, one after the other, each acknowledged before the next is sent.
func written() *Ledger {
	l := New()
	for n := 1; n <= 3; n++ {
		l.Sent(sample(n))
		l.Acknowledged(Key{"/s", fmt.Sprint("e", n)}, event.Position(n), event.Revision(n))
	}
	return l
}

func whole() []event.Recorded {
	return []event.Recorded{recorded(1, "a", 1, 1), recorded(2, "a", 2, 2), recorded(3, "a", 3, 3)}
}

func TestWholeHistoryPasses(t *testing.T) {
	t.Parallel()
	r := written().Check(History{Node: "n1", Events: whole()}, History{Node: "n2", Events: whole()})
	if !r.OK() || r.Sent != 3 || r.Acknowledged != 3 || r.Nodes[1].Stored != 3 {
		t.Errorf("not accepted:\n%s", r)
	}
}

func TestWhatIsUnknownMayBeThereOrNot(t *testing.T) {
	t.Parallel()
	l := written()
	l.Sent(sample(4))
	if r := l.Check(History{Node: "n1", Events: whole()}); !r.OK() {
		t.Errorf("without it:\n%s", r)
	}
	if r := l.Check(History{Node: "n1", Events: append(whole(), recorded(4, "b", 1, 4))}); !r.OK() {
		t.Errorf("with it:\n%s", r)
	}
}

func TestEachDefectIsFound(t *testing.T) {
	t.Parallel()
	concurrent := func() *Ledger { // positions were not told, as by an import
		l := New()
		for n := 1; n <= 2; n++ {
			l.Sent(sample(n))
			l.Acknowledged(Key{"/s", fmt.Sprint("e", n)}, 0, 0)
		}
		return l
	}
	for name, tc := range map[string]struct {
		ledger                  *Ledger
		change                  func(h []event.Recorded) []event.Recorded
		lost, duplicated, wrong bool
		says                    string
	}{
		"last one lost": {
			change: func(h []event.Recorded) []event.Recorded { return h[:2] },
			lost:   true, says: "e3} is lost",
		},
		"doubled at the end": {
			change:     func(h []event.Recorded) []event.Recorded { return append(h, recorded(4, "a", 4, 2)) },
			duplicated: true, says: "positions 2 and 4",
		},
		"gap in positions": {
			change: func(h []event.Recorded) []event.Recorded { h[2].Position = 4; return h },
			wrong:  true, says: "position 4, want 3",
		},
		"gap in revisions": {
			change: func(h []event.Recorded) []event.Recorded { h[2].Revision = 4; return h },
			wrong:  true, says: "revision 4",
		},
		"moved since its acknowledgement": {
			change: func(h []event.Recorded) []event.Recorded {
				return []event.Recorded{recorded(1, "a", 1, 2), recorded(2, "a", 2, 1), h[2]}
			},
			wrong: true, says: "acknowledged at",
		},
		"order of acknowledgements not kept": {
			ledger: concurrent(),
			change: func([]event.Recorded) []event.Recorded {
				return []event.Recorded{recorded(1, "a", 1, 2), recorded(2, "b", 1, 1)}
			},
			wrong: true, says: "sent after its acknowledgement",
		},
		"other content": {
			change: func(h []event.Recorded) []event.Recorded { h[1].Data = []byte("forged"); return h },
			wrong:  true, says: "not what was sent",
		},
		"never sent": {
			change: func(h []event.Recorded) []event.Recorded { return append(h, recorded(4, "b", 1, 9)) },
			wrong:  true, says: "never sent",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := tc.ledger
			if l == nil {
				l = written()
			}
			r := l.Check(History{Node: "n1", Events: tc.change(whole())})
			n := r.Nodes[0]
			if r.OK() || n.Lost > 0 != tc.lost || n.Duplicated > 0 != tc.duplicated || n.Wrong > 0 != tc.wrong {
				t.Errorf("want lost %v, duplicated %v, wrong %v; got\n%s", tc.lost, tc.duplicated, tc.wrong, r)
			}
			if !strings.Contains(strings.Join(n.Problems, "\n"), tc.says) {
				t.Errorf("no problem says %q:\n%s", tc.says, r)
			}
		})
	}
}

func TestDifferentHistoriesAreNotEqual(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(h []event.Recorded){
		"stamp":  func(h []event.Recorded) { h[0].Stamp = h[0].Stamp.Add(1) },
		"stream": func(h []event.Recorded) { h[0].Stream = "b" },
		"data":   func(h []event.Recorded) { h[0].Data = []byte("x") },
	} {
		other := slices.Clone(whole())
		change(other)
		if written().Check(History{Node: "n1", Events: whole()}, History{Node: "n2", Events: other}).Equal {
			t.Errorf("histories that differ in %s count as equal", name)
		}
	}
}

func TestWhatRetentionEndedIsNotLost(t *testing.T) {
	t.Parallel()
	left := whole()[1:]
	if r := written().Check(History{Node: "n1", Events: left, First: 2}, History{Node: "n2", Events: left, First: 2}); !r.OK() {
		t.Errorf("not accepted:\n%s", r)
	}
	if r := written().Check(History{Node: "n1", Events: left[1:], First: 2}); r.OK() || r.Nodes[0].Lost != 1 {
		t.Errorf("the first that is left is not there, and that is accepted:\n%s", r)
	}
	if r := written().Check(History{Node: "n1", Events: left, First: 2}, History{Node: "n2", Events: whole()}); r.Equal {
		t.Error("histories that begin at different positions are called equal")
	}
}
