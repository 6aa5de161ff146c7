package workflows

import "fmt"

// Future is something that the code asked for and that will have a result.
type Future[T any] struct{ o *op }

// Get waits for the result. An error is an *Error, also where ctx is canceled before.
func (f *Future[T]) Get(ctx Context) (T, error) {
	return f.get(ctx.s, f.o.m.enter())
}

// get is Get where the caller is known to be the coroutine.
func (f *Future[T]) get(s *scope, co *coroutine) (T, error) {
	var result T
	o := f.o
	if !o.done {
		if co.looks {
			panic("a query or a validator must not change the run, nor wait")
		}
		co.park(func() bool { return o.done || s.err != nil && o.scope.err == nil })
	}
	if !o.done {
		return result, s.err
	}
	if o.err != nil {
		return result, o.err
	}
	if o.value != nil {
		return o.value.(T), nil
	}
	if err := decode(o.result, &result); err != nil {
		return result, undecodable("result of "+o.name, err)
	}
	return result, nil
}

// Ready reports whether Get would not wait.
func (f *Future[T]) Ready() bool {
	f.o.m.enter()
	return f.o.done
}

func (f *Future[T]) ready() bool { return f.o.done }

func (f *Future[T]) failure() error { return f.o.err }

// Awaitable is a Future or a Channel.
type Awaitable interface {
	ready() bool
	failure() error
}

// First waits until one of them is ready, and returns which: of several the first. The
// others go on; cancel their context where they should not.
func First(ctx Context, of ...Awaitable) (int, error) {
	ready, err := FirstN(ctx, 1, of...)
	if err != nil {
		return -1, err
	}
	return ready[0], nil
}

// FirstN waits until n of them are ready, and returns which, in their order: at least n.
func FirstN(ctx Context, n int, of ...Awaitable) ([]int, error) {
	m := ctx.s.m
	co := m.enterChanging()
	if n > len(of) {
		panic(fmt.Sprintf("waits for %d of %d", n, len(of)))
	}
	enough := func() bool {
		found := 0
		for _, a := range of {
			if found >= n {
				break
			}
			if a.ready() {
				found++
			}
		}
		return found >= n
	}
	if s := ctx.s; !enough() {
		co.park(func() bool { return s.err != nil || enough() })
		if !enough() {
			return nil, s.err
		}
	}
	ready := make([]int, 0, n)
	for i, a := range of {
		if a.ready() {
			ready = append(ready, i)
		}
	}
	return ready, nil
}

// All waits until all of them are ready, also where some fail. It returns the error of
// the first one that has any, in their order.
func All(ctx Context, of ...Awaitable) error {
	if _, err := FirstN(ctx, len(of), of...); err != nil {
		return err
	}
	for _, a := range of {
		if err := a.failure(); err != nil {
			return err
		}
	}
	return nil
}

// Await waits until cond holds. It is called whenever the run has gone on, and may only
// look at what the code has.
func Await(ctx Context, cond func() bool) error {
	co := ctx.s.m.enterChanging()
	defer func() { co.poll = false }()
	for first := true; !cond(); first = false {
		if err := ctx.s.failure(); err != nil {
			return err
		}
		co.poll, co.idle = true, !first
		co.park(nil)
	}
	return nil
}

// Go runs f beside the code that calls it: one of the two at a time, and in the same
// order on each replay. What still runs when the workflow's function returns is given up.
func Go[T any](ctx Context, f func(Context) (T, error)) *Future[T] {
	m := ctx.s.m
	m.enterChanging()
	o := &op{m: m, scope: ctx.s, kind: opLocal, name: "coroutine"}
	m.co.spawn(func() {
		value, err := f(ctx)
		if err != nil {
			o.resolve(nil, toError(err))
			return
		}
		o.value = value
		o.resolve(nil, nil)
	})
	return &Future[T]{o}
}
