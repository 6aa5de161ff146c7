package router

import (
	"context"
	"sync"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// waiting are those who wait for requests on this node: what is applied here wakes
// them, whichever node leads.
type waiting struct {
	mu sync.Mutex
	at map[event.Position][]chan struct{}
}

func (w *waiting) wake(notes []any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.at) == 0 {
		return
	}
	for _, n := range notes {
		if n, ok := n.(noteRequest); ok {
			for _, c := range w.at[n.position] {
				close(c)
			}
			delete(w.at, n.position)
		}
	}
}

// watch returns a channel that is closed when something becomes of a request, and
// what ends the wait for it.
func (w *waiting) watch(p event.Position) (changed <-chan struct{}, stop func()) {
	c := make(chan struct{})
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.at == nil {
		w.at = map[event.Position][]chan struct{}{}
	}
	w.at[p] = append(w.at[p], c)
	return c, func() { w.forget(p, c) }
}

func (w *waiting) forget(p event.Position, c chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := w.at[p]
	for i := range list {
		if list[i] == c {
			list = append(list[:i:i], list[i+1:]...)
			break
		}
	}
	if w.at[p] = list; len(list) == 0 {
		delete(w.at, p)
	}
}

// Viewer shows what a node has applied.
type Viewer interface{ View() *consensus.View }

// Await returns a request as soon as it is answered or its deadline has passed, or
// as it stands when ctx ends. An *event.Error not_found says that there is none.
func (r *Router) Await(ctx context.Context, node Viewer, p event.Position) (Request, error) {
	for {
		changed, stop := r.waiting.watch(p)
		q, err := requestAt(node, p)
		if err != nil || q.State != RequestOpen {
			stop()
			return q, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			stop()
			return q, nil
		}
	}
}

func requestAt(node Viewer, p event.Position) (Request, error) {
	v := node.View()
	defer v.Close()
	q, found, err := RequestOf(v, p)
	if err == nil && !found {
		err = event.Errorf(event.CodeNotFound, "there is no request at position %d, or its outcome is no longer known", p)
	}
	return q, err
}
