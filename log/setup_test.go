package log

import (
	"fmt"
	"testing"

	"github.com/edri-io/edri/event"
)

// node stands for what uses a journal: it assigns positions and keeps the mark.
type node struct {
	mark         Mark
	segmentBytes int64
	revisions    map[string]event.Revision
}

func newNode(segmentBytes int64) *node {
	return &node{segmentBytes: segmentBytes, revisions: map[string]event.Revision{}}
}

// spec is what a record is made from.
type spec struct {
	stream, typ, subject, source, correlation string
	stamp                                     int64
	data                                      int
}

func (s spec) event(id string) []byte {
	e := event.Event{ID: id, Source: s.source, Type: s.typ, Subject: s.subject, Data: make([]byte, s.data)}
	if s.source == "" {
		e.Source = "src"
	}
	if s.typ == "" {
		e.Type = "typ"
	}
	if s.correlation != "" {
		e.Extensions = map[string]event.Value{event.AttrCorrelation: event.String(s.correlation)}
	}
	return event.AppendEvent(nil, &e)
}

// record makes the next record and moves the mark over it.
func (n *node) record(s spec) Record {
	if s.stream == "" {
		s.stream = "stream"
	}
	n.revisions[s.stream]++
	r := Record{
		Position: n.mark.Last + 1, Revision: n.revisions[s.stream], Stamp: s.stamp, Stream: s.stream,
		Event: s.event(fmt.Sprint(n.mark.Last + 1)),
	}
	n.mark.Add(&r, n.segmentBytes)
	return r
}

func (n *node) records(count int, s spec) []Record {
	var rs []Record
	for range count {
		rs = append(rs, n.record(s))
	}
	return rs
}

func mustOpen(t testing.TB, dir string, mark Mark, cfg Config) *Journal {
	t.Helper()
	j, err := Open(dir, mark, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Errorf("close journal: %v", err)
		}
	})
	return j
}

func mustFlush(t testing.TB, j *Journal) {
	t.Helper()
	if err := j.Flush(j.current.Load().mark.Last); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Settle(); err != nil {
		t.Fatal(err)
	}
}

// collectAll returns copies of all records that q selects.
func collectAll(j *Journal, q Query) ([]Record, error) {
	v := j.View()
	defer v.Close()
	r := v.Read(q)
	var all []Record
	for r.Next() {
		got := r.Record()
		all = append(all, got.clone())
	}
	return all, r.Err()
}

func mustCollect(t testing.TB, j *Journal, q Query) []Record {
	t.Helper()
	all, err := collectAll(j, q)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// requireSame fails unless got are the records want, whatever they say of Roll.
func requireSame(t testing.TB, got, want []Record) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d records %v, want %d %v", len(got), positions(got), len(want), positions(want))
	}
	for i := range got {
		if !same(&got[i], &want[i]) {
			t.Fatalf("record %d: got %+v, want %+v", i, got[i], want[i])
		}
	}
}

func same(a, b *Record) bool {
	return a.Position == b.Position && a.Revision == b.Revision && a.Stamp == b.Stamp && a.Stream == b.Stream &&
		string(a.Event) == string(b.Event)
}

func positions(rs []Record) []event.Position {
	ps := make([]event.Position, 0, len(rs))
	for i := range rs {
		ps = append(ps, rs[i].Position)
	}
	return ps
}
