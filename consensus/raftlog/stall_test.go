package raftlog

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edri-io/edri/internal/fault"
)

// stalling opens a log whose syncs wait until release is closed, once stall is set.
func stalling(t *testing.T, leading func() bool) (l *Log, f *fatals, stall *atomic.Bool, release chan struct{}) {
	t.Helper()
	f, stall, release = &fatals{}, &atomic.Bool{}, make(chan struct{})
	seam := func(s fault.Step) error {
		if s.Op == fault.OpSync && stall.Load() {
			<-release
		}
		return nil
	}
	l, err := Open(t.TempDir(), Config{SegmentBytes: minSegmentBytes, Seam: seam, Fatal: f.record, Leading: leading})
	if err != nil {
		t.Fatal(err)
	}
	return l, f, stall, release
}

func TestStalledWriteOfALeaderEndsTheNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, f, stall, release := stalling(t, func() bool { return true })
		mustStore(t, l, 1, 1, 10)
		time.Sleep(10 * time.Second) // idle is no stall
		f.none(t)
		stall.Store(true)
		done := make(chan error, 1)
		go func() { done <- l.StoreLogs(batch(2, 1, 10)) }()
		time.Sleep(2900 * time.Millisecond)
		f.none(t)
		time.Sleep(600 * time.Millisecond)
		code, err := f.only(t)
		if code != ExitStall || !errors.Is(err, ErrStalled) {
			t.Fatalf("got code %d, %v", code, err)
		}
		close(release)
		<-done
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestStalledWriteOfAFollowerOrALonelyLeaderIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var leading atomic.Bool
		l, f, stall, release := stalling(t, leading.Load)
		stall.Store(true)
		done := make(chan error, 1)
		go func() { done <- l.StoreLogs(batch(1, 1, 10)) }()
		time.Sleep(time.Minute)
		f.none(t)
		leading.Store(true) // now another could take over
		time.Sleep(time.Second)
		if code, _ := f.only(t); code != ExitStall {
			t.Fatalf("got code %d", code)
		}
		close(release)
		<-done
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestSlowWritesAreNotAStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func(s fault.Step) error {
			if s.Op == fault.OpSync && !s.After {
				time.Sleep(2 * time.Second)
			}
			return nil
		}
		f := &fatals{}
		l, err := Open(t.TempDir(), Config{SegmentBytes: minSegmentBytes, Seam: slow, Fatal: f.record,
			Leading: func() bool { return true }})
		if err != nil {
			t.Fatal(err)
		}
		for i := range uint64(10) {
			mustStore(t, l, 1+i, 1, 10)
		}
		f.none(t)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
