package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/edri-io/edri/internal/fault"
)

const testMmap = 1 << 30

var testTables = []string{"alpha", "beta", "log"}

// openTest opens a database in a new directory and checks it when the test
// ends.
func openTest(t testing.TB) *DB {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "state.db"), nil)
}

func openAt(t testing.TB, path string, seam fault.Seam) *DB {
	t.Helper()
	db, err := Open(path, testConfig(seam))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeTest(t, db) })
	return db
}

func testConfig(seam fault.Seam) Config {
	return Config{
		Tables: testTables, AppendOrdered: []string{"log"}, InitialMmap: testMmap, Seam: seam,
	}
}

// closeTest checks the file in two ways, ours and bbolt's, and closes it.
func closeTest(t testing.TB, db *DB) {
	t.Helper()
	db.mu.Lock()
	closed := db.closed
	db.mu.Unlock()
	if !closed && db.failure() == nil {
		if err := db.Check(context.Background()); err != nil {
			t.Errorf("check: %v", err)
		}
		_ = db.bolt.View(func(tx *bbolt.Tx) error {
			for err := range tx.Check() {
				t.Errorf("bbolt's check: %v", err)
			}
			return nil
		})
	}
	if err := db.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func flush(t testing.TB, db *DB) {
	t.Helper()
	db.Publish()
	if err := db.Flush(db.Freeze()); err != nil {
		t.Fatal(err)
	}
}

type getter interface {
	Get(t Table, key []byte) ([]byte, error)
}

// wantRow fails unless the row has this value; "-" stands for no row.
func wantRow(t testing.TB, g getter, table Table, key, want string) {
	t.Helper()
	got, err := g.Get(table, []byte(key))
	if err != nil {
		t.Errorf("get %q: %v", key, err)
	} else if (got == nil) != (want == "-") || (got != nil && string(got) != want) {
		t.Errorf("get %q: got %q (nil %t), want %q", key, got, got == nil, want)
	}
}

func TestRowGoesThroughAllLayers(t *testing.T) {
	t.Parallel()
	db := openTest(t)
	tx, a, b := db.Begin(), db.Table("alpha"), db.Table("beta")
	wantRow(t, tx, a, "k", "-")

	s := tx.Scratch()
	s.Put(a, []byte("k"), []byte("v"))
	wantRow(t, s, a, "k", "v")
	wantRow(t, tx, a, "k", "-")
	s.Merge()
	wantRow(t, tx, a, "k", "v")
	wantRow(t, tx, b, "k", "-")

	before := db.View()
	defer before.Close()
	db.Publish()
	wantRow(t, before, a, "k", "-")
	after := db.View()
	defer after.Close()
	wantRow(t, after, a, "k", "v")

	f := db.Freeze()
	if db.Freeze() != nil {
		t.Error("froze twice without a flush")
	}
	wantRow(t, tx, a, "k", "v")
	tx.Delete(a, []byte("k"))
	wantRow(t, tx, a, "k", "-")
	if err := db.Flush(f); err != nil {
		t.Fatal(err)
	}
	wantRow(t, tx, a, "k", "-")
	wantRow(t, before, a, "k", "-")
	wantRow(t, after, a, "k", "v")
	flush(t, db)
	wantRow(t, tx, a, "k", "-")
	wantRow(t, after, a, "k", "v")
}

func TestEmptyValueIsNotAbsent(t *testing.T) {
	t.Parallel()
	db := openTest(t)
	tx, a := db.Begin(), db.Table("alpha")
	tx.Put(a, []byte("k"), nil)
	wantRow(t, tx, a, "k", "")
	flush(t, db)
	wantRow(t, tx, a, "k", "")
	it := tx.Scan(a, nil, nil, false)
	defer it.Close()
	if !it.Next() || it.Value() == nil || it.Next() || it.Err() != nil {
		t.Errorf("scan: want one row with an empty value, err %v", it.Err())
	}
}

func TestDeleteLeavesATombstoneOnlyAboveARow(t *testing.T) {
	t.Parallel()
	db := openTest(t)
	tx, a := db.Begin(), db.Table("alpha")
	tx.Put(a, []byte("short"), []byte("lived"))
	tx.Delete(a, []byte("short"))
	tx.Delete(a, []byte("never there"))
	db.Publish()
	if f := db.Freeze(); f != nil {
		t.Fatalf("got %d rows to flush, want none", f.Rows())
	}
	if n := db.DirtyBytes(); n != 0 {
		t.Errorf("got %d dirty bytes, want 0", n)
	}
	tx.Put(a, []byte("durable"), []byte("row"))
	flush(t, db)
	tx.Delete(a, []byte("durable"))
	db.Publish()
	if f := db.Freeze(); f == nil || f.Rows() != 1 {
		t.Fatalf("got %v to flush, want one tombstone", f)
	} else if err := db.Flush(f); err != nil {
		t.Fatal(err)
	}
	wantRow(t, tx, a, "durable", "-")
}

func TestDirtyBytesFallsToZero(t *testing.T) {
	t.Parallel()
	db := openTest(t)
	tx, a := db.Begin(), db.Table("alpha")
	for i := range 100 {
		tx.Put(a, fmt.Append(nil, i), make([]byte, 1000))
	}
	if n := db.DirtyBytes(); n != 0 {
		t.Errorf("before Publish: got %d, want 0", n)
	}
	db.Publish()
	if n := db.DirtyBytes(); n < 100_000 || n > 130_000 {
		t.Errorf("after Publish: got %d, want about 100,000", n)
	}
	f := db.Freeze()
	if n := db.DirtyBytes(); n < 100_000 {
		t.Errorf("frozen: got %d, want still about 100,000", n)
	}
	if err := db.Flush(f); err != nil {
		t.Fatal(err)
	}
	if n := db.DirtyBytes(); n != 0 {
		t.Errorf("after Flush: got %d, want 0", n)
	}
}

// TestIteratorSeesTheTableAsAtScan does as timers do: handle what is due,
// remove it and set new ones, within the iteration.
func TestIteratorSeesTheTableAsAtScan(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]struct {
		scratch, flushed bool
		rows             int
	}{
		"top": {rows: 1000}, "small scratch": {scratch: true, rows: 5},
		"large scratch": {scratch: true, rows: 1000}, "file": {flushed: true, rows: 1000},
	} {
		for _, reverse := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s reverse %t", name, reverse), func(t *testing.T) {
				t.Parallel()
				db := openTest(t)
				tx, a := db.Begin(), db.Table("alpha")
				if in.scratch {
					tx = tx.Scratch()
				}
				var want []string
				for i := range in.rows {
					key := fmt.Sprintf("%04d", i)
					tx.Put(a, []byte(key), []byte(key))
					want = append(want, key)
				}
				if in.flushed {
					flush(t, db)
				}
				if reverse {
					slices.Reverse(want)
				}
				it := tx.Scan(a, nil, nil, reverse)
				defer it.Close()
				var got []string
				for it.Next() {
					got = append(got, string(it.Key()))
					tx.Delete(a, it.Key())
					tx.Put(a, append([]byte("0500-"), it.Key()...), nil)
				}
				if !slices.Equal(got, want) || it.Err() != nil {
					t.Errorf("got %d rows, %v; want the %d that were there", len(got), it.Err(), len(want))
				}
				wantRow(t, tx, a, want[0], "-")
				wantRow(t, tx, a, "0500-"+want[0], "")
			})
		}
	}
}

