package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// How often progress is shown: in place on a terminal, else a line each.
const (
	terminalInterval = 250 * time.Millisecond
	lineInterval     = 5 * time.Second
)

// progress shows how far an import is. It is used by one goroutine besides its
// own.
type progress struct {
	out      io.Writer
	quiet    bool
	terminal bool
	size     int64 // of the input in bytes; 0: not known
	end      chan struct{}
	done     sync.WaitGroup
	// text is the line to show after a time; it is of what update said, unless
	// somebody else shows something else.
	text func(took time.Duration) string

	mu     sync.Mutex // guards what follows, and out
	began  time.Time
	ended  time.Time
	total  summary
	offset int64 // of the input, executed
	from   int64 // offset where this run began
	shown  bool  // a line in place is on the terminal
}

func newProgress(out io.Writer, quiet bool, size int64) *progress {
	p := &progress{out: out, quiet: quiet, terminal: onTerminal(out), size: size, end: make(chan struct{})}
	p.text = func(took time.Duration) string { return progressText(p.total, p.offset, p.from, p.size, took) }
	return p
}

// start shows progress until stop.
func (p *progress) start() {
	p.began = time.Now()
	if p.quiet {
		return
	}
	interval := lineInterval
	if p.terminal {
		interval = terminalInterval
	}
	p.done.Go(func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-p.end:
				return
			case now := <-ticker.C:
				p.show(now)
			}
		}
	})
}

func (p *progress) stop() {
	close(p.end)
	p.done.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = time.Now()
	p.clearLocked()
}

func (p *progress) elapsed() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended.Sub(p.began)
}

// update says how far the import is.
func (p *progress) update(total summary, offset int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if done(p.total) == 0 && done(total) > 0 && total.Skipped > 0 {
		p.from = offset // what earlier runs did is not this run's speed
	}
	p.total, p.offset = total, offset
}

// line writes a line of its own, above what is shown in place.
func (p *progress) line(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clearLocked()
	fmt.Fprintf(p.out, format+"\n", args...)
}

func (p *progress) show(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clearLocked()
	text := p.text(now.Sub(p.began))
	if p.terminal {
		fmt.Fprint(p.out, text)
		p.shown = true
		return
	}
	fmt.Fprintln(p.out, text)
}

func (p *progress) clearLocked() {
	if p.shown {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.shown = false
	}
}

// done is how many lines this run has executed.
func done(s summary) uint64 { return s.Stored + s.Duplicates + s.Unconfirmed }

// progressText is one line about an import that has taken so long.
func progressText(s summary, offset, from, size int64, took time.Duration) string {
	rate := float64(done(s)) / max(took.Seconds(), 0.001)
	text := fmt.Sprintf("line %d: stored %d, duplicates %d, skipped %d, bad %d, %.0f/s",
		s.Last, s.Stored, s.Duplicates, s.Skipped, s.Bad, rate)
	if size <= 0 {
		return text
	}
	text += fmt.Sprintf(", %d%%", 100*min(offset, size)/size)
	if here := offset - from; here > 0 && offset < size {
		left := time.Duration(float64(took) * float64(size-offset) / float64(here))
		text += fmt.Sprintf(", %s left", left.Round(time.Second))
	}
	return text
}
