package log

import (
	"testing"

	"github.com/edri-io/edri/event"
)

// rolled returns a journal of two segments of which the first is complete and not
// sealed, with what is in it.
func rolled(t *testing.T, dir string) (*Journal, *node, []Record) {
	t.Helper()
	n := newNode(30_000)
	j := mustOpen(t, dir, Mark{}, Config{RunBytes: 5000})
	j.sealRows = 3
	var all []Record
	for i := range 120 {
		all = append(all, n.record(spec{stream: []string{"a", "b", "c"}[i%3], correlation: string(rune('A' + i%26)), data: 200}))
	}
	j.Append(all, n.mark)
	if err := j.Flush(n.mark.Last); err != nil {
		t.Fatal(err)
	}
	if s := j.Segments(); len(s) != 2 || s[0].Sealed || s[0].Digest != ([32]byte{}) {
		t.Fatalf("got segments %+v, want two, the first not sealed", s)
	}
	return j, n, all
}

func requireWhole(t *testing.T, j *Journal, all []Record) {
	t.Helper()
	for _, q := range []Query{{}, {Reverse: true}, {Stream: "b"}, {Correlation: "C", Type: "typ"}} {
		want := (&journalModel{all: all}).want(q)
		requireSame(t, mustCollect(t, j, q), want)
	}
}

func TestASegmentIsReadWhileItIsSealedInPieces(t *testing.T) {
	t.Parallel()
	j, n, all := rolled(t, t.TempDir())
	pieces := 0
	for more := true; more; pieces++ {
		requireWhole(t, j, all)
		var err error
		if more, err = j.SealSome(); err != nil {
			t.Fatal(err)
		}
		if more == j.Segments()[0].Sealed {
			t.Fatalf("more %t is left of %+v", more, j.Segments()[0])
		}
		if pieces == 2 { // flushes go on meanwhile
			next := n.record(spec{data: 200})
			all = append(all, next)
			j.Append([]Record{next}, n.mark)
			if err := j.Flush(n.mark.Last); err != nil {
				t.Fatal(err)
			}
		}
	}
	if pieces < 5 {
		t.Errorf("sealed in %d pieces only", pieces)
	}
	requireWhole(t, j, all)
	if got := j.Segments()[0].Digest; got != wantDigest(all) {
		t.Errorf("got digest %x, want %x", got, wantDigest(all))
	}
	if more, err := j.SealSome(); more || err != nil {
		t.Errorf("with nothing to seal got %t, %v", more, err)
	}
}

func TestSealingBeginsAnewAtOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, n, all := rolled(t, dir)
	for range 3 {
		if _, err := j.SealSome(); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = mustOpen(t, dir, n.mark, Config{RunBytes: 5000})
	requireWhole(t, j, all)
	s, err := j.Settle()
	if err != nil || !s[0].Sealed || s[0].Digest != wantDigest(all) || s[1].Sealed {
		t.Fatalf("got %+v, %v, want the first sealed with digest %x", s, err, wantDigest(all))
	}
	requireWhole(t, j, all)
}

// A segment that was not sealed when the next one was full is sealed first: only
// the last but one may be open still.
func TestARollSealsWhatIsLeft(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, n, all := rolled(t, dir)
	for len(j.Segments()) < 3 {
		next := n.record(spec{data: 3000})
		all = append(all, next)
		j.Append([]Record{next}, n.mark)
		if err := j.Flush(n.mark.Last); err != nil {
			t.Fatal(err)
		}
	}
	if s := j.Segments(); !s[0].Sealed || s[1].Sealed {
		t.Fatalf("got %+v, want the first alone sealed", s)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	requireWhole(t, mustOpen(t, dir, n.mark, Config{}), all)
}

// What is sealed may go out of the journal meanwhile.
func TestSealingEndsWithItsSegment(t *testing.T) {
	t.Parallel()
	j, _, all := rolled(t, t.TempDir())
	if _, err := j.SealSome(); err != nil {
		t.Fatal(err)
	}
	gone := j.current.Load().segments[0]
	j.publish(func(next *snapshot) { next.segments = next.segments[1:] })
	if more, err := j.SealSome(); more || err != nil {
		t.Fatalf("got %t, %v, want nothing left", more, err)
	}
	if err := gone.close(); err != nil {
		t.Fatal(err)
	}
	first := j.Segments()[0].First
	requireSame(t, mustCollect(t, j, Query{From: first}), all[first-1:])
	if err := j.Flush(event.Position(len(all))); err != nil {
		t.Fatal(err)
	}
}
