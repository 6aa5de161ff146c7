package client

import (
	"context"
	"runtime"
	"time"

	"connectrpc.com/connect"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/api/edriv1/wire"
	"github.com/edri-io/edri/event"
)

const (
	// locateTimeout bounds the question who leads.
	locateTimeout = 1 * time.Second
	// openTimeout bounds the opening of a session, a commit of its own.
	openTimeout = 3 * time.Second
	// leaveTimeout bounds the closing of a session when the client is closed.
	leaveTimeout = 300 * time.Millisecond
	// stallTimeout is how long a stream may owe results without giving any.
	// The lane looks every stallTimeout, so that it takes up to twice as long.
	stallTimeout = 3 * time.Second
)

// run serves the lane until it is stopped: one stream after another.
func (l *lane) run() {
	pause := backoff{max: maxWriteWait, giveUp: l.client.cfg.GiveUpAfter}
	for {
		for l.idle() {
			select {
			case <-l.ctx.Done():
				l.close(ErrClosed)
				return
			case <-l.wake:
			}
		}
		progress, err := l.serve(l.ctx)
		if l.ctx.Err() != nil {
			l.leave()
			l.close(ErrClosed)
			return
		}
		if progress {
			pause.succeeded()
		}
		l.client.cfg.Logger.Debug("commit stream ended", "producer", l.producer, "error", err)
		if again := retryable(err.Code) || renews(err.Code); again && pause.pause(l.ctx) {
			continue
		}
		if l.ctx.Err() == nil {
			l.fail(err)
			pause.succeeded()
		}
	}
}

// leave closes the session, so that it does not stand open until it expires, if
// nothing is under way. It is worth one try.
func (l *lane) leave() {
	l.mu.Lock()
	n, head := l.server, wire.CommitHead{Epoch: l.epoch, Session: l.session, Sequence: l.next, AckedThrough: l.acked}
	busy := len(l.queue) > 0 || l.session == 0 || l.producer != ""
	l.mu.Unlock()
	if busy || n == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.ctx), leaveTimeout)
	defer cancel()
	commit := wire.AppendCommit(nil, &head, wire.AppendCloseSessionOp(nil))
	_, err := n.commit.CallUnary(ctx, connect.NewRequest(&commitFrame{Bytes: commit}))
	l.client.cfg.Logger.Debug("session closed", "session", head.Session, "error", err)
}

// renews reports whether the error ended the session and not the lane.
func renews(code event.Code) bool {
	return code == event.CodeSessionExpired || code == event.CodeEpochChanged ||
		code == event.CodeOutcomeUnknown
}

// serve finds the leader, opens the session if there is none, and moves commits
// and results over one stream until it breaks. It always returns why.
func (l *lane) serve(ctx context.Context) (progress bool, err *event.Error) {
	n, epoch, err := l.client.locate(ctx)
	if err != nil {
		return false, err
	}
	if err := l.open(ctx, n, epoch); err != nil {
		l.client.lost(n, err)
		return false, err
	}
	l.rewind(n)

	streamCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &stream{lane: l, conn: n.commitStream.CallBidiStream(streamCtx), ended: make(chan *event.Error, 1)}
	go s.receive()
	err = s.send(ctx)
	// net/http does not see the end of a context while it waits for more of the
	// request's body: end that too, or receive waits for ever.
	cancel()
	_ = s.conn.CloseRequest()
	if last := <-s.ended; err == nil {
		err = last
	}
	_ = s.conn.CloseResponse() // it is cancelled; the error is known
	l.client.lost(n, err)
	return s.progress, err
}

// open makes sure that the lane has a session.
func (l *lane) open(ctx context.Context, n *server, epoch []byte) *event.Error {
	l.mu.Lock()
	session := l.session
	l.mu.Unlock()
	if session != 0 {
		return nil
	}
	op := wire.AppendOpenSessionOp(nil)
	if l.producer != "" {
		op = wire.AppendOpenProducerOp(nil, l.producer)
	}
	// Without a session: should the answer be lost, a session stands idle until
	// it expires, or a producer is opened twice, which is the same as once.
	opened, err := n.openSession(ctx, epoch, op)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead != nil {
		return event.Errorf(event.CodeUnavailable, "lane is closed")
	}
	l.epoch, l.session = epoch, opened.Session
	l.startAt = opened.LastSequence
	l.next, l.acked = opened.LastSequence+1, opened.LastSequence
	if l.producer != "" {
		close(l.opened)
	}
	return nil
}

