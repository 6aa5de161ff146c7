package log

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/edri-io/edri/store"
)

// journalFiles makes a journal of a few sealed segments and an active one, and
// returns their files.
func journalFiles(t *testing.T) []string {
	t.Helper()
	n := newNode(20_000)
	dir := filepath.Join(t.TempDir(), "journal")
	j := mustOpen(t, dir, Mark{}, Config{SegmentBytes: 20_000, RunBytes: 4000})
	for range 12 {
		for i := range 20 {
			j.Append([]Record{n.record(spec{stamp: int64(n.mark.Last) + 1, data: 200, stream: string(rune('a' + i))})}, n.mark)
		}
		mustFlush(t, j)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.seg"))
	if err != nil || len(files) < 3 {
		t.Fatalf("segments: %v, %v", files, err)
	}
	return files
}

func TestCheckSegmentReadsWhatTheJournalSays(t *testing.T) {
	t.Parallel()
	files := journalFiles(t)
	next := uint64(1)
	for i, path := range files {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		info, err := CheckSegment(t.Context(), bytes.NewReader(b), int64(len(b)), path)
		if err != nil {
			t.Fatal(err)
		}
		if uint64(info.First) != next || info.Last < info.First || info.Sealed != (i < len(files)-1) || info.Bytes == 0 {
			t.Errorf("segment %d: %+v, want it to begin at %d", i, info, next)
		}
		next = uint64(info.Last) + 1
	}
}

// A flip of any byte is damage, or in a place that holds nothing: then what the
// check says is what it said before.
func TestCheckSegmentFindsFlips(t *testing.T) {
	t.Parallel()
	for _, path := range journalFiles(t)[1:] {
		b := used(t, path)
		want, err := CheckSegment(t.Context(), bytes.NewReader(b), int64(len(b)), path)
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for at := 0; at < len(b); at += 97 {
			b[at] ^= 0x20
			got, err := CheckSegment(t.Context(), bytes.NewReader(b), int64(len(b)), path)
			b[at] ^= 0x20
			switch {
			case err == nil && got != want:
				t.Fatalf("%s: a flip at %d changed %+v to %+v", path, at, want, got)
			case err != nil && !errors.Is(err, store.ErrCorrupt) && !errors.Is(err, store.ErrFormat):
				t.Fatalf("%s: a flip at %d: %v", path, at, err)
			case err != nil:
				found++
			}
		}
		if found == 0 {
			t.Errorf("%s: no flip was found", path)
		}
	}
}

// used returns the pages of a file that were ever written: bbolt makes files
// longer than what they hold.
func used(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n := len(bytes.TrimRight(b, "\x00"))
	return b[:(n+pageBytes-1)/pageBytes*pageBytes]
}

func TestCheckSegmentFindsACutFile(t *testing.T) {
	t.Parallel()
	path := journalFiles(t)[0]
	b := used(t, path)
	for _, n := range []int{0, 10, 4096, len(b) / 2, len(b) - 4096} {
		if _, err := CheckSegment(t.Context(), bytes.NewReader(b[:n]), int64(n), path); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("cut to %d bytes of %d: %v", n, len(b), err)
		}
	}
}
