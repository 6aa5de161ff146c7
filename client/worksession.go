package client

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"sync"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/api/edriv1/wire"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

// workSession is a worker's stream to the leader: Send puts what is to be written into a
// queue, from which one goroutine writes what is there, in frames of maxFrame; what is larger
// travels alone, and what no commit has room for is refused by Send. So the node reads each.
type workSession struct {
	client *Client
	server *server
	conn   *connect.BidiStreamForClient[workFrame, workedFrame]
	life   context.Context
	cancel context.CancelFunc
	wake   chan struct{}
	sent   chan struct{} // closed when the sender has ended
	// received has what the leader said, and what failed here before it could be sent.
	received chan []workflows.Message
	ended    chan error // has room for one: why nothing more is received

	mu      sync.Mutex
	queue   [][]byte // each some encoded fields of a WorkRequest, to be in one frame
	alive   bool
	closing bool
}

// Work implements workflows.Cluster.
func (c *Client) Work(ctx context.Context, w workflows.Worker) (workflows.Session, error) {
	n, _, failed := c.locate(ctx)
	if failed != nil {
		return nil, failed
	}
	life, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(c.ctx, cancel)
	s := &workSession{
		client: c, server: n, conn: n.workflows.work.CallBidiStream(life),
		cancel: func() { stop(); cancel() }, wake: make(chan struct{}, 1), sent: make(chan struct{}),
		received: make(chan []workflows.Message), ended: make(chan error, 1),
	}
	s.life = life
	hello := &edriv1.WorkRequest{Worker: w.Name, Credits: uint32(w.Credits)}
	for _, of := range w.Workflows {
		hello.Workflows = append(hello.Workflows, &edriv1.WorkflowVersion{Type: of.Type, Version: of.Version})
	}
	for _, h := range w.Held {
		hello.Held = append(hello.Held, &edriv1.HeldRun{Number: h.Number, Advance: h.Advance})
	}
	b, err := proto.Marshal(hello)
	if err == nil {
		err = s.conn.Send(&workFrame{Bytes: b})
	}
	if err != nil {
		s.cancel()
		failed := fromRPC(err)
		c.lost(n, failed, answered(err))
		return nil, failed
	}
	go s.write()
	go s.read()
	return s, nil
}

// write writes what is in the queue until the session ends.
func (s *workSession) write() {
	defer close(s.sent)
	var frame []byte
	for range s.wake {
		runtime.Gosched() // others may be about to add theirs
		for more := true; more; {
			var alive, closing bool
			frame, alive, closing, more = s.take(frame[:0])
			if len(frame) > 0 || alive {
				if s.conn.Send(&workFrame{Bytes: frame}) != nil {
					return // Receive says why
				}
			}
			if closing && !more {
				return
			}
		}
	}
}

// take appends to dst what goes in the next frame. more says that something is left.
func (s *workSession) take(dst []byte) (frame []byte, alive, closing, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for ; n < len(s.queue) && (n == 0 || len(dst)+len(s.queue[n]) <= maxFrame); n++ {
		dst = append(dst, s.queue[n]...)
	}
	clear(s.queue[:n])
	if s.queue = s.queue[n:]; len(s.queue) == 0 {
		s.queue = nil
	}
	alive, s.alive = s.alive, false
	return dst, alive, s.closing, len(s.queue) > 0
}

func (s *workSession) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Receive implements workflows.Session.
func (s *workSession) Receive() ([]workflows.Message, error) {
	select {
	case messages := <-s.received:
		return messages, nil
	case err := <-s.ended:
		s.ended <- err
		return nil, err
	}
}

// read takes what the leader says until the session ends.
func (s *workSession) read() {
	for {
		messages, err := s.next()
		if err == nil && len(messages) > 0 {
			err = s.put(messages)
		}
		if err != nil {
			s.ended <- err
			return
		}
	}
}

// put gives messages to Receive.
func (s *workSession) put(messages []workflows.Message) error {
	select {
	case s.received <- messages:
		return nil
	case <-s.life.Done():
		return event.Errorf(event.CodeUnavailable, "the session has ended")
	}
}

