package managers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"
)

// drainTime is how long the output of a process that has ended is read at most: one of
// its own processes may have left the group and hold on to the pipes.
const drainTime = time.Second

// instance is one process from its start to its end.
//
//	            hello                  end(cause), exit, stop of the pool
//	started ───────────▶ ready ───────────────────────────────────────────▶ retired ──▶ gone
//	    └──────────────────── no hello in time ────────────────────────────────┘
//
// Ready it gets deliveries; retired it gets none, and what it has is answered by what it
// still writes, or by the reason of its end.
type instance struct {
	pool   *pool
	number int
	cmd    *exec.Cmd
	// This process's ends of the pipes, and the other's until it runs.
	stdin, stdout, stderr *os.File
	theirs                []*os.File

	ending chan struct{} // closed by end
	exited chan struct{} // closed once the process is reaped
	hello  chan struct{} // closed once it said hello

	writing sync.Mutex // a line at a time

	alive   context.Context // ends with the process
	reading context.Context // for reads of keys; ends with the process or the pool
	gets    chan struct{}   // has one for each that is under way
	tasks   sync.WaitGroup  // what run waits for

	// Under the pool's mu.
	capacity, free int
	lone           *place // it is, or is to be, this one's alone
	retired        bool

	mu      sync.Mutex
	title   string
	cause   error // of end; nil: not called
	pending map[uint64]expected
	lastID  uint64
	gone    error         // the reason of its end, once nothing is pending any more
	served  bool          // it answered a delivery
	ofEvent bool          // it died of its only delivery, see diedOfEvent
	heard   time.Time     // when it wrote last
	silence time.Duration // how long it may be silent; 0: for ever
	said    string        // its last line on standard error
}

// answer ends a delivery.
type answer struct {
	ack *workerAck
	err error
	nak bool // err is the worker's own nak
}

// expected is a delivery without an answer. The channel has room for it.
type expected struct {
	answer  chan<- answer
	attempt int
}

func newInstance(p *pool, number int) *instance {
	return &instance{
		pool: p, number: number, title: p.process.name(),
		ending: make(chan struct{}), exited: make(chan struct{}), hello: make(chan struct{}),
		pending: make(map[uint64]expected), gets: make(chan struct{}, maxGets),
	}
}

// run runs the process until it ends by itself, by end, or since ctx has ended. It
// returns why it ended; then nothing of it is left.
func (i *instance) run(ctx context.Context) error {
	if err := i.launch(); err != nil {
		return fmt.Errorf("start worker process: %w", err)
	}
	i.pool.logger.Debug("worker process started", "worker", i.name(), "instance", i.number, "pid", i.cmd.Process.Pid)
	var gone, over context.CancelFunc
	i.alive, gone = context.WithCancel(context.WithoutCancel(ctx))
	i.reading, over = context.WithCancel(ctx)
	i.tasks.Go(i.readStdout)
	i.tasks.Go(i.readStderr)
	i.tasks.Go(func() { i.watch(ctx) })
	_ = i.cmd.Wait() // what it says is in ProcessState
	close(i.exited)
	gone()
	over()
	i.pool.retire(i)
	i.killRest()
	until := time.Now().Add(drainTime)
	_ = i.stdout.SetReadDeadline(until)
	_ = i.stderr.SetReadDeadline(until)
	i.tasks.Wait()
	i.close()
	return i.finish()
}

// launch starts the process.
func (i *instance) launch() (err error) {
	defer func() {
		for _, f := range i.theirs {
			_ = f.Close()
		}
		if err != nil {
			i.close()
		}
	}()
	for _, end := range []struct {
		ours  **os.File
		reads bool // the process reads it
	}{{&i.stdin, true}, {&i.stdout, false}, {&i.stderr, false}} {
		r, w, err := os.Pipe()
		if err != nil {
			return err
		}
		if end.reads {
			r, w = w, r
		}
		*end.ours = r
		i.theirs = append(i.theirs, w)
	}
	p := &i.pool.process
	i.cmd = exec.Command(p.Command[0], p.Command[1:]...)
	i.cmd.Dir = p.Dir
	if len(p.Env) > 0 {
		i.cmd.Env = append(os.Environ(), p.Env...)
	}
	// As files, so that Wait waits for the process alone.
	i.cmd.Stdin, i.cmd.Stdout, i.cmd.Stderr = i.theirs[0], i.theirs[1], i.theirs[2]
	i.cmd.SysProcAttr = groupAttributes()
	i.heard = time.Now()
	return i.begin()
}

