package raftlog

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"
)

// The log against a model: raft-wal's segments, rotations and both kinds of deletes
// in every order, with restarts.
func TestLogAgainstAModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(campaign(10)) {
		rnd := rand.New(rand.NewPCG(seed, 9))
		dir, f := t.TempDir(), &fatals{}
		cfg := Config{SegmentBytes: minSegmentBytes, Fatal: f.record}
		l := mustOpen(t, dir, cfg)
		var first, last uint64 // empty: first 0
		next := uint64(1)
		for range 60 {
			switch what := rnd.IntN(10); {
			case what < 6:
				n := 1 + rnd.IntN(20)
				mustStore(t, l, next, n, 2500)
				if first == 0 {
					first = next
				}
				next += uint64(n)
				last = next - 1
			case what == 6 && first > 0: // a prefix, perhaps all; often right after a rotation began
				to := first + uint64(rnd.IntN(int(last-first)+1))
				if err := l.DeleteRange(first, to); err != nil {
					t.Fatal(err)
				}
				if first = to + 1; first > last {
					first, last = 0, 0
					next += uint64(rnd.IntN(2) * 1000) // a snapshot was installed
				}
			case what == 7 && first > 0 && first < last:
				from := first + 1 + uint64(rnd.IntN(int(last-first)))
				if err := l.DeleteRange(from, last); err != nil {
					t.Fatal(err)
				}
				last, next = from-1, from
			case what == 8:
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				l = mustOpen(t, dir, cfg)
			case what == 9:
				copied := mustOpen(t, copyQuiet(t, l, dir), cfg)
				wantEntries(t, copied, first, last, 2500)
				if err := copied.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if rnd.IntN(8) == 0 {
				wantEntries(t, l, first, last, 2500)
			}
		}
		wantEntries(t, l, first, last, 2500)
		f.none(t)
	}
}

// copyQuiet copies the directory while no rotation changes it.
func copyQuiet(t *testing.T, l *Log, dir string) string {
	t.Helper()
	l.filer.awaitRotation(l.broken)
	return copyDir(t, dir)
}

// A crash after the batch that fills a segment, before the list of segments says so.
// raft-wal alone would refuse every append from then on.
func TestCrashBetweenSealAndRotation(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := Config{SegmentBytes: minSegmentBytes}
	l := mustOpen(t, dir, cfg)
	mustStore(t, l, 1, 10, 2000)
	list, err := os.ReadFile(filepath.Join(dir, metaName))
	if err != nil {
		t.Fatal(err)
	}
	mustStore(t, l, 11, 40, 2000) // fills the segment
	crashed := copyQuiet(t, l, dir)
	if got := len(l.meta.segments()); got != 2 {
		t.Fatalf("got %d segments, want 2", got)
	}
	if err := os.WriteFile(filepath.Join(crashed, metaName), list, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(crashed, listDir(t, crashed)[1])); err != nil {
		t.Fatal(err)
	}
	l = mustOpen(t, crashed, cfg)
	wantEntries(t, l, 1, 50, 2000)
	mustStore(t, l, 51, 40, 2000)
	wantEntries(t, l, 1, 90, 2000)
}

// What the wrappers are for: raft-wal itself cannot open a log with another codec
// twice, nor read a segment of which a suffix was deleted.
func TestControlRawWALNeedsTheWrappers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	raw, err := wal.Open(dir, wal.WithCodec(&codec{}), wal.WithSegmentSize(minSegmentBytes))
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.StoreLogs(batch(1, 3, 10)); err != nil {
		t.Fatal(err)
	}
	copied := copyDir(t, dir)
	if err := raw.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := wal.Open(copied, wal.WithCodec(&codec{})); err == nil {
		t.Error("raft-wal opens a log with another codec again: filer.go and meta.go need not relabel segments any more")
	}

	dir = t.TempDir()
	raw, err = wal.Open(dir, wal.WithSegmentSize(minSegmentBytes))
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.StoreLogs(batch(1, 10, 10)); err != nil {
		t.Fatal(err)
	}
	if err := raw.DeleteRange(8, 10); err != nil {
		t.Fatal(err)
	}
	copied = copyDir(t, dir)
	if err := raw.Close(); err != nil {
		t.Fatal(err)
	}
	if raw, err = wal.Open(copied); err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if err := raw.GetLog(3, new(raft.Log)); err == nil {
		t.Error("raft-wal reads a segment that was sealed by a delete: indexedReader is not needed any more")
	}
}

func TestSpareSegmentIsUsedAndRemoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := Config{SegmentBytes: spareFromBytes}
	l := mustOpen(t, dir, cfg)
	path := l.files.spare.path
	for i := range uint64(12) { // beyond half of a segment
		mustStore(t, l, 1+i, 1, 60_000)
	}
	l.files.spare.await()
	if info, err := os.Stat(path); err != nil || info.Size() != spareFromBytes {
		t.Fatalf("no next segment was prepared: %v", err)
	}
	for i := range uint64(12) {
		mustStore(t, l, 13+i, 1, 60_000)
	}
	l.filer.awaitRotation(l.broken)
	if got := len(l.meta.segments()); got != 2 {
		t.Fatalf("got %d segments, want 2", got)
	}
	wantEntries(t, l, 1, 24, 60_000)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Fatalf("the prepared file is still there: %v", err)
	}
	wantEntries(t, mustOpen(t, dir, cfg), 1, 24, 60_000)
}

// await waits until a file is ready.
func (s *spare) await() {
	for {
		s.prepare()
		s.mu.Lock()
		ready := s.ready
		s.mu.Unlock()
		if ready {
			return
		}
	}
}

func TestUnexplainedFilesAreNotDeleted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := Config{SegmentBytes: minSegmentBytes}
	l := mustOpen(t, dir, cfg)
	mustStore(t, l, 1, 3, 100)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for name, ok := range map[string]bool{
		segment.FileName(types.SegmentInfo{BaseIndex: 4, ID: 9}): false, // newer than the list
		"x.wal": false,
	} {
		copied := copyDir(t, dir)
		if err := os.WriteFile(filepath.Join(copied, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(copied, cfg); (err == nil) != ok {
			t.Fatalf("%s: got %v", name, err)
		}
		if _, err := os.Stat(filepath.Join(copied, name)); err != nil {
			t.Fatal(err)
		}
	}
}
