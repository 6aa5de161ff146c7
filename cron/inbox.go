package cron

import "sync"

// inbox takes in what the goroutine that applies tells, and what became of operations,
// without making anybody wait. It is as long as what was applied since the leader's loop
// looked last.
type inbox struct {
	wake chan struct{}

	mu    sync.Mutex
	notes []any
	after uint64 // what was applied up to this index is known already
}

// outcome says that an operation with advances of these jobs has ended.
type outcome struct{ jobs []*job }

// put takes the notes of what was applied, the last of it at index.
func (b *inbox) put(index uint64, notes []any) {
	b.mu.Lock()
	if index > b.after {
		b.notes = append(b.notes, notes...)
	}
	b.mu.Unlock()
	b.signal()
}

func (b *inbox) add(o outcome) {
	b.mu.Lock()
	b.notes = append(b.notes, o)
	b.mu.Unlock()
	b.signal()
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

func (b *inbox) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}
