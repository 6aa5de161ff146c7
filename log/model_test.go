package log

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/edri-io/edri/event"
)

var (
	someNames = []string{"", "a", "b", "ab", "c/1", "c/10", "é", "zz"}
	someTypes = []string{"t", "t.a", "t.a.b", "t.ab", "u", "u.a"}
)

func drawSpec(t *rapid.T, stamp int64) spec {
	return spec{
		stream:      rapid.SampledFrom(someNames[1:]).Draw(t, "stream"),
		typ:         rapid.SampledFrom(someTypes).Draw(t, "type"),
		subject:     rapid.SampledFrom(someNames).Draw(t, "subject"),
		source:      rapid.SampledFrom([]string{"a", "b", "zz", "src"}).Draw(t, "source"),
		correlation: rapid.SampledFrom(someNames).Draw(t, "correlation"),
		stamp:       stamp,
		data:        rapid.SampledFrom([]int{0, 10, 200, 9000}).Draw(t, "data"),
	}
}

func drawQuery(t *rapid.T, last event.Position, stamp int64) Query {
	q := Query{Reverse: rapid.Bool().Draw(t, "reverse")}
	maybe := func(label string, from []string) string {
		if rapid.IntRange(0, 2).Draw(t, label+"?") > 0 {
			return ""
		}
		return rapid.SampledFrom(from).Draw(t, label)
	}
	q.Stream, q.Subject = maybe("stream", someNames), maybe("subject", someNames)
	q.Source, q.Correlation = maybe("source", someNames), maybe("correlation", someNames)
	q.Type, q.TypePrefix = maybe("type", someTypes), maybe("prefix", []string{"t", "t.", "t.a", "u", "x"})
	if rapid.IntRange(0, 3).Draw(t, "bounded") == 0 {
		q.From = event.Position(rapid.Uint64Range(0, uint64(last)+2).Draw(t, "from"))
		q.To = event.Position(rapid.Uint64Range(0, uint64(last)+2).Draw(t, "to"))
	}
	if rapid.IntRange(0, 3).Draw(t, "timed") == 0 {
		q.Since = rapid.Int64Range(0, stamp+2).Draw(t, "since")
		q.Until = rapid.Int64Range(0, stamp+2).Draw(t, "until")
	}
	return q
}

// journalModel is a journal with the plain slice that it must equal.
type journalModel struct {
	node  *node
	dir   string
	cfg   Config
	j     *Journal
	all   []Record
	marks []Mark // after each record
	state int    // records that the state has durably
	stamp int64

	first  event.Position            // in force
	purges map[string]event.Position // in force
	// What the state has durably of both.
	stateFirst  event.Position
	statePurges map[string]event.Position

	sealRows int
}

func (m *journalModel) close(t *rapid.T) {
	if err := m.j.Close(); err != nil {
		t.Fatal(err)
	}
}

func (m *journalModel) markAt(n int) Mark {
	if n == 0 {
		return Mark{}
	}
	mark := m.marks[n-1]
	mark.First = max(mark.First, m.stateFirst)
	return mark
}

func (m *journalModel) append(t *rapid.T) {
	var batch []Record
	for range rapid.IntRange(1, 12).Draw(t, "count") {
		m.stamp += rapid.Int64Range(0, 2).Draw(t, "later")
		batch = append(batch, m.node.record(drawSpec(t, m.stamp)))
		m.marks = append(m.marks, m.node.mark)
	}
	m.j.Append(batch, m.node.mark)
	m.all = append(m.all, batch...)
}

func (m *journalModel) flush(t *rapid.T) {
	durable := int(m.j.Durable())
	upTo := rapid.IntRange(durable, len(m.all)).Draw(t, "upTo")
	if err := m.j.Flush(event.Position(upTo)); err != nil {
		t.Fatal(err)
	}
	if got := int(m.j.Durable()); got != upTo {
		t.Fatalf("flushed up to %d, want %d", got, upTo)
	}
	if rapid.Bool().Draw(t, "state too") {
		m.state = upTo
		if upTo == len(m.all) { // what is retained belongs to the end
			m.stateFirst, m.statePurges = m.first, maps.Clone(m.purges)
		} else if upTo > 0 {
			m.stateFirst = max(m.stateFirst, m.marks[upTo-1].First)
		}
	}
}

// retain ends the history before a position, anywhere.
func (m *journalModel) retain(t *rapid.T) {
	m.first = max(m.first, event.Position(rapid.IntRange(1, len(m.all)+1).Draw(t, "first")))
	if len(m.all) > 0 {
		m.node.mark.First = m.first
	}
	for _, stream := range slices.Sorted(maps.Keys(m.purges)) {
		if m.purges[stream] < m.first {
			delete(m.purges, stream)
		}
	}
	m.enforce()
}

func (m *journalModel) purge(t *rapid.T) {
	stream := rapid.SampledFrom(someNames[1:]).Draw(t, "purged stream")
	through := event.Position(rapid.IntRange(0, len(m.all)).Draw(t, "through"))
	if through >= m.first && through > m.purges[stream] {
		m.purges[stream] = through
	}
	m.enforce()
}

func (m *journalModel) enforce() {
	var p Purges
	for stream, through := range m.purges {
		p.Set(stream, through)
	}
	m.j.Retain(m.first, &p)
}

// remove deletes what the state says durably is not needed.
func (m *journalModel) remove(t *rapid.T) {
	if err := m.j.Remove(m.markAt(m.state)); err != nil {
		t.Fatal(err)
	}
}

func (m *journalModel) seal(t *rapid.T) {
	if _, err := m.j.SealSome(); err != nil {
		t.Fatal(err)
	}
}