func TestCloseWaitsForViews(t *testing.T) {
	t.Parallel()
	db := openTest(t)
	a := db.Table("alpha")
	db.Begin().Put(a, []byte("k"), []byte("v"))
	flush(t, db)
	v := db.View()
	closed := make(chan error)
	go func() { closed <- db.Close() }()
	for closing := false; !closing; runtime.Gosched() {
		other := db.View()
		closing = other.err != nil
		other.Close()
	}
	select {
	case err := <-closed:
		t.Fatalf("closed below a view: %v", err)
	default:
	}
	wantRow(t, v, a, "k", "v")
	v.Close()
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

func TestFlushTwiceIsAnErrorAndNothingIsLost(t *testing.T) {
	t.Parallel()
	db := openTest(t)
	tx, a := db.Begin(), db.Table("alpha")
	tx.Put(a, []byte("k"), []byte("v"))
	db.Publish()
	f := db.Freeze()
	if err := db.Flush(f); err != nil {
		t.Fatal(err)
	}
	if err := db.Flush(f); err == nil {
		t.Error("second flush: got no error")
	}
	wantRow(t, tx, a, "k", "v")
}

func TestMisuseOfScratchPanics(t *testing.T) {
	t.Parallel()
	for name, misuse := range map[string]func(db *DB, tx *Tx, a Table){
		"put below an open scratch": func(_ *DB, tx *Tx, a Table) { tx.Scratch(); tx.Put(a, []byte("k"), nil) },
		"put after merge":           func(_ *DB, tx *Tx, a Table) { s := tx.Scratch(); s.Merge(); s.Put(a, []byte("k"), nil) },
		"publish below a scratch":   func(db *DB, tx *Tx, _ Table) { tx.Scratch(); db.Publish() },
		"freeze the unpublished":    func(db *DB, tx *Tx, a Table) { tx.Put(a, []byte("k"), nil); db.Freeze() },
		"merge the top":             func(_ *DB, tx *Tx, _ Table) { tx.Merge() },
		"empty key":                 func(_ *DB, tx *Tx, a Table) { tx.Put(a, nil, nil) },
		"key too long":              func(_ *DB, tx *Tx, a Table) { tx.Put(a, make([]byte, MaxKey+1), nil) },
		"unknown table":             func(db *DB, _ *Tx, _ Table) { db.Table("none") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := openTest(t)
			defer func() {
				if recover() == nil {
					t.Error("did not panic")
				}
			}()
			misuse(db, db.Begin(), db.Table("alpha"))
		})
	}
}

