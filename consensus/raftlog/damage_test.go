package raftlog

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
	"github.com/hashicorp/raft-wal/segment"
)

// damageDirs are log directories of every shape, with the number of entries in each.
// Entries are 700 bytes and begin at index 1.
func damageDirs(t *testing.T) map[string]damageDir {
	t.Helper()
	cfg := Config{SegmentBytes: minSegmentBytes}
	build := func(work func(*Log), closed bool) string {
		dir := t.TempDir()
		l := mustOpen(t, dir, cfg)
		for i := range uint64(60) {
			mustStore(t, l, 1+3*i, 3, damageEntryBytes)
		}
		if err := l.Stable().SetUint64([]byte("CurrentTerm"), 7); err != nil {
			t.Fatal(err)
		}
		if err := l.Stable().Set([]byte("LastVoteCand"), []byte("n2")); err != nil {
			t.Fatal(err)
		}
		work(l)
		if closed {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			return dir
		}
		return copyDir(t, dir)
	}
	deleteSuffix := func(l *Log) {
		if err := l.DeleteRange(150, 180); err != nil {
			t.Fatal(err)
		}
		mustStore(t, l, 150, 4, damageEntryBytes)
	}
	return map[string]damageDir{
		"killed":                      {build(func(*Log) {}, false), 180},
		"closed":                      {build(func(*Log) {}, true), 180},
		"suffix deleted, then killed": {build(deleteSuffix, false), 153},
		"suffix deleted, then closed": {build(deleteSuffix, true), 153},
	}
}

const damageEntryBytes = 700

type damageDir struct {
	dir  string
	last uint64
}

// openDamaged opens a damaged directory: it must be noticed, or must be harmless.
func openDamaged(t *testing.T, d damageDir, dir, what string) (noticed bool) {
	t.Helper()
	f := &fatals{}
	l, err := Open(dir, Config{SegmentBytes: minSegmentBytes, Fatal: f.record})
	if err != nil {
		var corrupt *CorruptError
		if !errors.As(err, &corrupt) {
			t.Fatalf("%s: got %v, want ErrCorrupt", what, err)
		}
		if filepath.Dir(corrupt.File) != dir {
			t.Fatalf("%s: names %q", what, corrupt.File)
		}
		if ExitCode(err) != ExitCorrupt {
			t.Fatalf("%s: exit code %d", what, ExitCode(err))
		}
		return true
	}
	defer l.Close()
	if last, err := l.LastIndex(); err != nil || last != d.last {
		t.Fatalf("%s: was not noticed, and the log ends at %d, not %d (%v)", what, last, d.last, err)
	}
	for i := uint64(1); i <= d.last; i++ {
		var got raft.Log
		if err := l.GetLog(i, &got); err != nil || !equalEntries(&got, entry(i, damageEntryBytes)) {
			t.Fatalf("%s: was not noticed, and entry %d is %v, %v", what, i, got, err)
		}
	}
	term, err := l.Stable().GetUint64([]byte("CurrentTerm"))
	vote, err2 := l.Stable().Get([]byte("LastVoteCand"))
	if err != nil || err2 != nil || term != 7 || string(vote) != "n2" {
		t.Fatalf("%s: was not noticed, and the term is %d, the vote %q (%v, %v)", what, term, vote, err, err2)
	}
	f.none(t)
	return false
}

// rounds of the damage campaigns; EDRI_SOAK multiplies them.
func campaign(n int) int {
	switch {
	case os.Getenv("EDRI_SOAK") != "":
		return n * 50
	case testing.Short():
		return n / 10
	}
	return n
}

