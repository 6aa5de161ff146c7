package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/edri-io/edri/internal/fault"
	"github.com/edri-io/edri/internal/fault/trace"
)

var crashScript = script{seed: 1, flushes: 4}

// helper is the main function of a helper process.
func helper(path, mode string) int {
	runtime.LockOSThread() // strace counts by thread
	s := crashScript
	if mode == "flush" {
		s.flushes = 1
	}
	err := s.run(path, testConfig(nil), func(i int) {
		_, _ = fmt.Fprintf(os.Stdout, "acknowledged %d\n", i)
	})
	switch {
	case errors.Is(err, ErrIO):
		fmt.Fprintln(os.Stderr, err)
		return exitStorage
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		return exitOther
	}
	return 0
}

// TestCrashAtEverySeam dies before and after each of our own file operations
// and bbolt commits.
func TestCrashAtEverySeam(t *testing.T) {
	t.Parallel()
	forEveryStep(t, fault.CrashAt)
}

// TestFailureAtEverySeam fails each of them once and goes on: the database
// must refuse to.
func TestFailureAtEverySeam(t *testing.T) {
	t.Parallel()
	forEveryStep(t, fault.FailAt)
}

func forEveryStep(t *testing.T, inject func(n int) *fault.Injector) {
	atLeast := 11 + 2*crashScript.flushes // creation and opening, then the commits
	for n := 1; ; n++ {
		path := filepath.Join(t.TempDir(), "state.db")
		inj, acked := inject(n), -1
		err := crashScript.run(path, testConfig(inj.Seam()), func(i int) { acked = i })
		if !inj.Fired() {
			if err != nil || acked != crashScript.flushes {
				t.Errorf("without a fault: got %v after flush %d", err, acked)
			}
			if n-1 < atLeast {
				t.Errorf("got %d steps, want at least %d", n-1, atLeast)
			}
			return
		}
		if !errors.Is(err, ErrIO) || !errors.Is(err, fault.ErrInjected) {
			t.Errorf("step %d: got %v, want ErrIO", n, err)
		}
		crashScript.verify(t, path, acked)
	}
}

// TestFailedFlushFailsEveryLaterCall is what keeps a process from going on
// with a page cache that may lie.
func TestFailedFlushFailsEveryLaterCall(t *testing.T) {
	t.Parallel()
	steps := 0
	var fail bool
	seam := fault.Seam(func(s fault.Step) error {
		if steps++; fail && s.Op == fault.OpCommit && !s.After {
			fail = false
			return fault.ErrInjected
		}
		return nil
	})
	db := openAt(t, filepath.Join(t.TempDir(), "state.db"), seam)
	tx, a := db.Begin(), db.Table("alpha")
	view := db.View()
	defer view.Close()
	tx.Put(a, []byte("k"), []byte("v"))
	db.Publish()
	f := db.Freeze()
	fail = true
	if err := db.Flush(f); !errors.Is(err, ErrIO) {
		t.Fatalf("got %v, want ErrIO", err)
	}
	later := map[string]error{"flush": db.Flush(f), "flush nothing": db.Flush(nil)}
	_, later["get"] = tx.Get(a, []byte("k"))
	_, later["view get"] = view.Get(a, []byte("k"))
	_, later["scan"] = scanAll(tx.Scan(a, nil, nil, false))
	_, later["view scan"] = scanAll(view.Scan(a, nil, nil, false))
	_, later["pin"] = db.Pin()
	later["check"] = db.Check(context.Background())
	for call, err := range later {
		if !errors.Is(err, ErrIO) || !errors.Is(err, fault.ErrInjected) {
			t.Errorf("%s: got %v, want the error of the flush", call, err)
		}
	}
}

// TestCrashAtEverySystemCall kills a process before each of its calls that
// change files: inside bbolt's commits too, which the seam cannot reach.
func TestCrashAtEverySystemCall(t *testing.T) {
	t.Parallel()
	forEverySystemCall(t, true)
}

// TestFailureOfEverySystemCall makes each of them return EIO once. The process
// must end with a storage error, whatever call it was.
func TestFailureOfEverySystemCall(t *testing.T) {
	t.Parallel()
	forEverySystemCall(t, false)
}

// changing are the calls that are made to fail, with how many of each the
// script makes at least. Renames are one of the three, by architecture.
var changing = map[string]int{
	"pwrite64": 30, "fdatasync": 11, "fsync": 2, "ftruncate": 1, "rename": 0, "renameat": 0, "renameat2": 0,
}

func forEverySystemCall(t *testing.T, kill bool) {
	if err := trace.Available(); err != nil {
		t.Skipf("cannot trace: %v", err)
	}
	var mu sync.Mutex
	visible := 0 // runs whose unacknowledged flush is in the file; guarded by mu
	t.Run("calls", func(t *testing.T) {
		for call, atLeast := range changing {
			t.Run(call, func(t *testing.T) {
				t.Parallel()
				for n := 1; ; n++ {
					fired, seen := systemCall(t, &trace.Injection{Call: call, Nth: n, Kill: kill})
					if !fired {
						if n-1 < atLeast {
							t.Errorf("got %d calls, want at least %d", n-1, atLeast)
						}
						return
					}
					if seen {
						mu.Lock()
						visible++
						mu.Unlock()
					}
				}
			})
		}
	})
	// The trap of bbolt: a commit whose last sync fails is there nevertheless.
	// One for each flush.
	if visible != crashScript.flushes {
		t.Errorf("in %d runs a failed flush was visible, want %d", visible, crashScript.flushes)
	}
}

// systemCall runs the script with a fault. It reports whether the script had
// as many calls, and whether a flush that was not acknowledged is in the file.
func systemCall(t *testing.T, inject *trace.Injection) (fired, visible bool) {
	path := filepath.Join(t.TempDir(), "state.db")
	_, result, err := trace.Run(context.Background(), inject,
		os.Args[0], []string{helperPath + "=" + path, "GOMAXPROCS=1"})
	if err != nil {
		t.Error(err)
		return false, false
	}
	acked := strings.Count(result.Stdout, "acknowledged") - 1
	if result.Code == 0 && acked == crashScript.flushes {
		return false, false
	}
	want := exitStorage
	if inject.Kill {
		want = -1
	}
	if result.Code != want {
		t.Errorf("%+v: exit %d, want %d: %s", *inject, result.Code, want, result.Stderr)
		return false, false // or it might go on for ever
	}
	if _, err := os.Stat(path); acked < 0 && err != nil {
		return true, false
	}
	found := crashScript.verify(t, path, acked)
	return true, acked >= 0 && found > acked
}