func (n *server) openSession(ctx context.Context, epoch, op []byte) (wire.OpResult, *event.Error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	commit := wire.AppendCommit(nil, &wire.CommitHead{Epoch: epoch}, op)
	response, err := n.commit.CallUnary(ctx, connect.NewRequest(&commitFrame{Bytes: commit}))
	if err != nil {
		return wire.OpResult{}, fromRPC(err)
	}
	var result wire.CommitResult
	if err := result.Decode(response.Msg.Bytes); err != nil || len(result.Ops) != 1 || result.Ops[0].Session == 0 {
		return wire.OpResult{}, event.Errorf(event.CodeInternal, "open session: the answer has no session")
	}
	return result.Ops[0], nil
}

// stream is one CommitStream: send runs in the lane's goroutine, receive in one
// of its own, which serve waits for.
type stream struct {
	lane *lane
	conn *connect.BidiStreamForClient[commitsFrame, resultsFrame]
	// ended gets the reason when receive returns.
	ended chan *event.Error
	// progress belongs to receive until ended.
	progress bool
}

// send writes what is pending, all of it in one frame, until the stream ends
// (nil: receive knows why) or stalls.
func (s *stream) send(ctx context.Context) *event.Error {
	stall := time.NewTicker(stallTimeout)
	defer stall.Stop()
	var frame []byte
	for {
		// Callers that were woken together are about to add theirs: let them run.
		runtime.Gosched()
		if frame = s.lane.take(frame[:0]); len(frame) > 0 {
			if err := s.conn.Send(&commitsFrame{Bytes: frame}); err != nil {
				return s.reason()
			}
			continue
		}
		select {
		case <-s.lane.wake:
		case err := <-s.ended:
			s.ended <- err
			return nil
		case <-ctx.Done():
			return event.Errorf(event.CodeUnavailable, "client is closing")
		case <-stall.C:
			if s.lane.stalled() {
				return event.Errorf(event.CodeUnavailable, "no result within %v", stallTimeout)
			}
		}
	}
}

// reason waits for receive to learn why the stream cannot be written to.
func (s *stream) reason() *event.Error {
	timeout := time.NewTimer(locateTimeout)
	defer timeout.Stop()
	select {
	case err := <-s.ended:
		s.ended <- err
		return nil
	case <-timeout.C:
		return event.Errorf(event.CodeUnavailable, "the stream cannot be written to")
	}
}

// receive settles commits by their results until the stream ends.
func (s *stream) receive() {
	var results [][]byte
	var scratch wire.CommitResult
	for {
		frame, err := s.conn.Receive()
		if err != nil {
			s.ended <- streamEnd(err)
			return
		}
		results, err = wire.SplitResults(results[:0], frame.Bytes)
		if err != nil {
			s.ended <- event.Errorf(event.CodeUnavailable, "decode results: %v", err)
			return
		}
		progress, again := s.lane.resolve(results, &scratch)
		s.progress = s.progress || progress
		if again != nil {
			s.ended <- again
			return
		}
	}
}

// locate asks who leads, and in which epoch. Where the leader is not known, or
// was not to be reached a moment ago, the server that answered will do: it
// forwards.
func (c *Client) locate(ctx context.Context) (*server, []byte, *event.Error) {
	n := c.servers.towardsLeader()
	status, err := n.askStatus(ctx)
	if err != nil {
		c.lost(n, err)
		return nil, nil, err
	}
	if len(status.Epoch) == 0 {
		c.servers.failedAt(n)
		return nil, nil, event.Errorf(event.CodeUnavailable, "server %s has not started yet: %s", n.url, status.Reason)
	}
	if leader := c.servers.named(status.LeaderUrl); leader != nil {
		n = leader
	}
	return n, status.Epoch, nil
}

func (n *server) askStatus(ctx context.Context) (*edriv1.StatusResponse, *event.Error) {
	ctx, cancel := context.WithTimeout(ctx, locateTimeout)
	defer cancel()
	response, err := n.status.CallUnary(ctx, connect.NewRequest(&edriv1.StatusRequest{}))
	if err != nil {
		return nil, fromRPC(err)
	}
	return response.Msg, nil
}

// lost notes that a server did not serve, and who leads if it said so.
func (c *Client) lost(n *server, err *event.Error) {
	switch err.Code {
	case event.CodeNotLeader, event.CodeUnavailable, event.CodeDeadlineExceeded:
		c.servers.failedAt(n)
		c.servers.named(err.Leader)
	}
}
