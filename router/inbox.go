package router

import "sync"

// inbox takes in what the goroutine that applies tells, and what became of
// operations, without making anybody wait. It is as long as what was applied since
// the dispatcher looked last.
type inbox struct {
	wake chan struct{}

	mu    sync.Mutex
	notes []any
	after uint64 // what was applied up to this index is known already
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
	if index > b.after {
		b.notes = append(b.notes, notes...)
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

// begin drops what a view as of this index shows.
func (b *inbox) begin(index uint64) {
	b.mu.Lock()
	b.notes, b.after = nil, index
	b.mu.Unlock()
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
