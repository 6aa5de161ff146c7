package engine

import (
	"context"
	"sync"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

// waiting are those who wait for runs on this node: what is applied here wakes them,
// whichever node leads.
type waiting struct {
	mu     sync.Mutex
	starts watchers // of runs that this node does not know yet
	ends   watchers // of runs' ends and answers to updates
}

// watchers are channels by the numbers of runs.
type watchers map[uint64][]chan struct{}

func (w *waiting) wake(notes []any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.starts)+len(w.ends) == 0 {
		return
	}
	for _, n := range notes {
		switch n := n.(type) {
		case noteRun:
			w.starts.close(n.number)
		case noteEnd:
			w.ends.close(n.number)
		case noteUpdate:
			w.ends.close(n.number)
		}
	}
}

func (w watchers) close(number uint64) {
	for _, c := range w[number] {
		close(c)
	}
	delete(w, number)
}

// watch returns a channel that is closed when a run ends or answers an update, and what
// ends the wait for it.
func (w *waiting) watch(number uint64) (changed <-chan struct{}, stop func()) {
	return w.add(&w.ends, number)
}

func (w *waiting) add(to *watchers, number uint64) (woken <-chan struct{}, stop func()) {
	c := make(chan struct{})
	w.mu.Lock()
	defer w.mu.Unlock()
	if *to == nil {
		*to = watchers{}
	}
	(*to)[number] = append((*to)[number], c)
	return c, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		to.forget(number, c)
	}
}

func (w watchers) forget(number uint64, c chan struct{}) {
	list := w[number]
	for i := range list {
		if list[i] == c {
			list = append(list[:i:i], list[i+1:]...)
			break
		}
	}
	if w[number] = list; len(list) == 0 {
		delete(w, number)
	}
}

// Viewer shows what a node has applied.
type Viewer interface{ View() *consensus.View }

// Outcome is how a run ended, or that it has not.
type Outcome struct {
	Number          uint64
	Status          workflows.Status
	Result, Failure []byte // JSON
}

// AwaitStart waits until this node knows a run of the number, or ctx ends, and reports
// whether it does.
func (e *Engine) AwaitStart(ctx context.Context, node Viewer, number uint64) bool {
	started, stop := e.waiting.add(&e.waiting.starts, number)
	defer stop()
	v := node.View()
	_, err := viewRun(v, number)
	v.Close()
	if err == nil {
		return true
	}
	select {
	case <-started:
		return true
	case <-ctx.Done():
		return false
	}
}

// Await returns how a run, or the last of those that continue it, ended, as soon as it
// has, or that it runs when ctx ends.
func (e *Engine) Await(ctx context.Context, node Viewer, id string, number uint64) (Outcome, error) {
	for {
		o, next, changed, stop, err := e.look(node, id, number)
		switch {
		case err != nil || o.Status != workflows.Running && next == 0:
			stop()
			return o, err
		case next != 0:
			stop()
			number = next
			continue
		}
		number = o.Number
		select {
		case <-changed:
		case <-ctx.Done():
			stop()
			return o, nil
		}
	}
}

func (e *Engine) look(node Viewer, id string, number uint64) (o Outcome, next uint64, changed <-chan struct{}, stop func(), err error) {
	stop = func() {}
	if number != 0 {
		changed, stop = e.waiting.watch(number)
	}
	v := node.View()
	defer v.Close()
	r, err := findRun(v, target{[]byte(id), number})
	if err != nil {
		return o, 0, changed, stop, err
	}
	if number == 0 { // now that it is known which, the view may be too old to wait by
		return Outcome{Number: r.number, Status: workflows.Running}, r.number, changed, stop, nil
	}
	o = Outcome{Number: r.number, Status: statuses[r.status]}
	if r.status == statusRunning {
		return o, 0, changed, stop, nil
	}
	got, err := outcomeOf(v, r.number)
	o.Result, o.Failure = got.result, got.failure
	return o, r.next, changed, stop, err
}

// AwaitUpdate returns the answer to an update as soon as there is one, or the error of
// ctx. A run that continues as new takes its open updates along.
func (e *Engine) AwaitUpdate(ctx context.Context, node Viewer, number uint64, id string) (result, failure []byte, err error) {
	for {
		changed, stop := e.waiting.watch(number)
		u, next, err := updateOf(node, number, id)
		switch {
		case err != nil || u.done:
			stop()
			return u.result, u.failure, err
		case next != 0:
			stop()
			number = next
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			stop()
			return nil, nil, ctx.Err()
		}
	}
}

func updateOf(node Viewer, number uint64, id string) (u update, next uint64, err error) {
	v := node.View()
	defer v.Close()
	row, err := v.Get(machineName, updateKey(number, []byte(id)))
	if err != nil {
		return u, 0, err
	}
	if row == nil {
		return u, 0, event.Errorf(event.CodeNotFound, "there is no update %s of run %d, or it is no longer known", id, number)
	}
	if u, err = parseUpdate(append([]byte(nil), row...)); err != nil || u.done {
		return u, 0, err
	}
	r, err := viewRun(v, number)
	if err != nil {
		return u, 0, err
	}
	if r.status == statusContinued {
		next = r.next
	}
	return u, next, nil
}