func TestReopenFindsWhatWasFlushed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	db := openAt(t, path, nil)
	tx, a := db.Begin(), db.Table("alpha")
	tx.Put(a, []byte("flushed"), []byte("1"))
	flush(t, db)
	tx.Put(a, []byte("published"), []byte("2"))
	db.Publish()
	closeTest(t, db)
	db = openAt(t, path, nil)
	wantRow(t, db.Begin(), a, "flushed", "1")
	wantRow(t, db.Begin(), a, "published", "-")
}

func TestOpenAddsTablesAndKeepsThoseItDoesNotKnow(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	db := openAt(t, path, nil)
	db.Begin().Put(db.Table("alpha"), []byte("k"), []byte("v"))
	flush(t, db)
	closeTest(t, db)

	other, err := Open(path, Config{Tables: []string{"gamma"}, InitialMmap: testMmap})
	if err != nil {
		t.Fatal(err)
	}
	wantRow(t, other.Begin(), other.Table("gamma"), "k", "-")
	closeTest(t, other)

	db = openAt(t, path, nil)
	wantRow(t, db.Begin(), db.Table("alpha"), "k", "v")
}

func TestOpenRefusesOtherFormats(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	err := CreateBolt(nil, path, func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket([]byte(formatBucket))
		if err != nil {
			return err
		}
		return b.Put(versionKey, sealRow(tableSeed(formatBucket), versionKey, []byte{2, 0, 0, 0}))
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(path, testConfig(nil))
	if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("newer: got %v, want ErrFormat naming version 2", err)
	}
	foreign := filepath.Join(t.TempDir(), "other.db")
	if err := CreateBolt(nil, foreign, initBucket, nil); err != nil {
		t.Fatal(err)
	}
	if _, err = Open(foreign, testConfig(nil)); !errors.Is(err, ErrFormat) {
		t.Errorf("foreign: got %v, want ErrFormat", err)
	}
}

func TestOpenRefusesASecondOpener(t *testing.T) {
	t.Parallel()
	db := openTest(t)
	if _, err := Open(db.Path(), testConfig(nil)); !errors.Is(err, ErrLocked) {
		t.Fatalf("got %v, want ErrLocked", err)
	}
}

func TestOpenRefusesABadConfig(t *testing.T) {
	t.Parallel()
	for _, cfg := range []Config{
		{Tables: []string{""}},
		{Tables: []string{"~format"}},
		{Tables: []string{"Upper"}},
		{Tables: []string{"a", "a"}},
		{Tables: []string{"a"}, AppendOrdered: []string{"b"}},
		{Tables: make([]string, maxTables+1)},
	} {
		path := filepath.Join(t.TempDir(), "state.db")
		if _, err := Open(path, cfg); err == nil {
			t.Errorf("%q: got no error", cfg.Tables)
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%q: a file was created", cfg.Tables)
		}
	}
}

