package log

import (
	"fmt"
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
	return m.marks[n-1]
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
}

func (m *journalModel) rewind() {
	m.all, m.marks = m.all[:m.state], m.marks[:m.state]
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
		if q.Matches(m.all[i]) {
			want = append(want, m.all[i])
		}
	}
	if q.Reverse {
		slices.Reverse(want)
	}
	return want
}

func (m *journalModel) query(t *rapid.T) {
	q := drawQuery(t, event.Position(len(m.all)), m.stamp)
	got, err := collectAll(m.j, q)
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
		}
		m.open(t)
		defer func() { m.close(t) }()
		t.Repeat(map[string]func(*rapid.T){
			"append": m.append, "append more": m.append, "flush": m.flush, "seal": m.seal, "restart": m.restart,
			"query": m.query, "query again": m.query, "and again": m.query,
		})
	})
}
