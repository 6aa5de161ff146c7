package client

import (
	"context"
	"time"

	"connectrpc.com/connect"

	"github.com/edri-io/edri/api/edriv1/wire"
	"github.com/edri-io/edri/event"
)

// leaveTimeout bounds the closing of a session when the client is closed.
const leaveTimeout = 300 * time.Millisecond

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
		l.broke(progress, err)
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

// broke notes why a stream ended.
func (l *lane) broke(progress bool, err *event.Error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = err
	if progress {
		l.last = nil
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
		e := fromRPC(err)
		l.client.lost(n, e, answered(err))
		return false, e
	}
	l.rewind(n)

	streamCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &stream{
		lane: l, conn: n.commitStream.CallBidiStream(streamCtx),
		ended: make(chan *event.Error, 1), moved: make(chan string, 1), silent: make(chan *event.Error, 1),
	}
	go s.receive()
	go func() { s.moved <- l.watch(streamCtx, n) }()
	go func() { s.silent <- watchSilence(streamCtx, l, n, l.client.silenceAfter) }()
	err = s.send(ctx)
	// net/http does not see the end of a context while it waits for more of the
	// request's body: end that too, or receive waits for ever.
	cancel()
	_ = s.conn.CloseRequest()
	if last := <-s.ended; err == nil {
		err = last
	}
	if s.moved != nil {
		<-s.moved
	}
	<-s.silent
	_ = s.conn.CloseResponse() // it is cancelled; the error is known
	l.client.lost(n, err, s.answered)
	return s.progress, err
}

// open makes sure that the lane has a session.
func (l *lane) open(ctx context.Context, n *server, epoch []byte) error {
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
	opened, err := n.openSession(ctx, l.patienceNow(), epoch, op)
	if err != nil {
		if fromRPC(err).Code == event.CodeDeadlineExceeded {
			l.growPatience() // or each try leaves a session behind
		}
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

func (n *server) openSession(ctx context.Context, patience time.Duration, epoch, op []byte) (wire.OpResult, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	commit := wire.AppendCommit(nil, &wire.CommitHead{Epoch: epoch}, op)
	response, err := n.commit.CallUnary(ctx, connect.NewRequest(&commitFrame{Bytes: commit}))
	if err != nil {
		return wire.OpResult{}, err
	}
	var result wire.CommitResult
	if err := result.Decode(response.Msg.Bytes); err != nil || len(result.Ops) != 1 || result.Ops[0].Session == 0 {
		return wire.OpResult{}, event.Errorf(event.CodeInternal, "open session: the answer has no session")
	}
	return result.Ops[0], nil
}