func TestClosedDatabaseSaysSo(t *testing.T) {
	t.Parallel()
	db := openTest(t)
	closeTest(t, db)
	if err := db.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
	v := db.View()
	if _, err := v.Get(0, []byte("k")); !errors.Is(err, ErrClosed) {
		t.Errorf("view: got %v, want ErrClosed", err)
	}
	v.Close()
	if _, err := db.Pin(); !errors.Is(err, ErrClosed) {
		t.Errorf("pin: got %v, want ErrClosed", err)
	}
}

func TestCopyIsADatabase(t *testing.T) {
	t.Parallel()
	db := openTest(t)
	tx, a := db.Begin(), db.Table("alpha")
	for i := range 1000 {
		tx.Put(a, fmt.Append(nil, i), fmt.Append(nil, i))
	}
	flush(t, db)
	pin, err := db.Pin()
	if err != nil {
		t.Fatal(err)
	}
	defer pin.Close()
	tx.Put(a, []byte("7"), []byte("later"))
	flush(t, db)

	path := filepath.Join(t.TempDir(), "copy.db")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	n, err := pin.WriteTo(f)
	if err := errors.Join(err, f.Close()); err != nil || n != pin.Size() {
		t.Fatalf("got %d bytes, %v; want %d", n, err, pin.Size())
	}
	wantRow(t, pin, a, "7", "7")
	if err := CheckFile(context.Background(), path); err != nil {
		t.Fatal(err)
	}
	other := openAt(t, path, nil)
	wantRow(t, other.Begin(), a, "7", "7")
	wantRow(t, other.Begin(), a, "999", "999")
}

type badWriter struct{ err error }

func (w badWriter) Write([]byte) (int, error) { return 0, w.err }

func TestCopyDoesNotBlameTheDiskForItsWriter(t *testing.T) {
	t.Parallel()
	db := openTest(t)
	own := errors.New("own")
	if _, err := db.Copy(badWriter{own}); !errors.Is(err, own) || errors.Is(err, ErrIO) {
		t.Fatalf("got %v, want own error and not ErrIO", err)
	}
}

func TestFileThatOutgrowsItsMapFailsAndOpensAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	cfg := testConfig(nil)
	cfg.InitialMmap = 1 << 20
	db, err := Open(path, cfg)
	if err != nil {
		t.Fatal(err)
	}
	a := db.Table("alpha")
	durable := 0
	for i := 0; ; i++ {
		db.Begin().Put(a, fmt.Append(nil, i), make([]byte, 100_000))
		db.Publish()
		if err := db.Flush(db.Freeze()); err != nil {
			if !errors.Is(err, ErrIO) {
				t.Errorf("got %v, want ErrIO", err)
			}
			break
		}
		durable = i
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db, err = Open(path, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer closeTest(t, db)
	if v, err := db.Begin().Get(a, fmt.Append(nil, durable)); err != nil || len(v) != 100_000 {
		t.Errorf("got %d bytes, %v; want the last durable row", len(v), err)
	}
	db.Begin().Put(a, []byte("more"), make([]byte, 100_000))
	flush(t, db)
}

func TestMapSizeIsRoundedAsBboltRounds(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ initial, file, want int64 }{
		{0, 0, 1 << 15}, {1 << 20, 0, 1 << 20}, {1<<20 + 1, 0, 1 << 21}, {0, 1 << 29, 1 << 30},
		{1<<30 + 1, 0, 2 << 30}, {64 << 30, 40 << 30, 80 << 30}, {64 << 30, 1, 64 << 30},
	} {
		if got := mapSize(tc.initial, tc.file); got != tc.want {
			t.Errorf("mapSize(%d, %d): got %d, want %d", tc.initial, tc.file, got, tc.want)
		}
	}
	if got := defaultMmap("linux", 64); got != 64<<30 {
		t.Errorf("64-bit Linux: got %d, want 64 GiB", got)
	}
}
