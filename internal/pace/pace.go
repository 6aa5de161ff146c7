package pace

import (
	"context"
	"io"
	"time"
)

// Pace holds work up to a rate. It is for one goroutine.
type Pace struct {
	ctx   context.Context
	rate  int64
	check func() error
	began time.Time
	done  int64 // bytes since began
}

// maxBurst is how much time of not working is made up for at most.
const maxBurst = 100 * time.Millisecond

// New returns a Pace of rate bytes a second; 0 holds nothing up. Work ends with ctx,
// or with the error of check, which is asked before each piece; nil: it is not.
func New(ctx context.Context, rate int64, check func() error) *Pace {
	if check == nil {
		check = func() error { return nil }
	}
	return &Pace{ctx: ctx, rate: rate, check: check}
}

// Wait notes a piece of n bytes and returns when it is due. An error says that the
// work should end.
func (p *Pace) Wait(n int) error {
	if err := p.check(); err != nil {
		return err
	}
	if p.rate <= 0 {
		return p.ctx.Err()
	}
	now := time.Now()
	due := p.began.Add(time.Duration(float64(p.done) / float64(p.rate) * float64(time.Second)))
	if p.done == 0 || now.Sub(due) > maxBurst {
		p.began, p.done, due = now, 0, now
	}
	p.done += int64(n)
	// A timer costs more than what a small piece would wait for.
	if wait := due.Sub(now); wait > time.Millisecond {
		select {
		case <-time.After(wait):
		case <-p.ctx.Done():
		}
	}
	return p.ctx.Err()
}

// Reader paces what is read of r.
func (p *Pace) Reader(r io.Reader) io.Reader { return reader{p, r} }

// Writer paces what is written to w.
func (p *Pace) Writer(w io.Writer) io.Writer { return writer{p, w} }

type reader struct {
	pace *Pace
	r    io.Reader
}

func (r reader) Read(b []byte) (int, error) {
	n, err := r.r.Read(b)
	if waitErr := r.pace.Wait(n); waitErr != nil {
		return n, waitErr
	}
	return n, err
}

type writer struct {
	pace *Pace
	w    io.Writer
}

func (w writer) Write(b []byte) (int, error) {
	if err := w.pace.Wait(len(b)); err != nil {
		return 0, err
	}
	return w.w.Write(b)
}
