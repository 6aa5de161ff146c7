package client

import (
	"context"
	"runtime"
	"time"

	"connectrpc.com/connect"

	"github.com/edri-io/edri/api/edriv1/wire"
	"github.com/edri-io/edri/event"
)

const (
	// againPause is how long a settlement that the cluster could not commit waits, twice
	// as long each time while none can be, up to longestPause.
	againPause   = 20 * time.Millisecond
	longestPause = time.Second
	// farewell bounds the end of a stream that owes nothing more.
	farewell = 1 * time.Second
	// longEnough is how long a stream lasts that was no failure, though nothing came.
	longEnough = 1 * time.Second
)

// memberStream is one Deliver: send runs in Consume's goroutine, receive in one of its
// own, which serve waits for.
type memberStream struct {
	member *member
	conn   *connect.BidiStreamForClient[memberFrame, deliveriesFrame]
	// ended gets the reason when receive returns.
	ended chan *event.Error
	// progress, and answered: the server itself ended the stream, belong to receive
	// until ended.
	progress, answered bool
	// silent gets the reason when the stream owes results for too long, nil when
	// watchSilence returns without.
	silent chan *event.Error
}

// serve finds the leader and is a member of the subscription there until the stream
// breaks, or the member has left. It returns why.
func (m *member) serve() (progress bool, err *event.Error) {
	began := time.Now()
	n, _, err := m.client.locate(m.life)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithCancel(m.life)
	defer cancel()
	s := &memberStream{
		member: m, conn: n.deliver.CallBidiStream(ctx),
		ended: make(chan *event.Error, 1), silent: make(chan *event.Error, 1),
	}
	go s.receive()
	go func() { s.silent <- watchSilence(ctx, m, n, m.client.silenceAfter) }()
	err = s.send()
	if err != nil || !m.left() {
		cancel() // or net/http waits for more of the request's body
	} else {
		// It leaves: the server ends the stream.
		stop := time.AfterFunc(farewell, cancel)
		defer stop.Stop()
	}
	_ = s.conn.CloseRequest()
	if last := <-s.ended; err == nil {
		err = last
	}
	cancel()
	<-s.silent
	_ = s.conn.CloseResponse() // it is over; the error is known
	if !m.left() {
		m.client.lost(n, err, s.answered)
	}
	return s.progress || time.Since(began) > longEnough, err
}

// send writes what is pending, all of it in one frame, until the stream ends or the
// member has left (nil), or it is silent for too long.
func (s *memberStream) send() *event.Error {
	m := s.member
	frame := m.join(nil)
	again, leases := newAlarm(), newAlarm()
	defer again.stop()
	defer leases.stop()
	for {
		if len(frame) > 0 {
			if err := s.conn.Send(&memberFrame{Bytes: frame}); err != nil {
				return s.reason()
			}
		}
		// Handles that are about to end add theirs: let them run.
		runtime.Gosched()
		if !leases.armed {
			leases.set(m.renew(time.Now()))
		}
		if frame = m.take(frame[:0]); len(frame) > 0 {
			continue
		}
		if m.left() {
			return nil
		}
		again.set(m.pause())
		select {
		case <-m.wake:
		case <-again.C:
			again.armed = false
			m.writeAgain()
		case <-leases.C:
			leases.armed = false
		case err := <-s.ended:
			s.ended <- err
			return nil
		case err := <-s.silent:
			s.silent <- err
			return err
		case <-m.life.Done():
			return event.Errorf(event.CodeUnavailable, "the client ends")
		}
	}
}

// reason waits for receive to learn why the stream cannot be written to.
func (s *memberStream) reason() *event.Error {
	timeout := time.NewTimer(locateTimeout)
	defer timeout.Stop()
	select {
	case err := <-s.ended:
		s.ended <- err
		return nil
	case <-s.member.life.Done():
		return event.Errorf(event.CodeUnavailable, "the client ends")
	case <-timeout.C:
		return event.Errorf(event.CodeUnavailable, "the stream cannot be written to")
	}
}

// receive takes what the server sends until the stream ends.
func (s *memberStream) receive() {
	var parts wire.Deliveries
	for {
		frame, err := s.conn.Receive()
		if err == nil {
			err = parts.Decode(frame.Bytes)
		}
		if err != nil {
			s.answered = answered(err)
			s.ended <- streamEnd(err)
			return
		}
		progress, bad := s.member.accept(&parts)
		s.progress = s.progress || progress
		if bad != nil {
			s.ended <- bad
			return
		}
	}
}

// alarm is a timer that goes on while it is armed.
type alarm struct {
	*time.Timer
	armed bool
}

func newAlarm() *alarm {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return &alarm{Timer: t}
}

// set arms it unless it is, or d is 0.
func (a *alarm) set(d time.Duration) {
	if !a.armed && d > 0 {
		a.Reset(d)
		a.armed = true
	}
}

func (a *alarm) stop() { a.Stop() }

// pause is how long the settlements wait that are to be written again; 0: there are none.
func (m *member) pause() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.again) == 0 {
		return 0
	}
	return min(againPause<<min(m.setbacks, 10), longestPause)
}
