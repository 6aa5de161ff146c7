package managers

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/edri-io/edri/event"
)

// hall is a pool whose instances are none but in its books.
type hall struct {
	*testing.T
	*pool
	instances []*instance
}

func newHall(t *testing.T, capacities ...int) *hall {
	t.Helper()
	m, err := New("billing", Config{})
	if err != nil {
		t.Fatal(err)
	}
	h := &hall{T: t, pool: newPool(m, Process{Command: []string{"true"}, Instances: len(capacities)}, nil)}
	for n, capacity := range capacities {
		h.instances = append(h.instances, newInstance(h.pool, n))
		h.greeted(h.instances[n], capacity)
	}
	return h
}

// guest is a delivery that waits for a place, or has it.
type guest struct {
	h      *hall
	ctx    chan context.Context // of await, when it returns
	cancel context.CancelFunc
	at     *place
	on     *instance
}

// comes has a delivery get in line; it returns once it stands there or was given a place.
func (h *hall) comes(position event.Position, attempt int) *guest {
	h.Helper()
	ctx, cancel := context.WithCancel(h.Context())
	g := &guest{h: h, ctx: make(chan context.Context, 1), cancel: cancel}
	before := h.lineLength()
	d := &Delivery{Recorded: event.Recorded{Position: position}, Generation: 1, Attempt: attempt}
	go func() { g.ctx <- h.await(ctx, d) }()
	h.eventually(func() bool { return len(g.ctx) == 1 || h.lineLength() > before })
	return g
}

func (h *hall) lineLength() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.line)
}

func (h *hall) eventually(holds func() bool) {
	h.Helper()
	for late := time.After(10 * time.Second); !holds(); {
		select {
		case <-late:
			h.Fatal("waited in vain")
		case <-time.After(time.Millisecond):
		}
	}
}

// gets expects that the delivery was given a place, and returns on which instance.
func (g *guest) gets() *instance {
	g.h.Helper()
	if g.on != nil {
		return g.on
	}
	g.h.eventually(func() bool { return len(g.ctx) == 1 })
	g.at = (<-g.ctx).Value(placeKey{}).(*place)
	g.on = <-g.at.given
	return g.on
}

// waits expects that the delivery has no place. All that may give it one has been done.
func (g *guest) waits(why string) {
	g.h.Helper()
	if g.on != nil || len(g.ctx) > 0 {
		g.h.Errorf("it has a place: %s", why)
	}
}

func (g *guest) leaves() { g.h.release(g.gets(), g.at) }

func TestADeliveryIsAloneFromItsThirdAttemptOn(t *testing.T) {
	t.Parallel()
	h := newHall(t, 3)
	first, second := h.comes(1, 1), h.comes(2, 2)
	first.gets()
	second.gets()
	third := h.comes(3, 3)
	behind := h.comes(4, 1)
	third.waits("others are in the process")
	behind.waits("the process is to be the third's alone")
	first.leaves()
	third.waits("another is in the process")
	second.leaves()
	third.gets()
	behind.waits("the process is the third's alone")
	third.leaves()
	behind.gets()
}

func TestNeitherFirstNorLaterAttemptsStarve(t *testing.T) {
	t.Parallel()
	h := newHall(t, 2)
	lone := h.comes(1, 3)
	lone.gets()
	// However many lone ones come behind it, a shared one has its turn before them.
	for n := range event.Position(5) {
		shared := h.comes(100+n, 1)
		next := h.comes(200+n, 3)
		lone.leaves()
		shared.gets()
		next.waits("a shared one is in the process")
		late := h.comes(300+n, 1)
		late.waits("a lone one is before it")
		shared.leaves()
		next.gets()
		next.leaves()
		late.gets()
		lone = h.comes(400+n, 3)
		late.leaves()
		lone.gets()
	}
}

