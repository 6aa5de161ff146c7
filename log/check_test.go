package log

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"

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

// A row of a posting list that is gone as a whole leaves nothing behind whose checksum
// could be wrong: it is found by what the records say.
func TestCheckSegmentFindsAMissingPostingRow(t *testing.T) {
	t.Parallel()
	for _, path := range journalFiles(t) {
		check := func() error {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			_, err = CheckSegment(t.Context(), bytes.NewReader(b), int64(len(b)), path)
			return err
		}
		deletePostingRow(t, path, false)
		if err := check(); err != nil {
			t.Fatalf("written again without a change: %v", err)
		}
		h, err := readHeaderOf(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := scrub(t.Context(), path, &h, nil); h.sealed && err != nil {
			t.Errorf("scrub of an intact %s: %v", path, err)
		}
		if !deletePostingRow(t, path, true) {
			continue // nothing of the active segment is indexed yet
		}
		if err := check(); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("a posting row of %s is missing: %v", path, err)
		}
		if err := scrub(t.Context(), path, &h, nil); h.sealed && !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("scrub with a posting row of %s missing: %v", path, err)
		}
	}
}

func readHeaderOf(path string) (h header, err error) {
	err = withBolt(path, func(tx *bbolt.Tx) error {
		h, err = parseHeader(tx.Bucket(bucketHeader).Get(keyHeader))
		return err
	})
	return h, err
}

// deletePostingRow writes a segment once more, without the second row of a run if
// so told, and reports whether there was one.
func deletePostingRow(t *testing.T, path string, really bool) (done bool) {
	t.Helper()
	err := withBolt(path, func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			if done || name[0] != kindRun && name[0] != kindMerged {
				return nil
			}
			cursor := b.Cursor()
			cursor.First()
			if key, _ := cursor.Next(); key == nil || !really {
				return nil
			}
			done = true
			return cursor.Delete()
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func withBolt(path string, fn func(*bbolt.Tx) error) error {
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		return err
	}
	defer db.Close()
	return db.Update(fn)
}
