package workflows

import (
	"bytes"
	"fmt"
	"reflect"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"
)

// coroutines runs functions one at a time: each on a goroutine of its own, which runs
// only while the owner, who calls run, waits for it. So the code of a run may share
// variables without locks, and asks for things in the same order on each replay.
//
//	owner      run ──▶ resume ─ … waits for back … ◀── run ──▶ resume ─ …
//	coroutine  parked          runs ─▶ back ─▶ parked          runs
//
// All of it belongs to the owner, or to the coroutine that runs.
type coroutines struct {
	list []*coroutine
	// current is the one that runs, nil while the owner does.
	current *coroutine
	// back is how the one that runs gives control back.
	back  chan struct{}
	timer *time.Timer   // of the one that runs
	limit time.Duration // of a turn

	// running is the coroutine that may call the API, nil: none. Others look.
	running atomic.Pointer[coroutine]
	// closing: whoever calls the API ends.
	closing atomic.Bool
	// abandoned is closed when the one that runs did not come back in time. From then on
	// all of it belongs to that one, and the owner keeps away.
	abandoned chan struct{}
	stuck     bool
	// onStuck and onGone are called when that happens, and when the last of those that
	// were abandoned is gone; nil: nobody asks.
	onStuck, onGone func()

	// panicked is told of a panic of one that is not for looking only.
	panicked func(text string, stack []byte)
}

// coroutine is one of them.
type coroutine struct {
	set    *coroutines
	fn     func()
	resume chan struct{}
	// wait says whether it can go on; nil: it can.
	wait func() bool
	// poll: it looks itself whether it can, and sets idle if not.
	poll, idle bool
	started    bool
	done       bool
	returned   bool // fn did
	// looks: it must not change anything, nor wait. Its panic is its caller's.
	looks bool
	panic any
	stack []byte
}

func newCoroutines(limit time.Duration) *coroutines {
	return &coroutines{back: make(chan struct{}), abandoned: make(chan struct{}), limit: limit}
}

// spawn adds a coroutine, which runs when its turn comes.
func (s *coroutines) spawn(fn func()) *coroutine {
	co := &coroutine{set: s, fn: fn, resume: make(chan struct{})}
	s.list = append(s.list, co)
	return co
}

// look runs fn at once, on a goroutine that the API lets look only. It returns what fn
// panicked with.
func (s *coroutines) look(fn func()) (panicked any, stack []byte) {
	co := &coroutine{set: s, fn: fn, resume: make(chan struct{}), looks: true}
	s.run(co)
	return co.panic, co.stack
}

// turn runs those that can go on, in the order in which they were made, until none can
// or stop says so.
func (s *coroutines) turn(stop func() bool) {
	for again := true; again; {
		again = false
		for i := 0; i < len(s.list); i++ {
			if stop() || s.stuck {
				return
			}
			co := s.list[i]
			if co.done || !co.poll && co.wait != nil && !co.wait() {
				continue
			}
			co.idle = false
			s.run(co)
			again = again || !co.idle
		}
		if s.stuck {
			return
		}
		live := s.list[:0]
		for _, co := range s.list {
			if !co.done {
				live = append(live, co)
			}
		}
		clear(s.list[len(live):])
		s.list = live
	}
}

// run lets a coroutine run until it parks or ends, or for too long.
func (s *coroutines) run(co *coroutine) {
	s.current = co
	if s.timer == nil {
		s.timer = time.NewTimer(s.limit)
	} else {
		s.timer.Reset(s.limit)
	}
	if co.started {
		s.running.Store(co)
		co.resume <- struct{}{}
	} else {
		co.started = true
		go co.main()
	}
	select {
	case <-s.back:
		s.timer.Stop()
		s.current = nil
	case <-s.timer.C:
		s.stuck = true
		s.closing.Store(true)
		if s.onStuck != nil {
			s.onStuck()
		}
		close(s.abandoned)
	}
}

func (co *coroutine) main() {
	co.set.running.Store(co)
	defer func() {
		if p := recover(); p != nil {
			co.panic, co.stack = p, debug.Stack()
		} else if !co.returned && !co.set.closing.Load() {
			co.panic, co.stack = "the workflow's code called runtime.Goexit", debug.Stack()
		}
		if co.panic != nil && !co.looks && !co.set.closing.Load() {
			co.set.panicked(fmt.Sprint(co.panic), co.stack)
		}
		co.done = true
		co.giveBack()
	}()
	co.fn()
	co.returned = true
}

// park gives control back until wait says that the coroutine can go on.
func (co *coroutine) park(wait func() bool) {
	co.wait = wait
	if !co.giveBack() {
		runtime.Goexit()
	}
	<-co.resume
	co.set.leaveIfClosing()
}

// giveBack gives control to the owner. Where the owner did not wait for it, it reports
// false, and once the coroutine is done lets the next one end.
func (co *coroutine) giveBack() bool {
	s := co.set
	s.running.Store(nil)
	select {
	case s.back <- struct{}{}:
		return true
	case <-s.abandoned:
	}
	if !co.done {
		return false
	}
	for _, next := range s.list {
		if next.started && !next.done {
			s.current = next
			s.running.Store(next)
			next.resume <- struct{}{}
			return false
		}
	}
	if s.onGone != nil {
		s.onGone()
	}
	return false
}

// close ends all coroutines, without their code getting anything done. It reports false
// where one does not end in time.
func (s *coroutines) close() bool {
	s.closing.Store(true)
	for _, co := range s.list {
		if s.stuck {
			return false
		}
		for co.started && !co.done && !s.stuck {
			s.run(co)
		}
	}
	if !s.stuck {
		s.list = nil
	}
	return !s.stuck
}

func (s *coroutines) leaveIfClosing() {
	if s.closing.Load() {
		runtime.Goexit()
	}
}

// onCoroutine reports whether the calling goroutine is that of a coroutine: whether its
// stack begins in main. It costs a fraction of what its id would, which only the text of
// its stack has.
func onCoroutine() bool {
	// The outermost are main, the function of the go statement, and the runtime's.
	const outermost = 3
	var space [64]uintptr
	n := len(space)
	for skip := 0; n == len(space); skip += len(space) - outermost {
		n = runtime.Callers(skip, space[:])
	}
	for _, pc := range space[max(0, n-outermost):n] {
		if f := runtime.FuncForPC(pc - 1); f != nil && f.Name() == mainName {
			return true
		}
	}
	return false
}

// mainName is the name of coroutine.main.
var mainName = strings.TrimSuffix(runtime.FuncForPC(reflect.ValueOf((*coroutine).main).Pointer()).Name(), "-fm")

// stackOf returns the stack of a coroutine, which is found by its address among the
// arguments; empty if it is not.
func stackOf(co *coroutine) []byte {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	at := bytes.Index(buf, fmt.Appendf(nil, ".main(%p", co))
	if at < 0 {
		return nil
	}
	begin := bytes.LastIndex(buf[:at], []byte("\n\n")) + 1
	stack, _, _ := bytes.Cut(bytes.TrimLeft(buf[begin:], "\n"), []byte("\n\n"))
	_, stack, _ = bytes.Cut(stack, []byte("\n")) // which goroutine it is
	return bytes.Clone(stack)
}
