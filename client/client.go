package client

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/edri-io/edri/event"
)

// Client talks to one cluster. Close it.
type Client struct {
	cfg     Config
	ownHTTP bool // Config had no HTTPClient
	servers *servers
	pool    pool
	reads   keyReads

	ctx     context.Context // the client's own lifetime
	cancel  context.CancelCauseFunc
	running sync.WaitGroup // lanes, reads of keys, and what learns of the members

	// watchInterval and firstPatience, but in tests.
	watchEvery, silenceAfter time.Duration

	mu       sync.Mutex
	closed   bool
	learning bool // keepLearning runs, or has
}

// New returns a client. It connects when it is first used.
func New(cfg Config) (*Client, error) {
	ownHTTP := cfg.HTTPClient == nil
	cfg, err := cfg.normalised()
	if err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, ownHTTP: ownHTTP, servers: newServers(cfg.HTTPClient, cfg.Servers), watchEvery: watchInterval, silenceAfter: firstPatience}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	c.pool.client = c
	c.reads.client, c.reads.wake = c, make(chan struct{}, 1)
	return c, nil
}

// Close ends all calls and releases the connections. A commit that is under way
// ends as outcome_unknown. Closing twice is fine.
func (c *Client) Close() error {
	c.pool.close()
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel(ErrClosed)
	c.running.Wait()
	c.cfg.HTTPClient.CloseIdleConnections()
	return nil
}

// start runs the lane until the client is closed.
func (c *Client) start(l *lane) {
	c.running.Add(1)
	go func() {
		defer c.running.Done()
		l.run()
	}()
}

// launch runs f, which ends with the client. False: the client is closed.
func (c *Client) launch(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.running.Add(1)
	go func() {
		defer c.running.Done()
		f()
	}()
	return true
}

// Append adds one event to a stream; stream "" is the event's subject, else its
// source. It is safe to retry by itself and does so until ctx ends. The data is stored as it
// is: that it is what its content type says nobody checks, see event.CheckData.
func (c *Client) Append(ctx context.Context, stream string, expected event.Expected, e event.Event) (Appended, error) {
	result, err := c.Commit(ctx, AppendOp(stream, expected, e))
	if err != nil {
		return Appended{}, err
	}
	return result.Results[0].Appended, nil
}

// Commit executes the operations, all of them or none. Of several operations
// that fail the error is check_failed, with every violation.
func (c *Client) Commit(ctx context.Context, ops ...Op) (Result, error) {
	encoded, err := joinOps(ops)
	if err != nil {
		return Result{}, err
	}
	result, err := c.pool.do(ctx, newCall(encoded, len(ops)))
	if err == nil && len(result.Results) != len(ops) {
		return Result{}, event.Errorf(event.CodeInternal,
			"server answered %d of %d operations", len(result.Results), len(ops))
	}
	return result, err
}

// until returns a context that ends with the client too. The caller calls end.
func (c *Client) until(ctx context.Context) (_ context.Context, end func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(c.ctx, func() { cancel(context.Cause(c.ctx)) })
	return ctx, func() { stop(); cancel(nil) }
}

// streamEnd is why a stream that was to stay open has ended.
func streamEnd(err error) *event.Error {
	if errors.Is(err, io.EOF) {
		return event.Errorf(event.CodeUnavailable, "server closed the stream")
	}
	return fromRPC(err)
}
