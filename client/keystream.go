package client

import (
	"context"
	"runtime"
	"time"

	"connectrpc.com/connect"

	"github.com/edri-io/edri/api/edriv1/wire"
	"github.com/edri-io/edri/event"
)

// keyStream is one GetStream: send runs in the goroutine of the reads, receive in one of
// its own, which serve waits for.
type keyStream struct {
	reads *keyReads
	conn  *connect.BidiStreamForClient[getManyFrame, foundFrame]
	// ended gets the reason when receive returns.
	ended chan *event.Error
	// progress, and answered: the error is the server's own, belong to receive until ended.
	progress, answered bool
	// silent gets the reason when the stream owes answers for too long, nil when
	// watchSilence returns without.
	silent chan *event.Error
}

// run serves the reads until the client is closed: one stream after another, each when
// something is to be sent.
func (r *keyReads) run() {
	ctx := r.client.ctx
	pause := backoff{max: maxReadWait, giveUp: r.client.cfg.GiveUpAfter}
	defer r.close()
	for {
		for r.idle() {
			select {
			case <-ctx.Done():
				return
			case <-r.wake:
			}
		}
		progress, err := r.serve(ctx)
		if ctx.Err() != nil {
			return
		}
		if progress {
			pause.succeeded()
		}
		r.client.cfg.Logger.Debug("stream of keys ended", "error", err)
		if !r.rewind(err) || retryable(err.Code) && pause.pause(ctx) {
			continue
		}
		if ctx.Err() == nil {
			r.fail(err)
			pause.succeeded()
		}
	}
}

// serve moves reads and answers over one stream until it breaks. It always returns why.
func (r *keyReads) serve(ctx context.Context) (progress bool, err *event.Error) {
	r.client.learnMembers()
	n := r.client.servers.any()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &keyStream{
		reads: r, conn: n.getStream.CallBidiStream(ctx), ended: make(chan *event.Error, 1), silent: make(chan *event.Error, 1),
	}
	go s.receive()
	go func() { s.silent <- watchSilence(ctx, r, n, r.client.silenceAfter) }()
	err = s.send(ctx)
	// net/http does not see the end of a context while it waits for more of the
	// request's body: end that too, or receive waits for ever.
	cancel()
	_ = s.conn.CloseRequest()
	if last := <-s.ended; err == nil {
		err = last
	}
	<-s.silent
	_ = s.conn.CloseResponse() // it is cancelled; the error is known
	r.client.lost(n, err, s.answered)
	return s.progress, err
}

// send writes what waits, all of it in one batch, until the stream ends (nil: receive
// knows why) or is silent for too long.
func (s *keyStream) send(ctx context.Context) *event.Error {
	var request []byte
	for {
		// Readers that were woken together are about to ask again: let them run.
		runtime.Gosched()
		if request = s.reads.take(request[:0]); len(request) > 0 {
			if err := s.conn.Send(&getManyFrame{Bytes: request}); err != nil {
				return s.reason()
			}
			continue
		}
		select {
		case <-s.reads.wake:
		case err := <-s.ended:
			s.ended <- err
			return nil
		case <-ctx.Done():
			return event.Errorf(event.CodeUnavailable, "client is closing")
		case err := <-s.silent:
			s.silent <- err
			return err
		}
	}
}

// reason waits for receive to learn why the stream cannot be written to.
func (s *keyStream) reason() *event.Error {
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

// receive settles reads by their answers until the stream ends.
func (s *keyStream) receive() {
	var found []wire.KeyFound
	for {
		frame, err := s.conn.Receive()
		if err == nil {
			found, err = wire.SplitFound(found[:0], frame.Bytes)
		}
		if err != nil {
			s.answered = answered(err)
			s.ended <- streamEnd(err)
			return
		}
		if bad := s.reads.accept(found); bad != nil {
			s.ended <- bad
			return
		}
		s.progress = true
	}
}
