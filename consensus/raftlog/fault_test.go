package raftlog

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/internal/fault"
)

// acked is what a run of the workload was told to be durable.
type acked struct {
	first, last uint64 // of the log
	maybe       uint64 // last index of a store whose outcome is unknown, 0 = none
	deleting    uint64 // of a delete whose outcome is unknown: first (prefix) or last (suffix)
	suffix      bool
	term        uint64
	maybeTerm   uint64
}

// work runs a fixed workload until the first error: segments fill, both ends are
// deleted, terms change.
func work(l *Log, a *acked) error {
	store := func(n int) error {
		a.maybe = a.last + uint64(n)
		if err := l.StoreLogs(batch(a.last+1, n, 3000)); err != nil {
			return err
		}
		a.last, a.maybe = a.maybe, 0
		a.first = max(a.first, 1)
		return nil
	}
	term := func() error {
		a.maybeTerm = a.term + 1
		if err := l.Stable().SetUint64([]byte("CurrentTerm"), a.maybeTerm); err != nil {
			return err
		}
		a.term, a.maybeTerm = a.maybeTerm, 0
		return nil
	}
	for round := range 2 {
		if err := term(); err != nil {
			return err
		}
		for range 4 {
			if err := store(6); err != nil {
				return err
			}
		}
		if round == 1 {
			a.deleting, a.suffix = a.last-7, true
			if err := l.DeleteRange(a.last-6, a.last); err != nil {
				return err
			}
			a.last, a.deleting, a.suffix = a.deleting, 0, false
		}
		a.deleting = a.last - 5
		if err := l.DeleteRange(a.first, a.last-6); err != nil {
			return err
		}
		a.first, a.deleting = a.deleting, 0
	}
	return nil
}

// check opens the directory again and holds it to what was acknowledged.
func (a *acked) check(t *testing.T, dir, what string) {
	t.Helper()
	l, err := Open(dir, Config{SegmentBytes: minSegmentBytes})
	if err != nil {
		t.Fatalf("%s: open again: %v", what, err)
	}
	defer l.Close()
	first, err1 := l.FirstIndex()
	last, err2 := l.LastIndex()
	okFirst := first == a.first || (a.deleting != 0 && !a.suffix && first == a.deleting) || (a.first == 0 && first == 1)
	okLast := last == a.last || (a.maybe != 0 && last == a.maybe) || (a.suffix && last == a.deleting)
	if err1 != nil || err2 != nil || !okFirst || !okLast {
		t.Fatalf("%s: got [%d, %d] (%v, %v), acknowledged %+v", what, first, last, err1, err2, *a)
	}
	for i := first; i <= last && i > 0; i++ {
		var got raft.Log
		if err := l.GetLog(i, &got); err != nil || !equalEntries(&got, entry(i, 3000)) {
			t.Fatalf("%s: entry %d: %v", what, i, err)
		}
	}
	term, err := l.Stable().GetUint64([]byte("CurrentTerm"))
	if err != nil || (term != a.term && (a.maybeTerm == 0 || term != a.maybeTerm)) {
		t.Fatalf("%s: got term %d, %v, acknowledged %+v", what, term, err, *a)
	}
	if err := l.StoreLogs(batch(last+1, 30, 3000)); err != nil {
		t.Fatalf("%s: store after restart: %v", what, err)
	}
}

func TestFailureAtEveryStepEndsTheNodeAndLosesNothing(t *testing.T) {
	t.Parallel()
	for _, kind := range []struct {
		name string
		make func(int) *fault.Injector
	}{{"fail", fault.FailAt}, {"crash", fault.CrashAt}} {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			for n := 1; ; n++ {
				injector := kind.make(n)
				dir := filepath.Join(t.TempDir(), "raft")
				f, a := &fatals{}, &acked{}
				what := fmt.Sprintf("%s at step %d", kind.name, n)
				l, err := Open(dir, Config{SegmentBytes: minSegmentBytes, Seam: injector.Seam(), Fatal: f.record})
				if err != nil {
					if !errors.Is(err, fault.ErrInjected) {
						t.Fatalf("%s: open: %v", what, err)
					}
					f.none(t)
				} else {
					err := work(l, a)
					closeErr := l.Close()
					if !injector.Fired() {
						if err != nil || closeErr != nil {
							t.Fatalf("%s: %v, %v", what, err, closeErr)
						}
						a.check(t, dir, what)
						if n < 100 {
							t.Fatalf("the workload has %d steps only", n)
						}
						return
					}
					if code, cause := f.only2(); closeErr == nil && (code != ExitStorage || !errors.Is(cause, fault.ErrInjected)) {
						t.Fatalf("%s: work %v, close %v, fatal %d %v", what, err, closeErr, code, cause)
					}
				}
				a.check(t, dir, what)
			}
		})
	}
}

// only2 is what was reported, -1 for nothing, -2 for more than once.
func (f *fatals) only2() (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch len(f.codes) {
	case 0:
		return -1, nil
	case 1:
		return f.codes[0], f.errs[0]
	}
	return -2, errors.Join(f.errs...)
}

func TestFatalIsCalledBeforeTheErrorIsReturned(t *testing.T) {
	t.Parallel()
	var failing bool
	seam := func(s fault.Step) error {
		if failing && s.Op == fault.OpSync {
			return fault.ErrInjected
		}
		return nil
	}
	returned := false
	code := 0
	l := mustOpen(t, t.TempDir(), Config{SegmentBytes: minSegmentBytes, Seam: seam, Fatal: func(c int, err error) {
		if returned {
			t.Error("the error was returned first")
		}
		code = c
	}})
	mustStore(t, l, 1, 1, 10)
	failing = true
	err := l.StoreLogs(batch(2, 1, 10))
	returned = true
	if !errors.Is(err, fault.ErrInjected) || code != ExitStorage {
		t.Fatalf("got %v, code %d", err, code)
	}
	if err := l.StoreLogs(batch(2, 1, 10)); !errors.Is(err, ErrClosed) {
		t.Fatalf("store after a failed sync: got %v, want ErrClosed", err)
	}
	if err := l.DeleteRange(1, 1); !errors.Is(err, ErrClosed) {
		t.Fatalf("delete after a failed sync: got %v, want ErrClosed", err)
	}
}
