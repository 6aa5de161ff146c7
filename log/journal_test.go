package log

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/store"
)

func TestRecordsAreReadBackFromMemoryAndFilesAndAfterReopening(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n := newNode(4000)
	j := mustOpen(t, dir, Mark{}, Config{RunBytes: 1500})
	var want []Record
	for i := range 20 {
		batch := n.records(3, spec{stream: "a", subject: "a", stamp: int64(i), data: 100})
		want = append(want, batch...)
		j.Append(batch, n.mark)
		requireSame(t, mustCollect(t, j, Query{}), want)
		if i%3 == 0 {
			mustFlush(t, j)
			requireSame(t, mustCollect(t, j, Query{}), want)
		}
		requireSame(t, mustCollect(t, j, Query{Stream: "a"}), want)
		requireSame(t, mustCollect(t, j, Query{Subject: "a"}), want)
	}
	mustFlush(t, j)
	if got := j.DirtyBytes(); got != 0 {
		t.Errorf("after a flush %d bytes are dirty", got)
	}
	if n := len(j.Segments()); n < 3 {
		t.Fatalf("got %d segments, want some", n)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = mustOpen(t, dir, n.mark, Config{})
	requireSame(t, mustCollect(t, j, Query{}), want)
	requireSame(t, mustCollect(t, j, Query{Stream: "a"}), want)
	for _, r := range want {
		v := j.View()
		got, err := v.Get(r.Position)
		if err != nil || !same(&got, &r) {
			t.Fatalf("get %d: got %+v, %v, want %+v", r.Position, got, err, r)
		}
		v.Close()
	}
}

func TestAViewDoesNotSeeWhatIsAppendedLater(t *testing.T) {
	t.Parallel()
	n := newNode(2000)
	j := mustOpen(t, t.TempDir(), Mark{}, Config{RunBytes: 500})
	want := n.records(10, spec{data: 100})
	j.Append(want, n.mark)
	old := j.View()
	defer old.Close()
	for range 5 {
		j.Append(n.records(10, spec{data: 100}), n.mark)
		mustFlush(t, j)
		for _, q := range []Query{{}, {Stream: "stream"}, {Type: "typ", Reverse: true}} {
			var got []Record
			r := old.Read(q)
			for r.Next() {
				rec := r.Record()
				got = append(got, rec.clone())
			}
			if r.Err() != nil {
				t.Fatal(r.Err())
			}
			if q.Reverse {
				got = reversed(got)
			}
			requireSame(t, got, want)
		}
	}
	if old.Last() != 10 || j.View().Last() != 60 {
		t.Fatalf("got last %d and %d, want 10 and 60", old.Last(), j.View().Last())
	}
}

func reversed(rs []Record) []Record {
	out := make([]Record, 0, len(rs))
	for i := len(rs) - 1; i >= 0; i-- {
		out = append(out, rs[i])
	}
	return out
}

func TestGetNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	n := newNode(0)
	j := mustOpen(t, t.TempDir(), Mark{}, Config{})
	v := j.View()
	if v.First() != 1 || v.Last() != 0 {
		t.Errorf("an empty journal goes from %d to %d, want 1 to 0", v.First(), v.Last())
	}
	j.Append(n.records(2, spec{}), n.mark)
	for p, want := range map[event.Position]event.Code{0: event.CodeInvalid, 3: event.CodeNotFound} {
		if _, err := j.View().Get(p); event.CodeOf(err) != want {
			t.Errorf("get %d: got %v, want %s", p, err, want)
		}
	}
}

func TestReadingBelowFirstIsCompacted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n := newNode(1000)
	j := mustOpen(t, dir, Mark{}, Config{})
	all := n.records(40, spec{data: 100})
	j.Append(all, n.mark)
	mustFlush(t, j)
	second := j.Segments()[1].First
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	mark := n.mark
	mark.First = second + 1
	j = mustOpen(t, dir, mark, Config{})
	if got := j.Segments()[0].First; got != second {
		t.Errorf("first segment is %d, want %d", got, second)
	}
	v := j.View()
	defer v.Close()
	var e *event.Error
	if _, err := v.Get(second); !errors.As(err, &e) || e.Code != event.CodeCompacted || e.First != mark.First {
		t.Errorf("get below first: got %v", err)
	}
	r := v.Read(Query{From: second})
	if r.Next() || event.CodeOf(r.Err()) != event.CodeCompacted {
		t.Errorf("read from below first: got %v, want compacted", r.Err())
	}
	requireSame(t, mustCollect(t, j, Query{}), all[mark.First-1:])
	requireSame(t, mustCollect(t, j, Query{Stream: "stream"}), all[mark.First-1:])
	requireSame(t, reversed(mustCollect(t, j, Query{Reverse: true})), all[mark.First-1:])
}

func TestAppendIsVisibleAtOnceAndAnnounced(t *testing.T) {
	t.Parallel()
	n := newNode(0)
	j := mustOpen(t, t.TempDir(), Mark{}, Config{})
	changed := j.Changed()
	if j.Changed() != changed {
		t.Error("two who wait got different channels")
	}
	select {
	case <-changed:
		t.Error("announced a change before any")
	default:
	}
	j.Append(n.records(3, spec{}), n.mark)
	select {
	case <-changed:
	default:
		t.Error("append was not announced")
	}
	if got := j.View().Last(); got != 3 {
		t.Errorf("got last %d, want 3", got)
	}
}

