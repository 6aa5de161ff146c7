package store

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/edri-io/edri/internal/fault"
)

var bucketB = []byte("b")

func initBucket(tx *bbolt.Tx) error {
	b, err := tx.CreateBucket(bucketB)
	if err != nil {
		return err
	}
	return b.Put([]byte("k"), []byte("v"))
}

func TestCreateBoltMakesAWholeFileOrNone(t *testing.T) {
	t.Parallel()
	for n := 1; ; n++ {
		inj := fault.CrashAt(n)
		path := filepath.Join(t.TempDir(), "db")
		err := CreateBolt(inj.Seam(), path, initBucket, nil)
		if !inj.Fired() {
			if err != nil {
				t.Fatal(err)
			}
			if n < 10 {
				t.Fatalf("only %d steps; want create, commit, rename, syncdir on both sides", n-1)
			}
			return
		}
		if !errors.Is(err, ErrIO) {
			t.Errorf("step %d: got %v, want ErrIO", n, err)
		}
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			if err := CreateBolt(nil, path, initBucket, nil); err != nil {
				t.Errorf("step %d: creating again: %v", n, err)
			}
		}
		db, err := OpenBolt(nil, path, nil)
		if err != nil {
			t.Fatalf("step %d: open: %v", n, err)
		}
		err = db.View(func(tx *bbolt.Tx) error {
			if got := string(tx.Bucket(bucketB).Get([]byte("k"))); got != "v" {
				t.Errorf("step %d: got %q, want v", n, got)
			}
			return nil
		})
		if err := errors.Join(err, db.Close()); err != nil {
			t.Error(err)
		}
	}
}

func TestCreateBoltRefusesAnExistingFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := CreateBolt(nil, path, initBucket, nil); !errors.Is(err, os.ErrExist) {
		t.Fatalf("got %v, want ErrExist", err)
	}
}

func TestCreateBoltLeavesNothingWhenInitFails(t *testing.T) {
	t.Parallel()
	own := errors.New("own")
	path := filepath.Join(t.TempDir(), "db")
	if err := CreateBolt(nil, path, func(*bbolt.Tx) error { return own }, nil); !errors.Is(err, own) {
		t.Fatalf("got %v, want own error", err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 0 {
		t.Fatalf("got %v, %v; want an empty directory", entries, err)
	}
}

func TestOpenBoltDoesNotInventAFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "db")
	if _, err := OpenBolt(nil, path, nil); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("missing: got %v, want ErrNotExist", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenBolt(nil, path, nil); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("empty: got %v, want ErrCorrupt", err)
	}
}

func TestOpenBoltRefusesAFileInUse(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "db")
	if err := CreateBolt(nil, path, initBucket, nil); err != nil {
		t.Fatal(err)
	}
	db, err := OpenBolt(nil, path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := OpenBolt(nil, path, nil); !errors.Is(err, ErrLocked) {
		t.Fatalf("got %v, want ErrLocked", err)
	}
}

func TestCommitBoltReportsBothSides(t *testing.T) {
	t.Parallel()
	for n, visible := range map[int]bool{1: false, 2: true} {
		path := filepath.Join(t.TempDir(), "db")
		if err := CreateBolt(nil, path, initBucket, nil); err != nil {
			t.Fatal(err)
		}
		db, err := OpenBolt(nil, path, nil)
		if err != nil {
			t.Fatal(err)
		}
		tx, err := db.Begin(true)
		if err != nil {
			t.Fatal(err)
		}
		if err := tx.Bucket(bucketB).Put([]byte("k"), []byte("new")); err != nil {
			t.Fatal(err)
		}
		if err := CommitBolt(fault.FailAt(n).Seam(), tx); !errors.Is(err, ErrIO) {
			t.Fatalf("step %d: got %v, want ErrIO", n, err)
		}
		_ = db.View(func(tx *bbolt.Tx) error {
			if got := string(tx.Bucket(bucketB).Get([]byte("k"))) == "new"; got != visible {
				t.Errorf("step %d: got change visible %t, want %t", n, got, visible)
			}
			return nil
		})
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A process that is being started shares the locks of its parent's files until it
// is another program: who opens a file just then must wait for it.
func TestOpenBoltWaitsForAShortLock(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	if err := CreateBolt(nil, path, func(*bbolt.Tx) error { return nil }, nil); err != nil {
		t.Fatal(err)
	}
	holder, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := flock(holder, syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	time.AfterFunc(30*time.Millisecond, func() { closed <- holder.Close() })
	db, err := OpenBolt(nil, path, nil)
	if err := errors.Join(err, <-closed); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}
