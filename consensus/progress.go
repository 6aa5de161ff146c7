package consensus

import (
	"context"
	"sync"
)

// progress is how far this node has applied, for those who wait for it.
type progress struct {
	mu      sync.Mutex
	index   uint64
	term    uint64 // of the last command
	changed chan struct{}
}

func newProgress(index, term uint64) *progress {
	return &progress{index: index, term: term, changed: make(chan struct{})}
}

// advance moves on to an applied index and wakes those who wait. A term of 0
// leaves the term of the last command as it is.
func (p *progress) advance(index, term uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.index = max(p.index, index)
	p.term = max(p.term, term)
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *progress) get() (index, term uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.index, p.term
}

// lastTerm returns the term of the last command that was applied.
func (p *progress) lastTerm() uint64 {
	_, term := p.get()
	return term
}

// watch returns a channel that is closed at the next step.
func (p *progress) watch() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.changed
}

// wait returns once the node has applied the index.
func (p *progress) wait(ctx context.Context, index uint64) error {
	for {
		p.mu.Lock()
		reached, changed := p.index >= index, p.changed
		p.mu.Unlock()
		if reached {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