func TestFlippedBitInAnyFileIsNoticedOrHarmless(t *testing.T) {
	t.Parallel()
	for name, d := range damageDirs(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(5, 6))
			for _, file := range listDir(t, d.dir) {
				noticed, rounds := 0, campaign(60)
				for range rounds {
					dir := copyDir(t, d.dir)
					b, err := os.ReadFile(filepath.Join(dir, file))
					if err != nil {
						t.Fatal(err)
					}
					bit := rnd.IntN(len(b) * 8)
					b[bit/8] ^= 1 << (bit % 8)
					if err := os.WriteFile(filepath.Join(dir, file), b, 0o600); err != nil {
						t.Fatal(err)
					}
					if openDamaged(t, d, dir, file) {
						noticed++
					}
					if err := os.RemoveAll(dir); err != nil {
						t.Fatal(err)
					}
				}
				t.Logf("%s: %d of %d noticed, the others harmless", file, noticed, rounds)
			}
		})
	}
}

func TestShortenedOrMissingFileIsNoticed(t *testing.T) {
	t.Parallel()
	for name, d := range damageDirs(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(7, 8))
			for _, file := range listDir(t, d.dir) {
				info, err := os.Stat(filepath.Join(d.dir, file))
				if err != nil {
					t.Fatal(err)
				}
				sizes := []int64{-1, 0, 1, info.Size() - 1, info.Size() / 2}
				for range campaign(10) {
					sizes = append(sizes, rnd.Int64N(info.Size()))
				}
				for _, size := range sizes {
					dir := copyDir(t, d.dir)
					path := filepath.Join(dir, file)
					if size < 0 {
						err = os.Remove(path)
					} else {
						err = os.Truncate(path, size)
					}
					if err != nil {
						t.Fatal(err)
					}
					if !openDamaged(t, d, dir, file) && !strings.HasSuffix(file, stableName) {
						t.Fatalf("%s cut to %d of %d bytes was not noticed", file, size, info.Size())
					}
				}
			}
		})
	}
}

// bbolt would go on with the meta page before the newest, and so with an older vote.
func TestDamagedMetaPageOfTheStableStoreIsNoticed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := mustOpen(t, dir, Config{SegmentBytes: minSegmentBytes})
	for term := range uint64(4) { // both parities of the newest page
		if err := l.Stable().SetUint64([]byte("CurrentTerm"), term); err != nil {
			t.Fatal(err)
		}
		for page := range 2 {
			damaged := copyDir(t, dir)
			path := filepath.Join(damaged, stableName)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			b[page*os.Getpagesize()+16+48] ^= 1 // the number of the transaction
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(damaged, Config{SegmentBytes: minSegmentBytes}); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("term %d, page %d: got %v, want ErrCorrupt", term, page, err)
			}
		}
	}
}

// raft-wal reads a record from the disk each time, so damage may come while it runs.
func TestDamageUnderARunningLogIsNotServed(t *testing.T) {
	t.Parallel()
	for _, index := range []uint64{20, 178} { // in a sealed segment and in the tail
		dir, f := t.TempDir(), &fatals{}
		l := mustOpen(t, dir, Config{SegmentBytes: minSegmentBytes, Fatal: f.record})
		for i := range uint64(60) {
			mustStore(t, l, 1+3*i, 3, damageEntryBytes)
		}
		want := entry(index, damageEntryBytes)
		flipInFiles(t, dir, want.Data[100:140])
		var got raft.Log
		err := l.GetLog(index, &got)
		if !errors.Is(err, ErrCorrupt) || got.Data != nil {
			t.Fatalf("got %v, %d bytes, want ErrCorrupt", err, len(got.Data))
		}
		var corrupt *CorruptError
		if !errors.As(err, &corrupt) || filepath.Dir(corrupt.File) != dir || corrupt.Offset == 0 {
			t.Fatalf("got %v, want file and offset", err)
		}
		if code, _ := f.only(t); code != ExitCorrupt {
			t.Fatalf("got code %d, want %d", code, ExitCorrupt)
		}
		if err := l.StoreLog(entry(181, 1)); !errors.Is(err, ErrClosed) {
			t.Fatalf("store after damage: got %v, want ErrClosed", err)
		}
	}
}

