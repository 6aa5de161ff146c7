package timers

import (
	"context"
	"log/slog"
	"math"
	"time"

	"github.com/edri-io/edri/consensus"
)

const (
	// The cluster's time may jump when another clock joins the median, so that no
	// wait for it is longer than this.
	maxWait = time.Second
	// After a fire that was refused.
	retryPause = 100 * time.Millisecond
)

// Cluster is what the leader's loop needs of its node.
type Cluster interface {
	Now() int64
	Applied() <-chan struct{}
	View() *consensus.View
	Propose(ctx context.Context, op uint32, body []byte) error
}

var _ Cluster = (*consensus.Node)(nil)

// expectAt notes that a timer was set.
func (t *Table) expectAt(due int64) {
	for {
		soonest := t.sooner.Load()
		if due >= soonest || t.sooner.CompareAndSwap(soonest, due) {
			return
		}
	}
}

// Run fires what is due until the context ends. The leader runs it. An error is
// that of reading the table.
func (t *Table) Run(ctx context.Context, c Cluster, logger *slog.Logger) error {
	next := int64(math.MinInt64) // look at once
	late := false
	for ctx.Err() == nil {
		applied := c.Applied()
		// What is set from here on closes applied: it is not missed.
		next = min(next, t.sooner.Swap(math.MaxInt64))
		if now := c.Now(); next > now {
			wait(ctx, applied, time.Duration(next-now))
			continue
		}
		var err error
		if next, err = earliest(c); err != nil {
			return err
		}
		if next > c.Now() {
			continue
		}
		err = c.Propose(ctx, opFire, encodeFire(maxFire))
		if err != nil && !late && ctx.Err() == nil {
			logger.Warn("timers that are due wait", "error", err)
		}
		if late = err != nil; late {
			wait(ctx, nil, retryPause)
		}
	}
	return nil
}

// earliest returns when the first timer is due, math.MaxInt64 if there is none.
func earliest(c Cluster) (int64, error) {
	v := c.View()
	defer v.Close()
	it := v.Scan(name, nil, nil, false)
	defer it.Close()
	if !it.Next() {
		return math.MaxInt64, it.Err()
	}
	timer, _, _, err := decodeRow(it.Key(), it.Value())
	return timer.Due, err
}

// wait returns after d, at the latest after maxWait, or when more was applied.
func wait(ctx context.Context, applied <-chan struct{}, d time.Duration) {
	timer := time.NewTimer(min(d, maxWait))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-applied:
	case <-timer.C:
	}
}
