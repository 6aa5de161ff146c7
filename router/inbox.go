package router

import (
	"slices"
	"sync"
)

// inbox takes in what the goroutine that applies tells, and what became of
// operations, without making anybody wait. It is as long as what was applied since
// the dispatcher looked last.
type inbox struct {
	wake chan struct{}

	mu    sync.Mutex
	notes []any
	// early are the batches that came before begin.
	early []batch
	begun bool
	after uint64 // what was applied up to this index is known already
	// changes are the changes of subscriptions that the dispatcher has not taken over.
	changes int
}

// batch is what was noted of a batch of entries, the last of them at index.
type batch struct {
	index uint64
	notes []any
}

// outcome is what follows from an operation's end, run by the dispatcher's
// goroutine: at once, after the notes of what was applied before, or, if it failed,
// at the next tick.
type outcome struct {
	failed bool
	then   func()
}

// put takes the notes of what was applied, the last of it at index.
func (b *inbox) put(index uint64, notes []any) {
	b.mu.Lock()
	switch {
	case !b.begun:
		b.early = append(b.early, batch{index, slices.Clone(notes)})
	case index > b.after:
		b.append(notes)
	}
	b.mu.Unlock()
	signal(b.wake)
}

func (b *inbox) add(o outcome) {
	b.mu.Lock()
	b.notes = append(b.notes, o)
	b.mu.Unlock()
	signal(b.wake)
}

// begin drops what a view as of this index shows, and that alone: what was applied
// since the view was taken may be here already.
func (b *inbox) begin(index uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.early {
		if e.index > index {
			b.append(e.notes)
		}
	}
	b.early, b.begun, b.after = nil, true, index
}

func (b *inbox) append(notes []any) {
	b.notes = append(b.notes, notes...)
	for _, n := range notes {
		if _, ok := n.(noteSubscription); ok {
			b.changes++
		}
	}
}

// changed notes that a change of a subscription was taken over.
func (b *inbox) changed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.changes--
}

// behind reports that there are changes of subscriptions that were not taken over: who
// has just created one has its answer already.
func (b *inbox) behind() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.changes > 0
}

func (b *inbox) take() []any {
	b.mu.Lock()
	defer b.mu.Unlock()
	notes := b.notes
	b.notes = nil
	return notes
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
