package log

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/edri-io/edri/event"
)

// longJournal has lists of many rows, in a sealed segment, in runs, in signatures
// and in the tail.
func longJournal(t testing.TB) (*Journal, []Record) {
	rng := rand.New(rand.NewPCG(3, 4))
	n := newNode(1_200_000)
	j := mustOpen(t, t.TempDir(), Mark{}, Config{RunBytes: 150_000})
	var all []Record
	for len(all) < 30_000 {
		var batch []Record
		for range 500 {
			typ := fmt.Sprint("t.", rng.IntN(40))
			if rng.IntN(3) == 0 {
				typ = "common"
			}
			batch = append(batch, n.record(spec{
				stream: fmt.Sprint("s", rng.IntN(3)), subject: fmt.Sprint("s", rng.IntN(1+rng.IntN(500))),
				typ: typ, correlation: fmt.Sprint(rng.IntN(10_000)), stamp: int64(len(all) / 100), data: 10,
			}))
		}
		j.Append(batch, n.mark)
		all = append(all, batch...)
		if len(all) < 29_000 {
			mustFlush(t, j)
		}
	}
	return j, all
}

func TestLongListsEqualAModel(t *testing.T) {
	t.Parallel()
	j, all := longJournal(t)
	s := j.current.Load()
	last := s.segments[len(s.segments)-1].header
	if len(s.segments) < 2 || last.indexed < last.first || last.indexed == last.last || len(s.tail) == 0 {
		t.Fatalf("the journal has not all kinds of parts: %+v", last)
	}
	rng := rand.New(rand.NewPCG(5, 6))
	pick := func(odds int, name string) string {
		if rng.IntN(odds) == 0 {
			return name
		}
		return ""
	}
	for range 300 {
		q := Query{
			Stream: pick(2, fmt.Sprint("s", rng.IntN(3))), Subject: pick(3, fmt.Sprint("s", rng.IntN(6))),
			Type: pick(3, "common"), TypePrefix: pick(3, []string{"t.", "t.1", "t.39", "c", "x"}[rng.IntN(5)]),
			Correlation: pick(10, fmt.Sprint(rng.IntN(10_000))), Reverse: rng.IntN(2) == 0,
		}
		if rng.IntN(2) == 0 {
			q.From = 1 + event.Position(rng.IntN(len(all)))
			q.To = q.From + event.Position(rng.IntN(4000))
		}
		if rng.IntN(3) == 0 {
			q.Since = int64(rng.IntN(400))
			q.Until = q.Since + int64(rng.IntN(100))
		}
		var want []event.Position
		for i := range all {
			if q.Matches(all[i]) {
				want = append(want, all[i].Position)
			}
		}
		if q.Reverse {
			slices.Reverse(want)
		}
		if got := positions(mustCollect(t, j, q)); !slices.Equal(got, want) {
			t.Fatalf("%+v: got %d positions, want %d", q, len(got), len(want))
		}
	}
}

func TestPositionTellsHowFarAReaderLooked(t *testing.T) {
	t.Parallel()
	n := newNode(2000)
	j := mustOpen(t, t.TempDir(), Mark{}, Config{RunBytes: 800})
	j.Append(n.records(20, spec{stream: "a", data: 50}), n.mark)
	mustFlush(t, j)
	j.Append(n.records(5, spec{stream: "b", data: 50}), n.mark)
	for _, tc := range []struct {
		q           Query
		start, next event.Position // before the first call, after the first record
		end         event.Position
	}{
		{Query{}, 0, 1, 25},
		{Query{From: 4, To: 9}, 3, 4, 9},
		{Query{Reverse: true}, 26, 25, 1},
		{Query{Stream: "a"}, 0, 1, 25},
		{Query{Stream: "b", Reverse: true}, 26, 25, 1},
		{Query{Stream: "b"}, 0, 21, 25},
		{Query{Stream: "none", To: 22}, 0, 22, 22},
		{Query{From: 40}, 39, 39, 39},
	} {
		v := j.View()
		r := v.Read(tc.q)
		if got := r.Position(); got != tc.start {
			t.Errorf("%+v: starts at %d, want %d", tc.q, got, tc.start)
		}
		r.Next()
		if got := r.Position(); got != tc.next {
			t.Errorf("%+v: after the first record at %d, want %d", tc.q, got, tc.next)
		}
		for r.Next() {
		}
		if got := r.Position(); got != tc.end || r.Err() != nil {
			t.Errorf("%+v: ends at %d, %v, want %d", tc.q, got, r.Err(), tc.end)
		}
		v.Close()
	}
}

func TestNothingIsReadThatAListExcludes(t *testing.T) {
	t.Parallel()
	n := newNode(0)
	j := mustOpen(t, t.TempDir(), Mark{}, Config{RunBytes: 1})
	for i := range 200 {
		j.Append(n.records(1, spec{stream: fmt.Sprint("s", i%100), typ: fmt.Sprint("t", i%2), data: 4000}), n.mark)
	}
	mustFlush(t, j)
	damageRecords(t, j, 1, 40) // all but those of s40 … s99, first time
	got := mustCollect(t, j, Query{Stream: "s50", Type: "t0", From: 1, To: 100})
	if len(got) != 1 || got[0].Position != 51 {
		t.Errorf("got %v, want position 51", positions(got))
	}
	if _, err := collectAll(j, Query{}); err == nil {
		t.Error("the damage is not there")
	}
}

// damageRecords makes the chunks that begin in [from, to] unreadable.
func damageRecords(t *testing.T, j *Journal, from, to event.Position) {
	t.Helper()
	err := j.active.update(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket(bucketRecords)
		for p := from; p <= to; p++ {
			if v := bucket.Get(positionKey(p)); v != nil {
				if err := bucket.Put(positionKey(p), []byte("damaged")); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestEqualHashesDoNotMakeEqualNames(t *testing.T) {
	t.Parallel()
	n := newNode(0)
	j := mustOpen(t, t.TempDir(), Mark{}, Config{})
	j.Append(n.records(1, spec{stream: "a"}), n.mark)
	j.Append(n.records(1, spec{stream: "b"}), n.mark)
	list := j.current.Load().signatures.list
	list[1] = list[0]
	if got := mustCollect(t, j, Query{Stream: "a"}); len(got) != 1 {
		t.Errorf("got %v, want position 1 only", positions(got))
	}
}

func TestAStreamNamedLikeItsSubjectSharesOneList(t *testing.T) {
	t.Parallel()
	n := newNode(0)
	var b runBuilder
	b.begin(1)
	for _, r := range n.records(3, spec{stream: "a", subject: "a", source: "a", correlation: "c"}) {
		b.add(&r)
	}
	if len(b.lists) != 3 { // a, c, the type
		t.Errorf("got %d lists, want 3", len(b.lists))
	}
}

func TestAHoleIsCorruption(t *testing.T) {
	t.Parallel()
	n := newNode(0)
	j := mustOpen(t, t.TempDir(), Mark{}, Config{RunBytes: 1})
	j.Append(n.records(20, spec{data: 4000}), n.mark)
	mustFlush(t, j)
	err := j.active.update(func(tx *bbolt.Tx) error {
		cursor := tx.Bucket(bucketRecords).Cursor()
		cursor.First()
		cursor.Next()
		return cursor.Delete()
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []Query{{}, {Reverse: true}, {Stream: "stream"}, {Type: "typ", Reverse: true}} {
		if got, err := collectAll(j, q); err == nil {
			t.Errorf("%+v: got %d records and no error", q, len(got))
		}
	}
}
