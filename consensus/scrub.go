package consensus

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/store"
)

const (
	scrubRate     = 4 << 20 // bytes a second
	scrubInterval = 24 * time.Hour
	// The first round waits until a node that was just started has caught up.
	scrubDelay = time.Minute
	// While the state file is read its replaced pages cannot be used again, so it
	// is given at most this time, whatever the rate.
	scrubStateWithin = 10 * time.Second
	// scrubPieceBytes is read between two pauses.
	scrubPieceBytes = 64 << 10
)

// scrub reads in the background what nobody asks for, so that damage is met while
// the other nodes still have what it took. A round reads every sealed segment and
// the state file; the active segment and the raft log are read all the time, or
// whole at each start.
type scrub struct {
	bytes    atomic.Uint64 // read in all rounds
	rounds   atomic.Uint64 // complete ones
	damage   atomic.Uint64 // files that were damaged
	complete atomic.Int64  // when the last complete round ended, ns since 1970
}

// Scrub is how far the background reading is since the node runs.
type Scrub struct {
	Bytes    uint64    // read
	Rounds   uint64    // complete
	Damaged  uint64    // files found damaged
	Complete time.Time // when the last complete round ended; zero: none did
}

func (s *scrub) status() Scrub {
	out := Scrub{Bytes: s.bytes.Load(), Rounds: s.rounds.Load(), Damaged: s.damage.Load()}
	if at := s.complete.Load(); at != 0 {
		out.Complete = time.Unix(0, at)
	}
	return out
}

// scrubLoop begins a round every ScrubInterval, or when the one before is over.
func (n *Node) scrubLoop() {
	defer n.tasks.Done()
	timer := time.NewTimer(min(scrubDelay, n.cfg.ScrubInterval))
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-n.closing:
			return
		}
		began := time.Now()
		if err := n.scrubRound(n.lifetime); n.lifetime.Err() == nil {
			n.scrubbed(began, err)
		}
		timer.Reset(max(0, n.cfg.ScrubInterval-time.Since(began)))
	}
}

// scrubbed says how a round went.
func (n *Node) scrubbed(began time.Time, err error) {
	if err != nil {
		n.logger.Warn("scrub did not read all", "error", err)
		return
	}
	n.scrub.rounds.Add(1)
	n.scrub.complete.Store(time.Now().UnixNano())
	n.logger.Info("scrub has read all", "took", time.Since(began), "bytes_total", n.scrub.bytes.Load())
}

// scrubRound reads everything once. What was damaged is dealt with by the way; the
// error is about what could not be read.
func (n *Node) scrubRound(ctx context.Context) error {
	core := n.core.Load()
	var errs []error
	for _, s := range core.journal.Segments() {
		if s.Sealed && ctx.Err() == nil {
			p := n.scrubPacer(core, n.cfg.ScrubRate)
			errs = append(errs, n.scrubbedFile(core, core.journal.Scrub(ctx, s.First, p.wait)))
		}
	}
	return errors.Join(append(errs, n.scrubbedFile(core, n.scrubState(ctx, core)))...)
}

func (n *Node) scrubState(ctx context.Context, core *Core) error {
	pin, err := core.db.Pin()
	if err != nil {
		return fmt.Errorf("pin state: %w", err)
	}
	rate := max(n.cfg.ScrubRate, pin.Size()/int64(scrubStateWithin/time.Second))
	pin.Close()
	return core.db.Scrub(ctx, n.scrubPacer(core, rate).wait)
}

// scrubPacer reads the files of a core until another takes its place, who would
// wait for their readers.
func (n *Node) scrubPacer(core *Core, rate int64) *pacer {
	return &pacer{rate: rate, read: &n.scrub.bytes, over: func() error {
		if n.core.Load() != core {
			return store.ErrClosed
		}
		return nil
	}}
}

// scrubbedFile judges what reading one file of a core came to.
func (n *Node) scrubbedFile(core *Core, err error) error {
	switch {
	case err == nil, event.CodeOf(err) == event.CodeNotFound:
		return nil // or retention took it
	case n.core.Load() != core:
		return fmt.Errorf("the state was replaced: %w", err)
	case errors.Is(err, store.ErrCorrupt):
		n.scrub.damage.Add(1)
		n.fail(fmt.Errorf("scrub: %w", err))
	}
	return err
}

// pacer lets bytes pass at a rate, a piece at a time. It is for one goroutine.
type pacer struct {
	rate int64          // bytes a second
	read *atomic.Uint64 // counts what passed
	over func() error   // why there is no sense in going on, nil while there is
	due  int64          // passed since the last pause
}

// wait implements store.Pace.
func (p *pacer) wait(ctx context.Context, bytes int) error {
	p.read.Add(uint64(bytes))
	if p.due += int64(bytes); p.due < scrubPieceBytes {
		return nil
	}
	pause := time.Duration(float64(p.due) / float64(p.rate) * float64(time.Second))
	p.due = 0
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return p.over()
	case <-ctx.Done():
		return ctx.Err()
	}
}
