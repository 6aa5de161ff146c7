package consensus_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// model executes commits as DESIGN says, with maps and slices and no thought of
// speed. It predicts results as brief renders them.
type model struct {
	streams   map[string]int
	journal   []modelEvent
	window    int
	floor     int // index of the first event within
	sessions  map[uint64]*modelSession
	producers map[string]uint64
	numbers   uint64 // last session id
	first     int    // position; 0 before the first event
	purges    map[string]int
}

type modelEvent struct{ stream, id, content string }

type modelSession struct {
	producer bool
	last     uint64
	kept     []modelResult
}

type modelResult struct {
	first, sequence uint64
	text            string
}

func newModel() *model {
	return &model{streams: map[string]int{}, window: 1_000_000,
		sessions: map[uint64]*modelSession{}, producers: map[string]uint64{}, purges: map[string]int{}}
}

func (m *model) apply(c *edriv1.Commit) string {
	if len(c.Epoch) > 0 && string(c.Epoch) != string(epoch[:]) {
		return "error epoch_changed"
	}
	if c.Session == 0 {
		return m.execute(c)
	}
	s := m.sessions[c.Session]
	if s == nil {
		return "error session_expired"
	}
	first := c.FirstSequence
	if first == 0 {
		first = c.Sequence
	}
	for len(s.kept) > 0 && s.kept[0].sequence <= c.AckedThrough {
		s.kept = s.kept[1:]
	}
	switch {
	case first == s.last+1:
		s.last = c.Sequence
		text := m.execute(c)
		s.kept = append(s.kept, modelResult{first, c.Sequence, text})
		return text
	case first > s.last:
		return "error unavailable"
	case c.Sequence > s.last:
		return "error invalid"
	}
	for _, r := range s.kept {
		switch {
		case r.first == first && r.sequence == c.Sequence:
			return r.text
		case r.first <= c.Sequence && c.Sequence <= r.sequence:
			return "error invalid"
		}
	}
	return "error outcome_unknown"
}

func (m *model) execute(c *edriv1.Commit) string {
	before := *m
	before.streams = map[string]int{}
	for k, v := range m.streams {
		before.streams[k] = v
	}
	results, failures, failed := "", "", ""
	for i, o := range c.Ops {
		text, failure := m.op(c, o)
		if failure != "" {
			failed = failure
			failures += fmt.Sprintf("; %d %s", i, failure)
			text = "(" + failure + ")"
		}
		results += " " + text
	}
	if failed != "" && !c.Each {
		m.streams, m.journal = before.streams, before.journal
		if len(c.Ops) == 1 {
			return "error " + failed
		}
		return "error check_failed" + failures
	}
	m.floor = max(m.floor, len(m.journal)-m.window)
	return fmt.Sprint(len(m.journal), ":") + results
}

func (m *model) op(c *edriv1.Commit, o *edriv1.Op) (text, failure string) {
	switch v := o.Op.(type) {
	case *edriv1.Op_Append:
		return m.append(v.Append)
	case *edriv1.Op_OpenSession:
		m.numbers++
		m.sessions[m.numbers] = &modelSession{}
		return fmt.Sprint("session ", m.numbers), ""
	case *edriv1.Op_OpenProducer:
		id, ok := m.producers[v.OpenProducer.Name]
		if !ok {
			m.numbers++
			id = m.numbers
			m.producers[v.OpenProducer.Name] = id
			m.sessions[id] = &modelSession{producer: true}
		}
		return fmt.Sprint("producer ", id, " at ", m.sessions[id].last), ""
	default:
		if m.sessions[c.Session].producer {
			return "", "invalid"
		}
		delete(m.sessions, c.Session)
		return "ok", ""
	}
}

func (m *model) append(a *edriv1.Append) (text, failure string) {
	e := modelEvent{a.Stream, a.Event.Id, string(a.Event.GetBinaryData())}
	for i := m.floor; i < len(m.journal); i++ {
		if m.journal[i].id != e.id {
			continue
		}
		if m.journal[i].content != e.content {
			return "", fmt.Sprint("id_conflict at ", i+1)
		}
		return fmt.Sprint("dup ", i+1), ""
	}
	revision := m.streams[e.stream]
	expected := event.ExpectAny
	switch v := a.Expected.(type) {
	case *edriv1.Append_Exists:
		expected = event.ExpectExists
	case *edriv1.Append_Revision:
		expected = event.Expected(v.Revision)
	}
	if expected == event.ExpectExists && revision == 0 || expected >= 0 && int(expected) != revision {
		return "", fmt.Sprintf("revision_conflict %s expected %d actual %d", e.stream, expected, revision)
	}
	m.streams[e.stream]++
	m.journal = append(m.journal[:len(m.journal):len(m.journal)], e)
	return fmt.Sprint(len(m.journal), "@", revision+1), ""
}

func (m *model) setWindow(size int) {
	m.window = size
	m.floor = max(m.floor, len(m.journal)-size)
}

// retain ends what is before a position.
func (m *model) retain(first int) string {
	switch {
	case first > len(m.journal)+1:
		return "error invalid"
	case len(m.journal) > 0:
		m.first = max(m.first, first)
	}
	for stream, through := range m.purges {
		if through < m.first {
			delete(m.purges, stream)
		}
	}
	return fmt.Sprint(len(m.journal), ": ok")
}

// purge hides a stream's events up to a position.
func (m *model) purge(stream string, before, through int) string {
	switch last := m.lastOf(stream); {
	case last == 0:
		return "error not_found"
	case before > m.streams[stream]+1 || through > last:
		return "error invalid"
	case through >= max(m.first, 1):
		m.purges[stream] = max(m.purges[stream], through)
	}
	return fmt.Sprint(len(m.journal), ": ok")
}

func (m *model) lastOf(stream string) (position int) {
	for i, e := range m.journal {
		if e.stream == stream {
			position = i + 1
		}
	}
	return position
}

// readable returns the positions that reads return.
func (m *model) readable() []event.Position {
	var list []event.Position
	for i, e := range m.journal {
		if p := i + 1; p >= m.first && p > m.purges[e.stream] {
			list = append(list, event.Position(p))
		}
	}
	return list
}

// heads returns the streams by name.
func (m *model) heads() []consensus.StreamHead {
	var list []consensus.StreamHead
	for name, revision := range m.streams {
		list = append(list, consensus.StreamHead{
			Name: name, Revision: event.Revision(revision), Position: event.Position(m.lastOf(name)),
		})
	}
	slices.SortFunc(list, func(a, b consensus.StreamHead) int { return strings.Compare(a.Name, b.Name) })
	return list
}
