package client

import (
	"context"
	"errors"
	"runtime"
	"sync"

	"connectrpc.com/connect"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
)

// RunWaiter waits for many runs on one stream: a WaitRun of its own costs a request.
type RunWaiter struct {
	client *Client

	mu     sync.Mutex
	stream *waitStream // nil: none is open
	closed bool
}

// waitStream is one WaitMany.
type waitStream struct {
	conn   *connect.BidiStreamForClient[edriv1.WaitRunsRequest, edriv1.RunOutcomes]
	server *server
	cancel context.CancelFunc
	life   context.Context
	wake   chan struct{} // has a token when there is something to send

	mu    sync.Mutex
	tags  uint64
	queue []*edriv1.WaitRunRequest // to be sent
	waits map[uint64]chan waited   // each has room for one
	err   *event.Error             // why it has ended
}

type waited struct {
	outcome *edriv1.RunOutcome
	err     *event.Error
}

// RunWaiter returns a waiter, which is to be closed.
func (c *Client) RunWaiter() *RunWaiter { return &RunWaiter{client: c} }

// Wait is WaitRun.
func (w *RunWaiter) Wait(ctx context.Context, run RunID) (RunOutcome, error) {
	var m *edriv1.RunOutcome
	err := w.client.ask(ctx, func(ctx context.Context, n *server) error {
		s, err := w.open(n)
		if err != nil {
			return err
		}
		m, err = s.wait(ctx, run)
		return err
	})
	if err != nil {
		return RunOutcome{}, notEnded(ctx, run, err)
	}
	return newOutcomeOf(run.ID, m)
}

// Close ends the waits that are under way.
func (w *RunWaiter) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	if w.stream != nil {
		w.stream.cancel()
	}
}

// open returns the stream that is open, or one to n.
func (w *RunWaiter) open(n *server) (*waitStream, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil, withCause(event.Errorf(event.CodeUnavailable, "not waited for"), ErrClosed)
	}
	if w.stream != nil && !w.stream.ended() {
		return w.stream, nil
	}
	ctx, cancel := context.WithCancel(w.client.ctx)
	s := &waitStream{server: n, life: ctx, cancel: cancel, wake: make(chan struct{}, 1), waits: map[uint64]chan waited{}}
	s.conn = n.workflows.waitMany.CallBidiStream(ctx)
	w.stream = s
	go s.send()
	go s.receive()
	return s, nil
}

func (s *waitStream) ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err != nil
}

func (s *waitStream) wait(ctx context.Context, run RunID) (*edriv1.RunOutcome, error) {
	done := make(chan waited, 1)
	s.mu.Lock()
	if s.err != nil {
		s.mu.Unlock()
		return nil, s.err
	}
	s.tags++
	tag := s.tags
	s.waits[tag] = done
	s.queue = append(s.queue, &edriv1.WaitRunRequest{Id: run.ID, Number: run.Number, Tag: tag})
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
	select {
	case got := <-done:
		if got.err != nil {
			return nil, got.err
		}
		if got.outcome.Status == edriv1.RunStatus_RUN_STATUS_UNSPECIFIED {
			return nil, waitError(got.outcome)
		}
		return got.outcome, nil
	case <-ctx.Done():
		s.mu.Lock()
		delete(s.waits, tag)
		s.mu.Unlock()
		return nil, ctx.Err()
	}
}

// send sends what is to be waited for, all that is there in one frame.
func (s *waitStream) send() {
	for {
		select {
		case <-s.wake:
		case <-s.life.Done():
			return
		}
		runtime.Gosched() // others may be about to add theirs
		s.mu.Lock()
		m := &edriv1.WaitRunsRequest{Runs: s.queue}
		s.queue = nil
		s.mu.Unlock()
		if s.conn.Send(m) != nil {
			s.cancel() // receive says why
			return
		}
	}
}

// waitError is why the cluster cannot wait for a run.
func waitError(m *edriv1.RunOutcome) error {
	e, err := runError(m.Error)
	if err != nil || e == nil {
		return errors.Join(err, event.Errorf(event.CodeInternal, "the outcome of a run is empty"))
	}
	return event.Errorf(event.Code(e.Type[len("edri."):]), "%s", e.Message)
}

// receive takes outcomes until the stream ends.
func (s *waitStream) receive() {
	var failed *event.Error
	for {
		m, err := s.conn.Receive()
		if err != nil {
			failed = fromRPC(err)
			break
		}
		s.mu.Lock()
		for _, o := range m.Outcomes {
			if done := s.waits[o.Tag]; done != nil {
				delete(s.waits, o.Tag)
				done <- waited{outcome: o}
			}
		}
		s.mu.Unlock()
	}
	s.cancel()
	_ = s.conn.CloseRequest() // it is over
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = failed
	for tag, done := range s.waits {
		delete(s.waits, tag)
		done <- waited{err: failed}
	}
}
