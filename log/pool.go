package log

import (
	"container/list"
	"sync"
)

// pool keeps the sealed segments that were used last open, and no more.
type pool struct {
	maxOpen int

	mu    sync.Mutex // taken while no segment's is held
	order *list.List // guarded by mu: *segment, the one used last in front
	at    map[*segment]*list.Element
}

func newPool(maxOpen int) *pool {
	return &pool{maxOpen: maxOpen, order: list.New(), at: make(map[*segment]*list.Element)}
}

// use marks s, which its caller has pinned, as used now. What is too much is
// closed, or left to be closed by its last reader.
func (p *pool) use(s *segment) {
	for _, old := range p.touch(s) {
		_ = old.leave() // of a file that was only read
	}
}

// forget drops s, which is going.
func (p *pool) forget(s *segment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e, ok := p.at[s]; ok {
		p.order.Remove(e)
		delete(p.at, s)
	}
}

func (p *pool) touch(s *segment) (surplus []*segment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e, ok := p.at[s]; ok {
		p.order.MoveToFront(e)
	} else {
		p.at[s] = p.order.PushFront(s)
	}
	for p.order.Len() > p.maxOpen {
		old := p.order.Remove(p.order.Back()).(*segment)
		delete(p.at, old)
		surplus = append(surplus, old)
	}
	return surplus
}

// close closes what is open. Nobody reads any more.
func (p *pool) close() {
	p.mu.Lock()
	left := p.order
	p.order, p.at = list.New(), make(map[*segment]*list.Element)
	p.mu.Unlock()
	for e := left.Front(); e != nil; e = e.Next() {
		_ = e.Value.(*segment).close() // of a file that was only read
	}
}