func TestCopiedSegmentsMakeAnEqualJournal(t *testing.T) {
	t.Parallel()
	n := newNode(2000)
	j := mustOpen(t, t.TempDir(), Mark{}, Config{RunBytes: 700})
	want := n.records(50, spec{stream: "s", data: 100})
	j.Append(want, n.mark)
	mustFlush(t, j)
	copied := filepath.Join(t.TempDir(), "journal")
	if err := os.Mkdir(copied, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, s := range j.Segments() {
		var b bytes.Buffer
		size, err := j.CopySegment(s.First, &b)
		if err != nil || size != int64(b.Len()) {
			t.Fatalf("copy segment %d: %d bytes of %d, %v", s.First, size, b.Len(), err)
		}
		if err := os.WriteFile(filepath.Join(copied, segmentName(s.First)), b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	other := mustOpen(t, copied, n.mark, Config{})
	requireSame(t, mustCollect(t, other, Query{Stream: "s"}), want)
	more := n.records(50, spec{data: 100})
	other.Append(more, n.mark)
	mustFlush(t, other)
	requireSame(t, mustCollect(t, other, Query{}), append(want, more...))
	if _, err := j.CopySegment(2, &bytes.Buffer{}); event.CodeOf(err) != event.CodeNotFound {
		t.Errorf("copy of no segment: got %v, want not_found", err)
	}
}

func TestTheDigestDoesNotDependOnFlushes(t *testing.T) {
	t.Parallel()
	n := newNode(30_000)
	all := n.records(300, spec{data: 300})
	var digests [][32]byte
	for _, step := range []int{1, 7, 300} {
		n := newNode(30_000)
		j := mustOpen(t, t.TempDir(), Mark{}, Config{RunBytes: int64(1000 * step)})
		for i := 0; i < len(all); i += step {
			var batch []Record
			for range min(step, len(all)-i) {
				batch = append(batch, n.record(spec{data: 300}))
			}
			j.Append(batch, n.mark)
			mustFlush(t, j)
		}
		first := j.Segments()[0]
		if !first.Sealed || first.Digest == ([32]byte{}) {
			t.Fatalf("the first segment is not sealed: %+v", first)
		}
		digests = append(digests, first.Digest)
	}
	want := wantDigest(all)
	for i, got := range digests {
		if got != want {
			t.Errorf("digest %d: got %x, want %x", i, got, want)
		}
	}
}

// wantDigest makes the digest of a history's first segment by itself: rows of at
// most 8,160 bytes, as many records in each as fit.
func wantDigest(all []Record) (sum [32]byte) {
	var row []byte
	first := all[0].Position
	end := func() {
		var hash xxhash.Digest
		hash.ResetWithSeed(uint64(first))
		_, _ = hash.Write(row)
		next := append(sum[:], positionKey(first)...)
		sum = sha256.Sum256(binary.BigEndian.AppendUint64(next, hash.Sum64()))
	}
	for i := range all {
		if i > 0 && all[i].Roll {
			break
		}
		frame := appendRecord(nil, &all[i])
		if len(row) > 0 && 8+len(row)+len(frame) > 8160 {
			end()
			row, first = nil, all[i].Position
		}
		row = append(row, frame...)
	}
	end()
	return sum
}

// A sealed file without a freelist would be read from end to end at each open.
func TestASealedSegmentHasAFreelist(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n := newNode(1000)
	j := mustOpen(t, dir, Mark{}, Config{})
	j.Append(n.records(20, spec{data: 100}), n.mark)
	mustFlush(t, j)
	for i, want := range []bool{true, false} { // the first is sealed, the last not
		name := segmentName(j.Segments()[0].First)
		if i == 1 {
			name = segmentName(j.Segments()[len(j.Segments())-1].First)
		}
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		newest := b[:pageBytes]
		txid := func(page []byte) uint64 { return binary.NativeEndian.Uint64(page[64:]) }
		if second := b[pageBytes : 2*pageBytes]; txid(second) > txid(newest) {
			newest = second
		}
		if got := binary.NativeEndian.Uint64(newest[48:]) != math.MaxUint64; got != want {
			t.Errorf("%s: has a freelist: %t, want %t", name, got, want)
		}
	}
}

func TestACloseIsFinal(t *testing.T) {
	t.Parallel()
	n := newNode(0)
	j := mustOpen(t, t.TempDir(), Mark{}, Config{})
	j.Append(n.records(1, spec{}), n.mark)
	mustFlush(t, j)
	v := j.View()
	for range 2 {
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := v.Get(1); !errors.Is(err, store.ErrClosed) {
		t.Errorf("get after close: got %v, want ErrClosed", err)
	}
	if err := j.Flush(1); !errors.Is(err, store.ErrClosed) {
		t.Errorf("flush after close: got %v, want ErrClosed", err)
	}
}

func TestSealedSegmentsBeyondMaxOpenAreClosed(t *testing.T) {
	t.Parallel()
	n := newNode(1000)
	j := mustOpen(t, t.TempDir(), Mark{}, Config{MaxOpen: 2})
	want := n.records(100, spec{data: 100})
	j.Append(want, n.mark)
	mustFlush(t, j)
	if len(j.Segments()) < 10 {
		t.Fatalf("got %d segments, want many", len(j.Segments()))
	}
	v := j.View()
	defer v.Close()
	pinned := v.Read(Query{})
	pinned.Next()
	requireSame(t, mustCollect(t, j, Query{}), want)
	requireSame(t, reversed(mustCollect(t, j, Query{Reverse: true})), want)
	open := 0
	for _, s := range j.current.Load().segments {
		s.mu.Lock()
		if s.db != nil && !s.writable {
			open++
		}
		s.mu.Unlock()
	}
	if open > 3 { // two, and the one that a reader holds
		t.Errorf("%d sealed segments are open, want at most 3", open)
	}
	got := []Record{copyOf(pinned.Record())}
	for pinned.Next() {
		got = append(got, copyOf(pinned.Record()))
	}
	requireSame(t, got, want)
}

func copyOf(r Record) Record { return r.clone() }
