package store

import (
	"context"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// TestViewsAreWholeWhileFlushing lets apply, the flusher, readers, copies and
// checks run at once. Each Publish gives every row of two tables the same
// number; a view that saw half of one, or of a flush, would see two numbers.
func TestViewsAreWholeWhileFlushing(t *testing.T) {
	t.Parallel()
	db := openTest(t)
	const rows = 40
	rounds := uint64(campaign(400, 20000))
	a, b := db.Table("alpha"), db.Table("beta")
	var (
		wg     sync.WaitGroup
		done   = make(chan struct{})
		frozen = make(chan *Frozen)
		read   atomic.Int64 // views checked
	)
	fail := func(format string, args ...any) { t.Errorf(format, args...) }

	wg.Go(func() { // the flusher
		for f := range frozen {
			if err := db.Flush(f); err != nil {
				fail("flush: %v", err)
			}
		}
	})
	for range 2 {
		wg.Go(func() { // readers
			last := uint64(0)
			for {
				select {
				case <-done:
					return
				default:
				}
				v := db.View()
				n, err := wholeView(v, a, b, rows)
				again, err2 := wholeView(v, a, b, rows)
				v.Close()
				if err != nil || err2 != nil || n < last || again != n {
					fail("view after %d: got %d, then %d, %v, %v", last, n, again, err, err2)
					return
				}
				last = n
				read.Add(1)
			}
		})
	}
	wg.Go(func() { // a long pin, copies and checks
		pin, err := db.Pin()
		if err != nil {
			fail("pin: %v", err)
			return
		}
		defer pin.Close()
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			path := filepath.Join(t.TempDir(), fmt.Sprint(i))
			if err := copyTo(db, path); err != nil {
				fail("copy: %v", err)
			} else if err := CheckFile(context.Background(), path); err != nil {
				fail("check of a copy: %v", err)
			}
			if err := db.Check(context.Background()); err != nil {
				fail("check: %v", err)
			}
		}
	})

	apply(db, a, b, rows, rounds, frozen)
	close(frozen)
	close(done)
	wg.Wait()
	if read.Load() == 0 {
		t.Error("no view was read")
	}
	v := db.View()
	defer v.Close()
	if n, err := wholeView(v, a, b, rows); err != nil || n != rounds {
		t.Errorf("at the end: got %d, %v; want %d", n, err, rounds)
	}
}

// apply publishes rounds 1 to rounds and offers each to the flusher, which
// takes what it can.
func apply(db *DB, a, b Table, rows int, rounds uint64, frozen chan<- *Frozen) {
	tx := db.Begin()
	for n := uint64(1); n <= rounds; n++ {
		s := tx.Scratch()
		value := binary.BigEndian.AppendUint64(nil, n)
		for i := range rows {
			s.Put(a, fmt.Appendf(nil, "row %d", i), value)
			s.Put(b, fmt.Appendf(nil, "row %d", i), value)
			s.Put(b, fmt.Appendf(nil, "moving %d %d", n, i), value)
			s.Delete(b, fmt.Appendf(nil, "moving %d %d", n-1, i))
		}
		s.Merge()
		db.Publish()
		if n%3 == 0 {
			if f := db.Freeze(); f != nil {
				frozen <- f
			}
		}
	}
}

// wholeView returns the number that all rows of a view have.
func wholeView(v *View, a, b Table, rows int) (uint64, error) {
	first, err := v.Get(a, []byte("row 0"))
	if err != nil || first == nil {
		return 0, err
	}
	n := binary.BigEndian.Uint64(first)
	count := map[Table]int{}
	for _, t := range []Table{a, b} {
		it := v.Scan(t, nil, nil, t == b)
		for it.Next() {
			if got := binary.BigEndian.Uint64(it.Value()); got != n {
				it.Close()
				return 0, fmt.Errorf("row %q of table %d has %d, the first %d", it.Key(), t, got, n)
			}
			count[t]++
		}
		it.Close()
		if err := it.Err(); err != nil {
			return 0, err
		}
	}
	if count[a] != rows || count[b] != 2*rows {
		return 0, fmt.Errorf("got %d and %d rows, want %d and %d", count[a], count[b], rows, 2*rows)
	}
	return n, nil
}

func TestLongViewDoesNotBlockFlushes(t *testing.T) {
	t.Parallel()
	db := openTest(t)
	tx, a := db.Begin(), db.Table("alpha")
	tx.Put(a, []byte("k"), []byte("before"))
	flush(t, db)
	v := db.View()
	defer v.Close()
	for i := range 50 { // far beyond the 16 MiB by which bbolt grows files
		tx.Put(a, fmt.Append(nil, i), make([]byte, 1<<20))
		tx.Put(a, []byte("k"), []byte("after"))
		flush(t, db)
	}
	wantRow(t, v, a, "k", "before")
	wantRow(t, v, a, "7", "-")
	wantRow(t, tx, a, "k", "after")
}
