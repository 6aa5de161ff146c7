package client

import (
	"context"
	"math/rand/v2"
	"time"
)

// Bounds of the wait before another try. Writes are quicker: a failover takes
// about a second, and every caller waits for it.
const (
	firstWait    = 5 * time.Millisecond
	maxWriteWait = 100 * time.Millisecond
	maxReadWait  = 1 * time.Second
)

// backoff is how long to wait between tries: doubling, with jitter, and how long
// it has been without success.
type backoff struct {
	max    time.Duration
	giveUp time.Duration // 0: never
	wait   time.Duration
	since  time.Time // of the first failure since the last success
}

// succeeded starts over.
func (b *backoff) succeeded() { b.wait, b.since = 0, time.Time{} }

// pause waits before the next try. It returns false, at once, when ctx has ended
// or it is time to give up.
func (b *backoff) pause(ctx context.Context) bool {
	now := time.Now()
	if b.since.IsZero() {
		b.since = now
	}
	if b.giveUp > 0 && now.Sub(b.since) >= b.giveUp {
		return false
	}
	if b.wait == 0 {
		b.wait = firstWait
	}
	// Half fixed, half random, so that clients that failed together part.
	wait := b.wait/2 + rand.N(b.wait/2+1)
	if b.giveUp > 0 {
		wait = min(wait, b.giveUp-now.Sub(b.since)) // the last try is at its end
	}
	b.wait = min(2*b.wait, b.max)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
