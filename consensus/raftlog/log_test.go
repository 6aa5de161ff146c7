package raftlog

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// fatals records what a Log reported.
type fatals struct {
	mu    sync.Mutex
	codes []int
	errs  []error
}

func (f *fatals) record(code int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.codes = append(f.codes, code)
	f.errs = append(f.errs, err)
}

func (f *fatals) only(t *testing.T) (int, error) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.codes) != 1 {
		t.Fatalf("got %d fatal errors %v, want 1", len(f.codes), f.errs)
	}
	return f.codes[0], f.errs[0]
}

func (f *fatals) none(t *testing.T) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.codes) != 0 {
		t.Fatalf("got fatal errors %v, want none", f.errs)
	}
}

// entry is the entry that the tests store at index: its bytes follow from the index.
func entry(index uint64, size int) *raft.Log {
	rnd := rand.New(rand.NewPCG(index, 1))
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(rnd.Uint32())
	}
	l := &raft.Log{Index: index, Term: 1 + index/100, Type: raft.LogType(index % 6), Data: data}
	if index%3 == 0 {
		l.Extensions = []byte(fmt.Sprint("extension ", index))
	}
	if index%5 != 0 {
		l.AppendedAt = time.Unix(1_700_000_000, int64(index))
	}
	return l
}

func batch(first uint64, n, size int) []*raft.Log {
	logs := make([]*raft.Log, n)
	for i := range logs {
		logs[i] = entry(first+uint64(i), size)
	}
	return logs
}

func mustOpen(t *testing.T, dir string, cfg Config) *Log {
	t.Helper()
	l, err := Open(dir, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func mustStore(t *testing.T, l *Log, first uint64, n, size int) {
	t.Helper()
	if err := l.StoreLogs(batch(first, n, size)); err != nil {
		t.Fatal(err)
	}
}

func equalEntries(a, b *raft.Log) bool {
	return a.Index == b.Index && a.Term == b.Term && a.Type == b.Type && bytes.Equal(a.Data, b.Data) &&
		bytes.Equal(a.Extensions, b.Extensions) && a.AppendedAt.Equal(b.AppendedAt)
}

// wantEntries checks that the log holds exactly the entries first to last.
func wantEntries(t *testing.T, l *Log, first, last uint64, size int) {
	t.Helper()
	if got, err := l.FirstIndex(); err != nil || got != first {
		t.Fatalf("got first index %d, %v, want %d", got, err, first)
	}
	if got, err := l.LastIndex(); err != nil || got != last {
		t.Fatalf("got last index %d, %v, want %d", got, err, last)
	}
	if last == 0 {
		return
	}
	for i := first; i <= last; i++ {
		var got raft.Log
		if err := l.GetLog(i, &got); err != nil {
			t.Fatalf("get %d: %v", i, err)
		}
		if want := entry(i, size); !equalEntries(&got, want) {
			t.Fatalf("got entry %d %+v, want %+v", i, got, want)
		}
	}
	for _, i := range []uint64{first - 1, last + 1} {
		if err := l.GetLog(i, new(raft.Log)); !errors.Is(err, raft.ErrLogNotFound) {
			t.Fatalf("get %d: got %v, want not found", i, err)
		}
	}
}

func TestEntriesSurviveReopenOverManySegments(t *testing.T) {
	t.Parallel()
	dir, f := t.TempDir(), &fatals{}
	cfg := Config{SegmentBytes: minSegmentBytes, Fatal: f.record}
	l := mustOpen(t, dir, cfg)
	next := uint64(1)
	for round := range 3 {
		for range 40 {
			mustStore(t, l, next, 4, 1000)
			next += 4
		}
		wantEntries(t, l, 1, next-1, 1000)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l = mustOpen(t, dir, cfg)
		wantEntries(t, l, 1, next-1, 1000)
		if segments := len(l.meta.segments()); segments < 2*round+2 {
			t.Fatalf("got %d segments, want several", segments)
		}
	}
	f.none(t)
}

func TestOpenWithoutCloseFindsEverything(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := Config{SegmentBytes: minSegmentBytes}
	l := mustOpen(t, dir, cfg)
	for i := range uint64(100) {
		mustStore(t, l, 1+i, 1, 2000)
	}
	copied := copyDir(t, dir)
	wantEntries(t, mustOpen(t, copied, cfg), 1, 100, 2000)
}

// copyDir copies a log directory as a crash would leave it.
func copyDir(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, e.Name()), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

func TestDeletePrefixAndSuffixSurviveReopen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name                 string
		first, last          uint64 // deleted
		wantFirst, wantLast  uint64
		thenStore, reopenNow bool
	}{
		{"prefix", 1, 50, 51, 200, false, false},
		{"prefix to the middle of the tail", 1, 195, 196, 200, false, false},
		{"everything", 1, 200, 0, 0, false, false},
		{"suffix in the tail", 199, 200, 1, 198, false, false},
		{"suffix in the tail, then more", 199, 200, 1, 198, true, false},
		{"suffix over segments", 60, 200, 1, 59, false, false},
		{"suffix over segments, then more", 60, 200, 1, 59, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir, f := t.TempDir(), &fatals{}
			cfg := Config{SegmentBytes: minSegmentBytes, Fatal: f.record}
			l := mustOpen(t, dir, cfg)
			for i := range uint64(100) {
				mustStore(t, l, 1+2*i, 2, 1000)
			}
			if err := l.DeleteRange(c.first, c.last); err != nil {
				t.Fatal(err)
			}
			last := c.wantLast
			if c.thenStore {
				mustStore(t, l, last+1, 10, 1000)
				last += 10
			}
			wantEntries(t, l, c.wantFirst, last, 1000)
			crashed := mustOpen(t, copyDir(t, dir), cfg)
			wantEntries(t, crashed, c.wantFirst, last, 1000)
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l = mustOpen(t, dir, cfg)
			wantEntries(t, l, c.wantFirst, last, 1000)
			if last == 0 {
				last = 200
			}
			mustStore(t, l, last+1, 3, 1000)
			f.none(t)
		})
	}
}