// flipInFiles flips a bit where the files of dir hold these bytes.
func flipInFiles(t *testing.T, dir string, needle []byte) {
	t.Helper()
	for _, name := range listDir(t, dir) {
		path := filepath.Join(dir, name)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		at := strings.Index(string(b), string(needle))
		if at < 0 {
			continue
		}
		file, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteAt([]byte{needle[0] ^ 4}, int64(at)); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatal("no file holds the bytes")
}

func listDir(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// The one kind of damage that looks like a torn batch is found after an orderly stop.
func TestDamagedLastBatchWithZerosIsNoticedAfterClose(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := Config{SegmentBytes: minSegmentBytes}
	l := mustOpen(t, dir, cfg)
	mustStore(t, l, 1, 3, 100)
	last := &raft.Log{Index: 4, Term: 1, Data: append([]byte("the last words"), make([]byte, 4096)...)}
	if err := l.StoreLog(last); err != nil {
		t.Fatal(err)
	}
	killed := copyDir(t, dir)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	flipInFiles(t, dir, last.Data[:14])
	if _, err := Open(dir, cfg); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("closed: got %v, want ErrCorrupt", err)
	}
	// After a kill it cannot be told; see judgeRest.
	flipInFiles(t, killed, last.Data[:14])
	wantEntries(t, mustOpen(t, killed, cfg), 1, 3, 100)
}

func TestEntriesKeepTheirBytes(t *testing.T) {
	t.Parallel()
	l := mustOpen(t, t.TempDir(), Config{SegmentBytes: minSegmentBytes})
	for i := range uint64(30) {
		mustStore(t, l, 1+3*i, 3, damageEntryBytes)
	}
	mustStore(t, l, 91, 1, 100_000)
	got := make([]raft.Log, 91)
	for i := range got {
		if err := l.GetLog(uint64(i+1), &got[i]); err != nil {
			t.Fatal(err)
		}
	}
	for i := range got[:90] {
		if !equalEntries(&got[i], entry(uint64(i+1), damageEntryBytes)) {
			t.Fatalf("entry %d changed while others were read", i+1)
		}
	}
	if !equalEntries(&got[90], entry(91, 100_000)) {
		t.Fatal("the large entry changed")
	}
}

// A flipped bit in the index of a sealed segment leads to a whole record, but another.
func TestRecordOfAnotherIndexIsNotServed(t *testing.T) {
	t.Parallel()
	dir, f := t.TempDir(), &fatals{}
	l := mustOpen(t, dir, Config{SegmentBytes: minSegmentBytes, Fatal: f.record})
	for i := range uint64(60) {
		mustStore(t, l, 1+3*i, 3, damageEntryBytes)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = mustOpen(t, dir, Config{SegmentBytes: minSegmentBytes, Fatal: f.record}) // now the index is read from the file
	info := l.meta.segments()[0]
	file, err := os.OpenFile(filepath.Join(dir, segment.FileName(info)), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	offset, err := readAll(file, int64(info.IndexStart)+4*6, 4) // of entry 7
	if err == nil {
		_, err = file.WriteAt(offset, int64(info.IndexStart)+4*4) // as that of entry 5
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := l.GetLog(5, new(raft.Log)); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("got %v, want ErrCorrupt", err)
	}
	if code, _ := f.only(t); code != ExitCorrupt {
		t.Fatalf("got code %d", code)
	}
}

func TestTornBatchIsDroppedAndDoesNotComeBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := Config{SegmentBytes: minSegmentBytes}
	l := mustOpen(t, dir, cfg)
	mustStore(t, l, 1, 3, damageEntryBytes)
	end := l.files.tailEnd()
	mustStore(t, l, 4, 8, damageEntryBytes)
	dir = copyDir(t, dir)
	path := filepath.Join(dir, segment.FileName(l.meta.segments()[0]))
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	hole := (int(end)/sectorBytes + 1) * sectorBytes
	clear(b[hole : hole+sectorBytes])
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	l = mustOpen(t, dir, cfg)
	wantEntries(t, l, 1, 3, damageEntryBytes)
	mustStore(t, l, 4, 1, damageEntryBytes) // shorter than what was torn
	for range 2 {
		dir = copyDir(t, dir)
		l = mustOpen(t, dir, cfg)
		wantEntries(t, l, 1, 4, damageEntryBytes)
	}
}
