package consensus

import (
	"slices"
	"sync"
)

// Inbox takes in what an Observer is given, without making the goroutine that applies
// wait, for a loop that has the state's rows of before in its memory. It is as long as
// what was applied since the loop looked last.
type Inbox struct {
	wake chan struct{}

	mu    sync.Mutex
	notes []any
	// early are the batches that came before Begin.
	early []noted
	begun bool
	after uint64 // what was applied up to this index is known already
}

// noted is what was noted of a batch of entries, the last of them at index.
type noted struct {
	index uint64
	notes []any
}

// NewInbox returns an inbox that was not begun.
func NewInbox() *Inbox { return &Inbox{wake: make(chan struct{}, 1)} }

// Wake has a token when there may be something to take.
func (b *Inbox) Wake() <-chan struct{} { return b.wake }

// Put takes what Observe is given.
func (b *Inbox) Put(index uint64, notes []any) {
	b.mu.Lock()
	switch {
	case !b.begun:
		b.early = append(b.early, noted{index, slices.Clone(notes)})
	case index > b.after:
		b.notes = append(b.notes, notes...)
	}
	b.mu.Unlock()
	b.signal()
}

// Add adds something of the loop's own, behind what was put before.
func (b *Inbox) Add(what any) {
	b.mu.Lock()
	b.notes = append(b.notes, what)
	b.mu.Unlock()
	b.signal()
}

// Begin drops what a view as of an index shows, and that alone.
func (b *Inbox) Begin(index uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.early {
		if e.index > index {
			b.notes = append(b.notes, e.notes...)
		}
	}
	b.early, b.begun, b.after = nil, true, index
}

// Take returns what has come since the last Take. Before Begin there is nothing.
func (b *Inbox) Take() []any {
	b.mu.Lock()
	defer b.mu.Unlock()
	notes := b.notes
	b.notes = nil
	return notes
}

func (b *Inbox) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}