// restart loses what the state does not have.
func (m *journalModel) restart(t *rapid.T) {
	m.close(t)
	m.rewind()
	m.open(t)
}

func (m *journalModel) open(t *rapid.T) {
	var err error
	if m.j, err = Open(m.dir, m.markAt(m.state), m.cfg); err != nil {
		t.Fatal(err)
	}
	m.j.sealRows = m.sealRows
	m.enforce()
}

func (m *journalModel) rewind() {
	m.all, m.marks = m.all[:m.state], m.marks[:m.state]
	m.first, m.purges = max(m.stateFirst, m.markAt(m.state).First, 1), maps.Clone(m.statePurges)
	m.node.mark = m.markAt(m.state)
	m.stamp = m.node.mark.Stamp
	m.node.revisions = map[string]event.Revision{}
	for _, r := range m.all {
		m.node.revisions[r.Stream] = r.Revision
	}
}

func (m *journalModel) want(q Query) []Record {
	var want []Record
	for i := range m.all {
		if r := m.all[i]; q.Matches(r) && r.Position >= m.first && r.Position > m.purges[r.Stream] {
			want = append(want, r)
		}
	}
	if q.Reverse {
		slices.Reverse(want)
	}
	return want
}

// get reads by position.
func (m *journalModel) get(t *rapid.T) {
	if len(m.all) == 0 {
		return
	}
	want := m.all[rapid.IntRange(0, len(m.all)-1).Draw(t, "position")]
	got, err := m.j.View().Get(want.Position)
	begin := max(m.first, m.purges[want.Stream]+1)
	if want.Position < begin {
		if first := compactedAt(err); first == 0 || first > begin {
			t.Fatalf("position %d: got %v, want compacted up to %d", want.Position, err, begin)
		}
		return
	}
	if err != nil || !same(&got, &want) {
		t.Fatalf("position %d: got %+v, %v; want %+v", want.Position, got, err, want)
	}
	v := m.j.View()
	defer v.Close()
	head := event.Position(len(m.all))
	if p, err := v.Find(want.Stream, want.Revision, head); err != nil || p != want.Position {
		t.Fatalf("revision %d of %q found at %d, %v; want %d", want.Revision, want.Stream, p, err, want.Position)
	}
}

// compactedAt returns what a compacted error says is first, 0 for any other.
func compactedAt(err error) event.Position {
	var e *event.Error
	if !errors.As(err, &e) || e.Code != event.CodeCompacted {
		return 0
	}
	return e.First
}

func (m *journalModel) query(t *rapid.T) {
	q := drawQuery(t, event.Position(len(m.all)), m.stamp)
	got, err := collectAll(m.j, q)
	if begin := max(m.first, m.purges[q.Stream]+1); q.From != 0 && q.From < begin {
		if compactedAt(err) != begin || len(got) > 0 {
			t.Fatalf("%+v: got %v, %v; want compacted, first %d", q, positions(got), err, begin)
		}
		return
	}
	if err != nil {
		t.Fatalf("%+v: %v", q, err)
	}
	want := m.want(q)
	if !slices.EqualFunc(got, want, func(a, b Record) bool { return same(&a, &b) }) {
		t.Fatalf("%+v: got %v, want %v", q, positions(got), positions(want))
	}
	if i := rapid.IntRange(0, len(want)).Draw(t, "stop"); i > 0 {
		m.resume(t, q, want, i)
	}
}

// resume reads some records, and the rest with the cursor that this left.
func (m *journalModel) resume(t *rapid.T, q Query, want []Record, n int) {
	v := m.j.View()
	defer v.Close()
	r := v.Read(q)
	for range n {
		r.Next()
	}
	epoch := event.Epoch{1}
	text := EncodeCursor(Cursor{Epoch: epoch, Position: r.Position(), Reverse: q.Reverse, Filter: q.Hash()})
	c, err := ParseCursor(text, epoch)
	if err != nil {
		t.Fatal(err)
	}
	rest, err := c.Resume(q)
	if err != nil {
		t.Fatal(err)
	}
	got, err := collectAll(m.j, rest)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.EqualFunc(got, want[n:], func(a, b Record) bool { return same(&a, &b) }) {
		t.Fatalf("%+v after %d records: got %v, want %v", q, n, positions(got), positions(want[n:]))
	}
}

func TestTheJournalEqualsAModelOverFlushesAndRestarts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	runs := 0
	rapid.Check(t, func(t *rapid.T) {
		runs++
		m := &journalModel{
			node: newNode(rapid.SampledFrom([]int64{600, 5000, math.MaxInt64}).Draw(t, "segment bytes")),
			dir:  filepath.Join(dir, fmt.Sprint(runs)),

			sealRows: rapid.SampledFrom([]int{1, 7, defaultSealRows}).Draw(t, "seal rows"),
			cfg: Config{
				RunBytes: rapid.SampledFrom([]int64{1, 1000, 4000, 1 << 40}).Draw(t, "run bytes"),
				MaxOpen:  rapid.IntRange(1, 3).Draw(t, "max open"),
			},
			first: 1, stateFirst: 0,
			purges: map[string]event.Position{}, statePurges: map[string]event.Position{},
		}
		m.open(t)
		defer func() { m.close(t) }()
		t.Repeat(map[string]func(*rapid.T){
			"append": m.append, "append more": m.append, "flush": m.flush, "seal": m.seal, "restart": m.restart,
			"query": m.query, "query again": m.query, "and again": m.query,
			"retain": m.retain, "purge": m.purge, "remove": m.remove, "get": m.get,
		})
	})
}
