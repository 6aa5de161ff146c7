package log

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/store"
)

// sealedJournal returns a journal with sealed segments.
func sealedJournal(t *testing.T) *Journal {
	t.Helper()
	n := newNode(20_000)
	j := mustOpen(t, t.TempDir(), Mark{}, Config{RunBytes: 3000})
	for range 10 {
		j.Append(n.records(30, spec{stream: "s", correlation: "c", data: 100}), n.mark)
		mustFlush(t, j)
	}
	return j
}

func copySealed(t *testing.T, j *Journal, s SegmentInfo) []byte {
	t.Helper()
	f, err := j.OpenSealed(s.First, s.Digest)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil || int64(len(b)) != f.Size() {
		t.Fatalf("read %d bytes of %d, %v", len(b), f.Size(), err)
	}
	return b
}

func writeCopy(t *testing.T, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "copy")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestASealedSegmentIsCopiedAndChecked(t *testing.T) {
	t.Parallel()
	j := sealedJournal(t)
	segments := j.Segments()
	if len(segments) < 3 {
		t.Fatalf("%d segments", len(segments))
	}
	for _, s := range segments[:len(segments)-1] {
		path := writeCopy(t, copySealed(t, j, s))
		got, err := CheckSealed(t.Context(), path, s.First, s.Digest)
		if err != nil || got != s {
			t.Errorf("got %+v, %v; want %+v", got, err, s)
		}
		if _, err := CheckSealed(t.Context(), path, s.First, [32]byte{1}); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("another digest: got %v", err)
		}
		if _, err := CheckSealed(t.Context(), path, s.First+1, s.Digest); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("another position: got %v", err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := CheckSealed(ended, writeCopy(t, copySealed(t, j, segments[0])), segments[0].First, segments[0].Digest); !errors.Is(err, context.Canceled) {
		t.Errorf("ended: got %v", err)
	}
}

func TestOnlyASealedSegmentOfTheDigestIsOpened(t *testing.T) {
	t.Parallel()
	j := sealedJournal(t)
	segments := j.Segments()
	first, active := segments[0], segments[len(segments)-1]
	for name, want := range map[string]SegmentInfo{
		"active":       active,
		"other digest": {First: first.First, Digest: segments[1].Digest},
		"no segment":   {First: first.First + 1, Digest: first.Digest},
	} {
		if _, err := j.OpenSealed(want.First, want.Digest); event.CodeOf(err) != event.CodeNotFound {
			t.Errorf("%s: got %v, want not_found", name, err)
		}
	}
	// Retention may delete the file while it is copied, or before.
	f, err := j.OpenSealed(first.First, first.Digest)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Remove(filepath.Join(j.dir, segmentName(first.First))); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(f); err != nil || int64(len(b)) != f.Size() {
		t.Errorf("read %d bytes of %d, %v", len(b), f.Size(), err)
	}
	if _, err := j.OpenSealed(first.First, first.Digest); event.CodeOf(err) != event.CodeNotFound {
		t.Errorf("deleted: got %v, want not_found", err)
	}
}

func TestDamageOfACopyIsFoundOrDoesNotMatter(t *testing.T) {
	t.Parallel()
	j := sealedJournal(t)
	s := j.Segments()[0]
	intact := copySealed(t, j, s)
	v := j.View()
	defer v.Close()
	rng := rand.New(rand.NewPCG(3, 4))
	found := 0
	for range 400 {
		damaged := append([]byte(nil), intact...)
		if at := rng.IntN(len(damaged)); rng.IntN(10) == 0 {
			damaged = damaged[:at]
		} else {
			damaged[at] ^= 1 << rng.IntN(8)
		}
		path := writeCopy(t, damaged)
		if _, err := CheckSealed(t.Context(), path, s.First, s.Digest); err != nil {
			if !errors.Is(err, store.ErrCorrupt) && !errors.Is(err, store.ErrFormat) {
				t.Fatalf("got %v, want ErrCorrupt", err)
			}
			found++
			continue
		}
		requireEqualRecords(t, v, path, s)
	}
	if found < 100 {
		t.Errorf("only %d of 400 were found", found)
	}
}

// requireEqualRecords holds the records of a segment's copy to the original.
func requireEqualRecords(t *testing.T, v *View, path string, s SegmentInfo) {
	t.Helper()
	copied := &segment{first: s.First, path: path, pool: newPool(1)}
	copied.idle.L = &copied.mu
	defer copied.close()
	var f file
	if err := f.open(copied); err != nil {
		t.Fatal(err)
	}
	defer f.close()
	for p := s.First; p <= s.Last; p++ {
		got, err := f.record(p)
		if err != nil {
			t.Fatal(err)
		}
		if want, err := v.Get(p); err != nil || !same(&got, &want) {
			t.Fatalf("got %+v, want %+v, %v", got, want, err)
		}
	}
}
