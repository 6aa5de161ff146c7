package transport

import (
	"context"
	"sync"
	"time"
)

// pace lets bytes pass at a rate that all who wait share: each piece takes the
// next free place on one line of time.
type pace struct {
	rate int64 // bytes a second

	mu   sync.Mutex
	free time.Time // when the next piece may pass
}

// wait returns when n bytes may pass.
func (p *pace) wait(ctx context.Context, n int) error {
	p.mu.Lock()
	now := time.Now()
	if p.free.Before(now) {
		p.free = now
	}
	delay := p.free.Sub(now)
	p.free = p.free.Add(time.Duration(float64(n) / float64(p.rate) * float64(time.Second)))
	p.mu.Unlock()
	if delay <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