func (i *instance) close() {
	for _, f := range []*os.File{i.stdin, i.stdout, i.stderr} {
		if f != nil {
			_ = f.Close() // stdin may be closed already
		}
	}
}

// end has the process ended, for a reason that its deliveries get. The first one counts.
func (i *instance) end(cause error) {
	i.mu.Lock()
	if i.cause == nil {
		i.cause = cause
		close(i.ending)
	}
	i.mu.Unlock()
	i.pool.retire(i)
}

// finish answers what is pending with the reason of the end.
func (i *instance) finish() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	reason := fmt.Sprintf("worker process ended with %s", i.cmd.ProcessState)
	if i.cause != nil {
		reason = fmt.Sprintf("%s: %v", reason, i.cause)
	}
	if n := len(i.pending); n > 1 {
		reason = fmt.Sprintf("%s; it had %d deliveries", reason, n)
	}
	if i.said != "" {
		reason = fmt.Sprintf("%s; its last words: %s", reason, i.said)
	}
	i.gone = errors.New(reason)
	only := len(i.pending) == 1
	for id, d := range i.pending {
		i.ofEvent = only && d.attempt >= aloneFrom
		d.answer <- answer{err: i.gone}
		delete(i.pending, id)
	}
	return i.gone
}

// deliver gives the process a delivery and waits for its answer. A process that has
// none when ctx ends is ended: there is no other way to have it stop.
func (i *instance) deliver(ctx context.Context, d *Delivery) answer {
	id, answers, err := i.expect(d.Attempt)
	if err != nil {
		return answer{err: err}
	}
	late := func() { i.end(fmt.Errorf("position %d was not answered: %w", d.Position, context.Cause(ctx))) }
	// For as long as the process does not read what is written.
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { defer close(ended); late() })
	defer func() {
		if !stop() {
			<-ended
		}
	}()
	var left time.Duration
	if deadline, ok := ctx.Deadline(); ok {
		left = max(time.Until(deadline), time.Millisecond)
	}
	if err := i.send(newDeliver(id, d, left)); err != nil {
		i.end(fmt.Errorf("write delivery: %w", err))
	}
	select {
	case a := <-answers:
		return a
	case <-ctx.Done():
		late() // stop may come before the function began
		return answer{err: fmt.Errorf("worker process did not answer: %w", ctx.Err())}
	}
}

// expect makes room for an answer, of which there will be one.
func (i *instance) expect(attempt int) (id uint64, answers <-chan answer, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.gone != nil {
		return 0, nil, i.gone
	}
	i.lastID++
	one := make(chan answer, 1)
	i.pending[i.lastID] = expected{one, attempt}
	return i.lastID, one, nil
}

// send writes a message. It waits as long as the process does not read, or is ended.
func (i *instance) send(m hostMessage) error {
	line, err := m.encode()
	if err != nil {
		return err
	}
	i.writing.Lock()
	defer i.writing.Unlock()
	_, err = i.stdin.Write(line)
	return err
}

// sendSoon writes a message if that can be done within a time; a process that does not
// read is not worth more.
func (i *instance) sendSoon(m hostMessage, within time.Duration) error {
	line, err := m.encode()
	if err != nil {
		return err
	}
	if !i.writing.TryLock() {
		return errors.New("the process does not read")
	}
	defer i.writing.Unlock()
	_ = i.stdin.SetWriteDeadline(time.Now().Add(within))
	_, err = i.stdin.Write(line)
	_ = i.stdin.SetWriteDeadline(time.Time{})
	return err
}

func (i *instance) name() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.title
}

// diedOfEvent reports whether it had nothing but a delivery that had a process of its own.
func (i *instance) diedOfEvent() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.ofEvent
}

func (i *instance) hasServed() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.served
}
