package router

import (
	"slices"
	"testing"

	"github.com/edri-io/edri/event"
)

// readyQueue is a queue with items that are ready, by position.
func readyQueue(items ...item) *queue {
	q := newQueue(Subscription{Config: event.Subscription{MaxDeliver: 10}})
	for i := range items {
		it := &items[i]
		q.add(it)
		q.pushReady(it)
	}
	return q
}

// pops empties the queue, and says in which order.
func (q *queue) pops() (order []event.Position) {
	for it := q.popReady(); it != nil; it = q.popReady() {
		order = append(order, it.position)
	}
	return order
}

func TestWhatIsReadyComesInTheOrderOfItsPositions(t *testing.T) {
	t.Parallel()
	q := readyQueue(item{position: 5}, item{position: 3}, item{position: 9}, item{position: 4})
	if got := q.pops(); !slices.Equal(got, []event.Position{3, 4, 5, 9}) {
		t.Errorf("got %v", got)
	}
}

// What is no longer ready when its turn comes is passed.
func TestWhatIsNotReadyAnyMoreIsPassed(t *testing.T) {
	t.Parallel()
	q := readyQueue(item{position: 1}, item{position: 2}, item{position: 3}, item{position: 4})
	q.put(q.open[1], stateLeased)
	q.open[2].blocked = true
	q.done(3)
	if got := q.pops(); !slices.Equal(got, []event.Position{4}) {
		t.Errorf("got %v, want 4 alone", got)
	}
}

// What crashed repeatedly comes alone: the next when the one before is done.
func TestOneLonerComesAtATimeBesideTheOthers(t *testing.T) {
	t.Parallel()
	crashed := func(p event.Position, attempts int) item {
		return item{position: p, crashed: true, attempts: attempts}
	}
	q := readyQueue(crashed(1, 2), crashed(2, 5), crashed(3, 1), item{position: 4, attempts: 7})
	if got := q.pops(); !slices.Equal(got, []event.Position{1, 3, 4}) || q.lone != 1 {
		t.Errorf("got %v, %d alone; want 2 to wait for 1", got, q.lone)
	}
	// It comes again itself, and needs not wait for itself.
	q.pushReady(q.open[1])
	if got := q.pops(); !slices.Equal(got, []event.Position{1}) {
		t.Errorf("got %v, want 1 again", got)
	}
	q.done(1)
	if got := q.pops(); !slices.Equal(got, []event.Position{2}) || q.lone != 2 {
		t.Errorf("got %v, %d alone; want 2", got, q.lone)
	}
}

func TestALonerThatIsGoneGivesTheNextItsTurn(t *testing.T) {
	t.Parallel()
	q := readyQueue(item{position: 1, crashed: true, attempts: 3}, item{position: 2, crashed: true, attempts: 3})
	q.done(1)
	if got := q.pops(); !slices.Equal(got, []event.Position{2}) {
		t.Errorf("got %v, want 2", got)
	}
}