func (s *workSession) next() ([]workflows.Message, error) {
	frame, err := s.conn.Receive()
	if err != nil {
		failed := fromRPC(err)
		s.client.lost(s.server, failed, answered(err))
		return nil, failed
	}
	messages, err := decodeWork(frame.Bytes)
	if err != nil {
		return nil, event.Errorf(event.CodeUnavailable, "decode what the leader says: %v", err)
	}
	return messages, nil
}

// Send implements workflows.Session.
func (s *workSession) Send(r workflows.Reply) {
	b, err := s.encode(r)
	if err != nil {
		s.refuse(r, err)
		return
	}
	s.mu.Lock()
	if len(b) > 0 {
		s.queue = append(s.queue, b)
	}
	s.alive = s.alive || r.Alive
	s.mu.Unlock()
	s.signal()
}

// refuse answers what cannot be encoded, as the cluster would have.
func (s *workSession) refuse(r workflows.Reply, err error) {
	if r.Advance == nil {
		s.client.cfg.Logger.Error("a worker's reply cannot be sent", "error", err)
		return
	}
	failed := event.Errorf(event.CodeInvalid, "%v", err)
	var own *event.Error
	if errors.As(err, &own) {
		failed = own
	}
	told := workflows.Advanced{Number: r.Advance.Number, Advance: r.Advance.Advance, Err: failed}
	go func() { _ = s.put([]workflows.Message{{Advanced: &told}}) }() // Send does not wait
}

func (s *workSession) encode(r workflows.Reply) ([]byte, error) {
	m := &edriv1.WorkRequest{Credits: uint32(r.Credits)}
	if r.Release != nil {
		m.Released = []uint64{r.Release.Number}
	}
	if a := r.Answer; a != nil {
		q := &edriv1.QueryAnswer{Id: a.ID, Result: string(a.Result)}
		if a.Err != nil {
			b, err := json.Marshal(a.Err)
			if err != nil {
				return nil, err
			}
			q.Error = string(b)
		}
		m.Answers = []*edriv1.QueryAnswer{q}
	}
	b, err := proto.Marshal(m)
	if err != nil || r.Advance == nil {
		return b, err
	}
	advance, err := s.encodeAdvance(r.Advance)
	return append(b, advance...), err
}

// encodeAdvance returns an advance with its effects as WorkRequest.advances.
func (s *workSession) encodeAdvance(a *workflows.Advance) ([]byte, error) {
	m, err := advanceMessage(a)
	if err != nil {
		return nil, err
	}
	encoded, err := proto.Marshal(m)
	if err != nil {
		return nil, err
	}
	body := wire.AppendMessage(nil, 1, encoded)
	if len(a.Effects.Appends) > 0 || len(a.Effects.Keys) > 0 {
		ops, err := effectOps(&a.Effects)
		if err != nil {
			return nil, err
		}
		for _, op := range ops {
			if op.err != nil {
				return nil, op.err
			}
			// An operation is encoded as Commit.ops; here it is Advancing.effects.
			f := wire.Walk(op.encoded)
			for f.Next() {
				if b, ok := f.Bytes(7); ok {
					body = wire.AppendMessage(body, 2, b)
				}
			}
		}
	}
	// As in joinOps: no node takes a commit of more, and a message of much more it would not read.
	if limit := event.DefaultLimits().Commit; len(body) > limit {
		return nil, event.TooLarge("commit in bytes", int64(len(body)), int64(limit))
	}
	return wire.AppendMessage(nil, 5, body), nil
}

// Close implements workflows.Session.
func (s *workSession) Close(graceful bool) {
	s.mu.Lock()
	again := s.closing
	s.closing = true
	s.mu.Unlock()
	if again {
		return
	}
	s.signal()
	if !graceful {
		s.cancel()
		_ = s.conn.CloseRequest() // it is over
		return
	}
	go func() {
		late := time.AfterFunc(farewell, s.cancel)
		defer late.Stop()
		<-s.sent
		_ = s.conn.CloseRequest() // the leader ends the stream
	}()
}
