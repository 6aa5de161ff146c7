package managers

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/edri-io/edri/internal/pace"
)

const (
	// A line of standard error is cut behind so many bytes, and so many are logged a
	// second; what the last one said stands in reasons, cut again.
	maxLogLine   = 8 << 10
	maxLogLines  = 1000
	maxLastWords = 256

	// Heartbeats are read no faster than so many bytes a second, of which one counts some
	// at least: a thousand. Those beyond wait in the pipe, and then their process does.
	beatRate  = 64 << 10
	beatBytes = 64

	maxShown = 200                // bytes of a bad line in messages
	maxDelay = 24 * 7 * time.Hour // of a nak
)

// readStdout takes what the process says. It returns at the end of the output, or at the
// first thing that is not in the protocol: then nothing else can be relied on.
func (i *instance) readStdout() {
	lines := bufio.NewScanner(i.stdout)
	lines.Buffer(make([]byte, 0, 64<<10), maxLineBytes)
	beats := pace.New(i.alive, beatRate, nil)
	for lines.Scan() {
		line := lines.Bytes()
		m, err := decodeMessage(line)
		if err == nil {
			err = i.accept(m)
		}
		if err != nil {
			i.end(fmt.Errorf("it wrote a line that is not in the protocol: %w: %s", err, shown(line)))
			return
		}
		if m.Heartbeat != nil {
			// Nothing else bounds how many there are. Once the process is gone what it
			// wrote is read as it comes.
			_ = beats.Wait(max(len(line), beatBytes))
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		i.end(fmt.Errorf("it wrote a line of more than %d bytes", maxLineBytes))
	case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
		i.end(fmt.Errorf("read its output: %w", err))
	case err == nil && !i.exits(drainTime):
		i.end(errors.New("it closed its standard output"))
	}
}

// shown is a line as a message shows it.
func shown(line []byte) string {
	if len(line) > maxShown {
		return strconv.Quote(cut(string(line), maxShown)) + "…"
	}
	return strconv.Quote(string(line))
}

// accept takes a message.
func (i *instance) accept(m workerMessage) error {
	i.mu.Lock()
	i.heard = time.Now()
	i.mu.Unlock()
	greeted := false
	select {
	case <-i.hello:
		greeted = true
	default:
	}
	switch {
	case m.Hello != nil && greeted:
		return errors.New("a second hello")
	case m.Hello != nil:
		return i.greet(m.Hello)
	case !greeted:
		return errors.New("hello must come first")
	case m.Heartbeat != nil:
		return nil
	case m.Get != nil:
		i.get(m.Get)
		return nil
	}
	return i.answer(m)
}

// get has a key read, and the answer written, beside everything else.
func (i *instance) get(g *workerGet) {
	select {
	case i.gets <- struct{}{}:
	case <-i.reading.Done():
		return
	}
	i.tasks.Go(func() {
		defer func() { <-i.gets }()
		if err := i.send(g.read(i.reading, i.pool.keys)); err != nil && i.reading.Err() == nil {
			i.end(fmt.Errorf("write the value of a key: %w", err))
		}
	})
}

// greet takes the worker's hello and returns it.
func (i *instance) greet(h *workerHello) error {
	if err := h.check(); err != nil {
		return err
	}
	capacity := max(1, h.Concurrency)
	if most := i.pool.process.Concurrency; most > 0 {
		capacity = min(capacity, most)
	}
	i.mu.Lock()
	i.silence = time.Duration(h.HeartbeatMs) * time.Millisecond
	if h.Name != "" {
		i.title = cut(h.Name, maxLastWords)
	}
	i.mu.Unlock()
	hello := &hostHello{
		Protocol: protocolVersion, Subscription: i.pool.subscription,
		Instance: i.number, Concurrency: capacity,
	}
	if err := i.send(hostMessage{Hello: hello}); err != nil {
		return fmt.Errorf("answer hello: %w", err)
	}
	close(i.hello)
	i.pool.logger.Info("worker process is ready", "worker", i.name(), "instance", i.number,
		"pid", i.cmd.Process.Pid, "concurrency", capacity)
	i.pool.greeted(i, capacity)
	return nil
}

// answer takes the end of a delivery.
func (i *instance) answer(m workerMessage) error {
	var id uint64
	var a answer
	switch {
	case m.Ack != nil:
		id, a.ack = m.Ack.ID, m.Ack
	case m.Nak != nil:
		id, a.err, a.nak = m.Nak.ID, m.Nak.why(), true
		if ms := m.Nak.DelayMs; ms > 0 {
			a.err = RetryAfter(a.err, time.Duration(min(ms, maxDelay.Milliseconds()))*time.Millisecond)
		}
	case m.Park != nil:
		id, a.err = m.Park.ID, Reject(m.Park.why())
	case m.Skip != nil:
		id, a.err = m.Skip.ID, ErrSkip
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	d, ok := i.pending[id]
	if !ok {
		return fmt.Errorf("it has no delivery %d", id)
	}
	delete(i.pending, id)
	i.served = true
	d.answer <- a
	return nil
}

func (e *workerEnd) why() error {
	if e.Reason == "" {
		return orUnknown(nil)
	}
	return errors.New(e.Reason)
}

// readStderr logs what the process has to say to people.
func (i *instance) readStderr() {
	lines := bufio.NewReaderSize(i.stderr, maxLogLine)
	var second time.Time
	logged, dropped := 0, 0
	for {
		piece, more, err := lines.ReadLine()
		if err != nil {
			break
		}
		line := cut(string(piece), maxLogLine)
		for more && err == nil {
			_, more, err = lines.ReadLine()
		}
		i.mu.Lock()
		i.said = cut(line, maxLastWords)
		i.mu.Unlock()
		if now := time.Now(); now.Sub(second) >= time.Second {
			i.logDropped(dropped)
			second, logged, dropped = now, 0, 0
		}
		if logged++; logged > maxLogLines {
			dropped++
			continue
		}
		i.pool.logger.Info("worker says", "worker", i.name(), "instance", i.number, "line", line)
	}
	i.logDropped(dropped)
}

func (i *instance) logDropped(lines int) {
	if lines > 0 {
		i.pool.logger.Warn("worker says more than is logged", "worker", i.name(), "instance", i.number, "lines", lines)
	}
}
