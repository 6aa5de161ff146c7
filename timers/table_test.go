package timers_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/timers"
)

// at returns a clock that stands still until it is set.
func at(now *int64) func() int64 { return func() int64 { return *now } }

func (w *tower) mustFire(limit uint64) {
	w.Helper()
	if err := w.fire(limit); err != nil {
		w.Fatalf("fire: %v", err)
	}
}

func TestTimersFireInTheOrderInWhichTheyAreDue(t *testing.T) {
	t.Parallel()
	now := int64(100)
	w := newTower(t, at(&now))
	w.set(300, "c")
	w.set(200, "b1")
	w.set(200, "b2")
	w.set(150, "a")
	w.mustFire(10)
	if got := w.rang(); got != "" {
		t.Fatalf("before any was due: %q", got)
	}
	now = 200
	w.mustFire(2)
	if got := w.rang(); got != "a,b1" {
		t.Errorf("two at a time: %q", got)
	}
	w.reopen()
	w.mustFire(2)
	w.mustFire(2)
	if got := w.rang(); got != "a,b1,b2" {
		t.Errorf("after reopening: %q", got)
	}
	now = math.MaxInt64
	w.mustFire(2)
	if got := w.rang(); got != "a,b1,b2,c" {
		t.Errorf("at the end: %q", got)
	}
}

func TestCancelledTimerDoesNotFire(t *testing.T) {
	t.Parallel()
	now := int64(100)
	w := newTower(t, at(&now))
	w.set(110, "a")
	w.set(120, "hush b")
	w.set(120, "b") // due with the one that cancels it, and after it
	w.set(130, "c")
	w.cancel("a")
	w.cancel("a")
	now = 125
	w.mustFire(10)
	if got := w.rang(); got != "hush b" {
		t.Errorf("got %q", got)
	}
}

// A timer that sets another for a time that has passed must not keep apply busy
// for ever.
func TestTimerSetWhileFiringWaitsForTheNextEntry(t *testing.T) {
	t.Parallel()
	now := int64(100)
	w := newTower(t, at(&now))
	w.set(50, "again")
	for range 3 {
		w.mustFire(1000)
	}
	if got := w.rang(); got != "again,again,again" {
		t.Errorf("got %q", got)
	}
}

func TestClientsFireNothing(t *testing.T) {
	t.Parallel()
	now := int64(100)
	w := newTower(t, at(&now))
	commit := []byte{0x3a, 5, 0x82, 1, 2, 8, 1} // ops: [16: {1: 1}]
	_, err := w.cfg.Machines.CheckCommit(commit, event.DefaultLimits())
	var refused *event.Error
	if !errors.As(err, &refused) || refused.Code != event.CodeInvalid || !strings.Contains(refused.Error(), "cluster's own") {
		t.Errorf("got %v", err)
	}
}

// What an owner cannot do is not undone quietly: the timer would be lost.
func TestOwnerThatFailsEndsTheNode(t *testing.T) {
	t.Parallel()
	now := int64(100)
	w := newTower(t, at(&now))
	w.set(50, "crack")
	err := w.fire(10)
	var refused *event.Error
	if err == nil || errors.As(err, &refused) || !strings.Contains(err.Error(), "cracked") {
		t.Fatalf("got %v", err)
	}
	if err := w.fire(10); err == nil {
		t.Error("the core goes on")
	}
}

func TestUnreadableFireEndsTheNode(t *testing.T) {
	t.Parallel()
	for name, body := range map[string][]byte{"no field": {}, "another field": {0x10, 1}, "more than one": {8, 1, 8, 1}, "cut off": {8}} {
		now := int64(100)
		w := newTower(t, at(&now))
		if err := w.apply(commitOf(16, body)); !errors.Is(err, consensus.ErrUndecodable) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// A binary that does not know a timer's owner cannot do what its peers did.
func TestTimerOfAnUnknownOwnerEndsTheNode(t *testing.T) {
	t.Parallel()
	now := int64(100)
	w := newTower(t, at(&now))
	w.set(50, "a")
	forgetful := timers.New()
	mux, err := consensus.NewMux(forgetful, bells{forgetful})
	if err != nil {
		t.Fatal(err)
	}
	w.cfg.Machines = mux
	w.reopen()
	if err := w.fire(10); !errors.Is(err, consensus.ErrUndecodable) || !strings.Contains(err.Error(), "bells") {
		t.Errorf("got %v", err)
	}
}

func TestTimersAreCounted(t *testing.T) {
	t.Parallel()
	now := int64(100)
	w := newTower(t, at(&now))
	for i := range int64(5) {
		w.set(99+i, "bell")
	}
	v := w.View()
	defer v.Close()
	if got, err := timers.Count(v, now); err != nil || got != (timers.Stats{Pending: 5, Overdue: 2}) {
		t.Errorf("got %+v, %v", got, err)
	}
}
