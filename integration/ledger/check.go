package ledger

import (
	"fmt"
	"slices"
	"strings"

	"github.com/edri-io/edri/event"
)

// History is one node's whole history, in the order in which it was read.
type History struct {
	Node   string
	Events []event.Recorded
	// First is where it begins, as retention has left it; 0 stands for 1. What was
	// acknowledged below is gone rightly.
	First event.Position
}

// Report is what Check found.
type Report struct {
	Sent, Acknowledged int
	Nodes              []NodeReport
	// Equal says that all histories are the same, event for event.
	Equal bool
}

// NodeReport is what Check found in one history.
type NodeReport struct {
	Node       string
	Stored     int
	Lost       int // acknowledged and not there
	Duplicated int // there more than once, the further times counted
	Wrong      int // everything else: see Problems
	// Problems describes the first of what is lost, duplicated or wrong.
	Problems []string
}

const maxProblems = 10

// OK reports whether nothing at all was found.
func (r Report) OK() bool {
	return r.Equal && !slices.ContainsFunc(r.Nodes, func(n NodeReport) bool {
		return n.Lost != 0 || n.Duplicated != 0 || n.Wrong != 0
	})
}

// String lists what was found, one line for each node and problem.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "sent %d, acknowledged %d, histories equal: %v\n", r.Sent, r.Acknowledged, r.Equal)
	for _, n := range r.Nodes {
		fmt.Fprintf(&b, "%s: stored %d, lost %d, duplicated %d, wrong %d\n", n.Node, n.Stored, n.Lost, n.Duplicated, n.Wrong)
		for _, p := range n.Problems {
			fmt.Fprintf(&b, "  %s\n", p)
		}
	}
	return b.String()
}

// Check holds histories to the ledger. Writers have ended; each history was
// read at or after the last acknowledgement.
func (l *Ledger) Check(histories ...History) Report {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := Report{Sent: len(l.entries), Acknowledged: l.acked, Equal: true}
	for i, h := range histories {
		r.Nodes = append(r.Nodes, l.checkLocked(h))
		r.Equal = r.Equal && max(h.First, 1) == max(histories[0].First, 1) && sameEvents(histories[0].Events, histories[i].Events)
	}
	return r
}

func (l *Ledger) checkLocked(h History) NodeReport {
	n := NodeReport{Node: h.Node, Stored: len(h.Events)}
	first := max(h.First, 1)
	seen := make(map[Key]event.Position, len(h.Events))
	revisions := map[string]event.Revision{}
	latestSent := uint64(0) // of the events before, on the ledger's clock
	for i := range h.Events {
		e := &h.Events[i]
		key := Key{e.Source, e.ID}
		if want := first + event.Position(i); e.Position != want {
			n.wrong("event %v stands at position %d, want %d", key, e.Position, want)
		}
		if _, known := revisions[e.Stream]; !known && first > 1 {
			revisions[e.Stream] = e.Revision - 1 // those before are gone
		}
		revisions[e.Stream]++
		if want := revisions[e.Stream]; e.Revision != want {
			n.wrong("event %v at position %d has revision %d of %q, want %d", key, e.Position, e.Revision, e.Stream, want)
		}
		if earlier, again := seen[key]; again {
			n.Duplicated++
			n.problem("event %v stands at positions %d and %d", key, earlier, e.Position)
			continue
		}
		seen[key] = e.Position
		latestSent = max(latestSent, l.compareLocked(&n, key, e, latestSent))
	}
	for key, known := range l.entries {
		if _, there := seen[key]; known.ackedAt != 0 && !there && !(0 < known.position && known.position < first) {
			n.Lost++
			n.problem("event %v is lost, acknowledged at position %d", key, known.position)
		}
	}
	return n
}

// compareLocked holds one stored event to what is known of it and returns when it
// was sent. latestSent is when the latest sent of all events before it was.
func (l *Ledger) compareLocked(n *NodeReport, key Key, e *event.Recorded, latestSent uint64) uint64 {
	known := l.entries[key]
	if known == nil {
		n.wrong("event %v at position %d was never sent", key, e.Position)
		return 0
	}
	if digest(e.Event) != known.digest {
		n.wrong("event %v at position %d is not what was sent", key, e.Position)
	}
	if known.ackedAt == 0 {
		return known.sent
	}
	if known.position != 0 && known.position != e.Position {
		n.wrong("event %v stands at position %d, acknowledged at %d", key, e.Position, known.position)
	}
	if known.revision != 0 && known.revision != e.Revision {
		n.wrong("event %v has revision %d, acknowledged as %d", key, e.Revision, known.revision)
	}
	if known.ackedAt < latestSent {
		n.wrong("event %v at position %d stands behind one that was sent after its acknowledgement", key, e.Position)
	}
	return known.sent
}

func (n *NodeReport) wrong(format string, args ...any) {
	n.Wrong++
	n.problem(format, args...)
}

func (n *NodeReport) problem(format string, args ...any) {
	if len(n.Problems) < maxProblems {
		n.Problems = append(n.Problems, fmt.Sprintf(format, args...))
	}
}

func sameEvents(a, b []event.Recorded) bool {
	return slices.EqualFunc(a, b, func(x, y event.Recorded) bool {
		return x.Position == y.Position && x.Revision == y.Revision && x.Stream == y.Stream &&
			x.Stamp.Equal(y.Stamp) && digest(x.Event) == digest(y.Event)
	})
}