func TestLoneDeliveriesLeaveOthersTheirProcesses(t *testing.T) {
	t.Parallel()
	h := newHall(t, 2, 2, 2, 2)
	var lone []*guest
	for n := range event.Position(3) {
		lone = append(lone, h.comes(n, 3))
	}
	if lone[0].gets() == lone[1].gets() {
		t.Error("two lone ones have the same process")
	}
	lone[2].waits("half of the processes are lone ones'")
	for n := range event.Position(4) {
		if on := h.comes(10+n, 1).gets(); on == lone[0].on || on == lone[1].on {
			t.Error("it is with a lone one")
		}
	}
	h.comes(20, 1).waits("every other process is full")
	lone[0].leaves()
	lone[2].gets()
}

func TestALoneDeliveryLooksForAnotherProcessIfItsOwnDies(t *testing.T) {
	t.Parallel()
	h := newHall(t, 2, 2)
	busy := []*guest{h.comes(1, 1), h.comes(2, 1)}
	if busy[0].gets() == busy[1].gets() {
		t.Error("one process has both, the other none")
	}
	lone := h.comes(3, 3)
	lone.waits("both processes have something")
	chosen, other := busy[0].on, busy[1].on
	if chosen.lone == nil {
		chosen, other = other, chosen
	}
	for _, b := range busy {
		if b.on == other {
			b.leaves()
		}
	}
	lone.waits("the process that was chosen has something")
	h.retire(chosen)
	if lone.gets() != other {
		t.Error("it has a process that is gone")
	}
}

func TestALoneDeliveryThatIsCalledOffLetsOthersIn(t *testing.T) {
	t.Parallel()
	h := newHall(t, 2)
	busy := h.comes(1, 1)
	busy.gets()
	lone, behind := h.comes(2, 3), h.comes(3, 1)
	lone.waits("another is in the process")
	behind.waits("a lone one is before it")
	lone.cancel()
	behind.gets()
	ctx := <-lone.ctx
	_, err := h.handle(ctx, &Delivery{Attempt: 3})
	if err == nil || !strings.Contains(err.Error(), "no worker process was free") {
		t.Errorf("error %v", err)
	}
	behind.leaves()
	busy.leaves()
	h.comes(4, 3).gets()
}

// A place that was given at the moment at which the time was over is given back, and
// the process lives.
func TestAPlaceThatComesTooLateIsGivenBack(t *testing.T) {
	t.Parallel()
	h := newHall(t, 2)
	ctx, cancel := context.WithCancel(t.Context())
	d := &Delivery{Attempt: 3}
	at := h.await(ctx, d)
	cancel()
	if _, err := h.handle(at, d); err == nil {
		t.Error("handled")
	}
	if i := h.instances[0]; i.retired || i.free != 2 || i.lone != nil {
		t.Errorf("retired %v, %d places free", i.retired, i.free)
	}
}

func TestAProcessThatTakesOneIsAlwaysAlone(t *testing.T) {
	t.Parallel()
	h := newHall(t, 1, 1)
	h.comes(1, 3).gets()
	h.comes(2, 3).gets()
}

func TestWhatTheWorkerItselfFailedIsNotAlone(t *testing.T) {
	t.Parallel()
	h := newHall(t, 2)
	d := &Delivery{Recorded: event.Recorded{Position: 7}, Generation: 1, Attempt: 4}
	for _, test := range []struct {
		nak     bool
		attempt int
		alone   bool
	}{{true, 4, false}, {false, 5, true}, {true, 6, false}} {
		h.note(d, test.nak)
		if d.Attempt++; h.isAlone(d) != test.alone {
			t.Errorf("attempt %d: alone %v, want %v", d.Attempt, !test.alone, test.alone)
		}
	}
	if d.Attempt++; !h.isAlone(d) {
		t.Error("the attempt before was elsewhere, and it is not alone")
	}
	for n := range event.Position(maxAnswered + 1) {
		h.note(&Delivery{Recorded: event.Recorded{Position: n}, Attempt: 2}, true)
	}
	if len(h.answered) > maxAnswered {
		t.Errorf("%d attempts are remembered", len(h.answered))
	}
}