// A log that begins after an installed snapshot may hold nothing but entries that a
// newer leader replaces.
func TestAnEmptiedLogBeginsAgainWhereItBegan(t *testing.T) {
	t.Parallel()
	dir, f := t.TempDir(), &fatals{}
	cfg := Config{SegmentBytes: minSegmentBytes, Fatal: f.record}
	l := mustOpen(t, dir, cfg)
	for range 2 {
		mustStore(t, l, 121, 10, 1000)
		if err := l.DeleteRange(121, 130); err != nil {
			t.Fatal(err)
		}
		wantEntries(t, l, 0, 0, 1000)
	}
	mustStore(t, l, 121, 5, 1000)
	wantEntries(t, l, 121, 125, 1000)
	wantEntries(t, mustOpen(t, copyDir(t, dir), cfg), 121, 125, 1000) // after a crash
	if err := l.DeleteRange(121, 122); err != nil {
		t.Fatal(err)
	}
	mustStore(t, l, 126, 5, 1000)
	wantEntries(t, l, 123, 130, 1000)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	wantEntries(t, mustOpen(t, dir, cfg), 123, 130, 1000)
	f.none(t)
}

func TestStableStoreKeepsItsValues(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i := range uint64(3) {
		l := mustOpen(t, dir, Config{SegmentBytes: minSegmentBytes})
		s := l.Stable()
		if got, err := s.GetUint64([]byte("CurrentTerm")); err != nil || got != i*10 {
			t.Fatalf("got term %d, %v, want %d", got, err, i*10)
		}
		for n := range 10 {
			if err := s.SetUint64([]byte("CurrentTerm"), i*10+uint64(n)+1); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := s.Get([]byte("LastVoteCand")); err != nil || (i == 0) != (got == nil) || (i > 0 && string(got) != "n1") {
			t.Fatalf("got %q, %v", got, err)
		}
		if err := s.Set([]byte("LastVoteCand"), []byte("n1")); err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if err := s.Set([]byte("k"), nil); !errors.Is(err, ErrClosed) {
			t.Fatalf("got %v after close", err)
		}
	}
}
