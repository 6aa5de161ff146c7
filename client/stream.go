package client

import (
	"context"
	"runtime"
	"time"

	"connectrpc.com/connect"

	"github.com/edri-io/edri/api/edriv1/wire"
	"github.com/edri-io/edri/event"
)

// stream is one CommitStream: send runs in the lane's goroutine, receive in one
// of its own, which serve waits for.
type stream struct {
	lane *lane
	conn *connect.BidiStreamForClient[commitsFrame, resultsFrame]
	// ended gets the reason when receive returns.
	ended chan *event.Error
	// progress, and answered: a result ended the stream, belong to receive until
	// ended.
	progress, answered bool
	// moved gets the leader's URL when another leads, empty when watch returns
	// without; nil when that was taken.
	moved chan string
	// silent gets the reason when the stream owes results for too long, nil when
	// watchSilence returns without.
	silent chan *event.Error
}

// send writes what is pending, all of it in one frame, until the stream ends
// (nil: receive knows why) or is silent for too long.
func (s *stream) send(ctx context.Context) *event.Error {
	var frame []byte
	leader := ""
	for {
		// Callers that were woken together are about to add theirs: let them run.
		runtime.Gosched()
		if frame = s.lane.take(frame[:0]); len(frame) > 0 {
			if err := s.conn.Send(&commitsFrame{Bytes: frame}); err != nil {
				return s.reason()
			}
			continue
		}
		if leader != "" && s.lane.drained() {
			return event.Errorf(event.CodeUnavailable, "%s leads now", leader)
		}
		select {
		case <-s.lane.wake:
		case leader = <-s.moved:
			s.moved = nil
			if leader != "" {
				s.lane.drain()
			}
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
	var given *event.Error // why the stream is given up, by a result
	for {
		frame, err := s.conn.Receive()
		if err != nil {
			if given == nil {
				given = streamEnd(err)
			}
			s.ended <- given
			return
		}
		results, err = wire.SplitResults(results[:0], frame.Bytes)
		if err != nil {
			s.ended <- event.Errorf(event.CodeUnavailable, "decode results: %v", err)
			return
		}
		progress, again := s.lane.resolve(results, &scratch)
		s.progress = s.progress || progress
		if given == nil && again != nil {
			s.answered = true
			given = again
		}
		if given != nil && !s.lane.hearsOut() {
			s.ended <- given
			return
		}
	}
}
