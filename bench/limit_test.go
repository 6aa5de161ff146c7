package bench

import (
	"bytes"
	"errors"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// memoryFile records what is written and whether it was synced, and takes
// syncTime for each sync.
type memoryFile struct {
	mu       sync.Mutex
	data     []byte
	unsynced int // bytes written since the last sync
	syncs    int
	syncTime time.Duration
	syncErr  error
	closed   bool
}

func (f *memoryFile) WriteAt(p []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if need := int(off) + len(p); need > len(f.data) {
		f.data = append(f.data, make([]byte, need-len(f.data))...)
	}
	f.unsynced += len(p)
	return copy(f.data[off:], p), nil
}

func (f *memoryFile) Datasync() error {
	time.Sleep(f.syncTime) // in a synctest bubble: no real time passes
	f.mu.Lock()
	defer f.mu.Unlock()
	f.syncs++
	f.unsynced = 0
	return f.syncErr
}

func (f *memoryFile) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	return nil
}

func memoryFiles(syncTimes ...time.Duration) ([]*memoryFile, []syncFile) {
	var files []*memoryFile
	var out []syncFile
	for _, d := range syncTimes {
		f := &memoryFile{syncTime: d}
		files, out = append(files, f), append(out, f)
	}
	return files, out
}

func TestLimitAnswersWhenTheSlowestFileIsSynced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		files, open := memoryFiles(time.Millisecond, 5*time.Millisecond, 2*time.Millisecond)
		l := newDiskLimit(open, 1<<20, 100)
		began := time.Now()
		if err := l.submit(make(chan error, 1)); err != nil {
			t.Fatalf("submit: %v", err)
		}
		if took := time.Since(began); took != 5*time.Millisecond {
			t.Errorf("answered after %v, want the slowest file's 5ms", took)
		}
		for i, f := range files {
			if len(f.data) != 100 || f.unsynced != 0 || f.syncs != 1 {
				t.Errorf("file %d holds %d bytes, %d unsynced, %d syncs; want 100, 0, 1", i, len(f.data), f.unsynced, f.syncs)
			}
		}
		if err := l.close(); err != nil {
			t.Fatalf("close: %v", err)
		}
		for i, f := range files {
			if !f.closed {
				t.Errorf("file %d is not closed", i)
			}
		}
	})
}

func TestLimitWritesAllThatIsPendingInOneBatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		files, open := memoryFiles(time.Millisecond, time.Millisecond, time.Millisecond)
		l := newDiskLimit(open, 1<<20, 10)
		const k = 8
		// Closed loops of k: after the first batch of one, the others are
		// pending together, and from then on all k travel in two batches at most.
		out := closedLoop(t.Context(), k, 0, 100*time.Millisecond, l.operation(k))
		if err := l.close(); err != nil {
			t.Fatalf("close: %v", err)
		}
		if out.errors != 0 {
			t.Fatalf("%d errors, first: %v", out.errors, out.firstError)
		}
		if l.records < out.answered || l.records > out.answered+k {
			t.Errorf("wrote %d records for %d counted answers of %d producers", l.records, out.answered, k)
		}
		if perBatch := float64(l.records) / float64(l.batches); perBatch < k/2.0-0.5 {
			t.Errorf("%.1f records a batch, want at least about %d", perBatch, k/2)
		}
		for i, f := range files {
			if f.syncs != l.batches {
				t.Errorf("file %d: %d syncs for %d batches", i, f.syncs, l.batches)
			}
			if want := l.records * 10; len(f.data) != want {
				t.Errorf("file %d: %d bytes, want %d", i, len(f.data), want)
			}
			if !bytes.Equal(f.data, files[0].data) {
				t.Errorf("file %d differs from file 0", i)
			}
		}
	})
}

func TestLimitCountsExactly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, open := memoryFiles(time.Millisecond, time.Millisecond, time.Millisecond)
		l := newDiskLimit(open, 1<<20, 10)
		out := closedLoop(t.Context(), 1, 10*time.Millisecond, 500*time.Millisecond, l.operation(1))
		if err := l.close(); err != nil {
			t.Fatalf("close: %v", err)
		}
		// One a millisecond for 500 ms, those at both ends included or not.
		if out.answered < 499 || out.answered > 501 {
			t.Errorf("counted %d answers, want 500", out.answered)
		}
		if out.figure.P50 != time.Millisecond || out.figure.P99 != time.Millisecond {
			t.Errorf("p50 %v and p99 %v, want 1ms", out.figure.P50, out.figure.P99)
		}
	})
}

func TestLimitStartsAgainAtTheBeginningOfFullFiles(t *testing.T) {
	t.Parallel()
	files, open := memoryFiles(0, 0, 0)
	l := newDiskLimit(open, 250, 100)
	answer := make(chan error, 1)
	for range 7 {
		if err := l.submit(answer); err != nil {
			t.Fatalf("submit: %v", err)
		}
	}
	if err := l.close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	if len(files[0].data) != 200 {
		t.Errorf("file grew to %d bytes, want 200 of 250", len(files[0].data))
	}
}

func TestLimitReportsAFailedSyncAndRefusesAfterClose(t *testing.T) {
	t.Parallel()
	files, open := memoryFiles(0, 0, 0)
	broken := errors.New("disk on fire")
	files[1].syncErr = broken
	l := newDiskLimit(open, 1<<20, 100)
	if err := l.submit(make(chan error, 1)); !errors.Is(err, broken) {
		t.Errorf("submit: got %v, want %v", err, broken)
	}
	for range 2 { // the second close finds it closed
		if err := l.close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if err := l.submit(make(chan error, 1)); !errors.Is(err, errLimitClosed) {
		t.Errorf("submit after close: got %v, want %v", err, errLimitClosed)
	}
}

func TestLimitOnRealFilesLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := openLimit([]string{dir, dir, dir}, 300)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	answer := make(chan error, 1)
	for range 10 {
		if err := l.submit(answer); err != nil {
			t.Fatalf("submit: %v", err)
		}
	}
	if err := l.close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
