package timers_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// ring runs the tower's loop for the length of f.
func (w *tower) ring(f func()) {
	w.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.table.Run(ctx, w, slog.New(slog.DiscardHandler)) }()
	f()
	cancel()
	if err := <-ended; err != nil {
		w.Errorf("run: %v", err)
	}
}

func bubbleTime() int64 { return time.Now().UnixNano() }

func in(d time.Duration) int64 { return bubbleTime() + int64(d) }

func TestRunFiresWhenTheTimeHasCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTower(t, bubbleTime)
		w.set(in(time.Minute), "minute")
		w.ring(func() {
			time.Sleep(time.Minute - time.Millisecond)
			if got := w.rang(); got != "" {
				t.Errorf("too early: %q", got)
			}
			time.Sleep(2 * time.Millisecond)
			if got := w.rang(); got != "minute" {
				t.Errorf("at its time: %q", got)
			}
			// One that comes in while the loop waits for a later one.
			w.set(in(time.Hour), "hour")
			time.Sleep(time.Second)
			w.set(in(time.Second), "second")
			w.set(in(-time.Second), "past")
			time.Sleep(time.Millisecond)
			if got := w.rang(); got != "minute,past" {
				t.Errorf("the past: %q", got)
			}
			time.Sleep(time.Second)
			if got := w.rang(); got != "minute,past,second" {
				t.Errorf("a second later: %q", got)
			}
		})
		// Another leader takes over what is left, and what came due meanwhile.
		time.Sleep(2 * time.Hour)
		w.ring(func() { time.Sleep(time.Millisecond) })
		if got := w.rang(); !strings.HasSuffix(got, "second,hour") {
			t.Errorf("the next leader: %q", got)
		}
	})
}

func TestRunFiresMoreThanOneEntryHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTower(t, bubbleTime)
		for i := range 2500 {
			w.set(in(time.Second), fmt.Sprint(i))
		}
		w.ring(func() { time.Sleep(2 * time.Second) })
		if got := strings.Count(w.rang(), ","); got != 2499 || w.fires != 3 {
			t.Errorf("%d rang in %d fires", got+1, w.fires)
		}
	})
}

func TestRunTriesAgainWhatIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTower(t, bubbleTime)
		w.set(in(time.Second), "a")
		w.refuse = errFull
		w.ring(func() {
			time.Sleep(time.Second + time.Millisecond)
			if got := w.rang(); got != "" {
				t.Errorf("refused, and yet: %q", got)
			}
			time.Sleep(time.Second)
		})
		if got := w.rang(); got != "a" || w.fires != 2 {
			t.Errorf("%q in %d fires", got, w.fires)
		}
	})
}

// Nothing is proposed, and the table is not read, while nothing is due: however
// much is applied meanwhile.
func TestRunIsQuietWhileNothingIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTower(t, bubbleTime)
		w.set(in(24*time.Hour), "tomorrow")
		w.ring(func() {
			for range 100 {
				w.cancel("nothing")
				time.Sleep(time.Minute)
			}
		})
		if w.fires != 0 {
			t.Errorf("%d fires", w.fires)
		}
	})
}

// A clock that is set back, and then right again, delays what is due but loses
// nothing; one that jumps ahead is noticed within a second.
func TestRunFollowsTheClustersTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shift atomic.Int64
		w := newTower(t, func() int64 { return bubbleTime() + shift.Load() })
		w.set(in(time.Hour), "a")
		w.ring(func() {
			synctest.Wait()
			shift.Store(-int64(time.Hour))
			time.Sleep(90 * time.Minute)
			if got := w.rang(); got != "" {
				t.Errorf("set back: %q", got)
			}
			shift.Store(0)
			time.Sleep(time.Second + time.Millisecond)
			if got := w.rang(); got != "a" {
				t.Errorf("right again: %q", got)
			}
		})
	})
}
