package workload

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/integration/ledger"
)

// Config says what Start writes.
type Config struct {
	Servers []string
	// Writers is the number of closed loops, each with a stream of its own.
	// Default 8; below 0 none, for the use of First alone.
	Writers int
	// Pace is the least time from one event of a writer to its next. Default 0:
	// at once.
	Pace time.Duration
	// Ledger is told everything. Required.
	Ledger *ledger.Ledger
}

// Writers append until Stop.
type Writers struct {
	cfg    Config
	client *client.Client
	run    string
	stop   context.CancelCauseFunc // ends the intake
	abort  context.CancelCauseFunc // ends what is under way
	wg     sync.WaitGroup

	acked   atomic.Int64
	last    atomic.Int64 // acknowledgement, ns since 1970
	pause   atomic.Int64 // the longest between two, ns
	unknown atomic.Int64

	mu      sync.Mutex // guards refused
	refused []error
}

// errStopped ends what the writers have under way.
var errStopped = errors.New("the writers are stopped")

// stopGrace is how long Stop lets appends that are under way end.
const stopGrace = 15 * time.Second

// Start starts the writers. Stop them.
func Start(ctx context.Context, cfg Config) (*Writers, error) {
	if cfg.Writers == 0 {
		cfg.Writers = 8
	}
	c, err := client.New(client.Config{Servers: cfg.Servers})
	if err != nil {
		return nil, fmt.Errorf("start writers: %w", err)
	}
	ctx, abort := context.WithCancelCause(ctx)
	intake, stop := context.WithCancelCause(ctx)
	w := &Writers{cfg: cfg, client: c, run: rand.Text()[:8], stop: stop, abort: abort}
	for i := range cfg.Writers {
		w.wg.Go(func() { w.write(ctx, intake, i) })
	}
	return w, nil
}

// write appends event after event until intake ends; ctx bounds each append.
func (w *Writers) write(ctx, intake context.Context, writer int) {
	stream := "stream-" + strconv.Itoa(writer)
	for n := 1; intake.Err() == nil; n++ {
		began := time.Now()
		w.append(ctx, stream, event.Event{
			ID:      fmt.Sprintf("%s-%d-%d", w.run, writer, n),
			Source:  "/integration/writer",
			Type:    "test.written",
			Subject: stream,
			Data:    fmt.Appendf(nil, "event %d of writer %d", n, writer),
		})
		if wait := w.cfg.Pace - time.Since(began); wait > 0 {
			timer := time.NewTimer(wait)
			select {
			case <-intake.Done():
			case <-timer.C:
			}
			timer.Stop()
		}
	}
}

func (w *Writers) append(ctx context.Context, stream string, e event.Event) {
	w.cfg.Ledger.Sent(e)
	done, err := w.client.Append(ctx, stream, event.ExpectAny, e)
	switch {
	case err == nil:
		w.cfg.Ledger.Acknowledged(ledger.Key{Source: e.Source, ID: e.ID}, done.Position, done.Revision)
		w.acked.Add(1)
		w.notePause(time.Now().UnixNano())
	case event.CodeOf(err) == event.CodeOutcomeUnknown:
		w.unknown.Add(1)
	default:
		w.mu.Lock()
		w.refused = append(w.refused, err)
		w.mu.Unlock()
	}
}

// notePause keeps the longest time between two acknowledgements.
func (w *Writers) notePause(now int64) {
	last := w.last.Swap(now)
	for last != 0 {
		longest := w.pause.Load()
		if now-last <= longest || w.pause.CompareAndSwap(longest, now-last) {
			return
		}
	}
}

// LongestPause returns the longest time so far in which nothing was acknowledged.
func (w *Writers) LongestPause() time.Duration { return time.Duration(w.pause.Load()) }

// Acknowledged returns how many events were acknowledged so far.
func (w *Writers) Acknowledged() int { return int(w.acked.Load()) }

// WaitFor waits until n more events are acknowledged.
func (w *Writers) WaitFor(ctx context.Context, n int) error {
	want := w.acked.Load() + int64(n)
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for w.acked.Load() < want {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %d acknowledgements, %d are missing: %w", n, want-w.acked.Load(), context.Cause(ctx))
		case <-ticker.C:
		}
	}
	return nil
}

// First appends one event now and returns how long its acknowledgement took:
// called right after a kill, the time without service as a client sees it.
func (w *Writers) First(ctx context.Context) (time.Duration, error) {
	e := event.Event{ID: w.run + "-first-" + rand.Text()[:10], Source: "/integration/probe", Type: "test.probed", Subject: "probe"}
	began := time.Now()
	w.cfg.Ledger.Sent(e)
	done, err := w.client.Append(ctx, "", event.ExpectAny, e)
	if err != nil {
		return 0, fmt.Errorf("append after a fault: %w", err)
	}
	w.cfg.Ledger.Acknowledged(ledger.Key{Source: e.Source, ID: e.ID}, done.Position, done.Revision)
	return time.Since(began), nil
}

// Stopped is what became of the writers' events.
type Stopped struct {
	Acknowledged, Unknown int
	// Refused are the errors that say that an event was not stored. None is
	// expected of events that are valid.
	Refused []error
}

// Stop ends the writers after what they have under way. Call it once.
func (w *Writers) Stop() (Stopped, error) {
	w.stop(errStopped)
	grace := time.AfterFunc(stopGrace, func() { w.abort(errStopped) })
	w.wg.Wait()
	grace.Stop()
	w.abort(errStopped)
	if err := w.client.Close(); err != nil {
		return Stopped{}, fmt.Errorf("stop writers: %w", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return Stopped{int(w.acked.Load()), int(w.unknown.Load()), w.refused}, nil
}
