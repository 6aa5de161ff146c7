package api

import (
	"context"
	"errors"
	"io"
	"runtime"
	"sync"

	"connectrpc.com/connect"

	"github.com/edri-io/edri/api/edriv1/wire"
	"github.com/edri-io/edri/event"
)

// What a CommitStream has without a result that was sent, at most; then nothing
// more is read from it.
const (
	maxStreamCommits = 1024
	maxStreamBytes   = 16 << 20
	// maxSpare bounds the memory that an idle stream keeps for its next results.
	maxSpare = 256 << 10
)

// commitStream moves commits from one stream to the node, and results back, as
// they come, all that is ready in one frame.
type commitStream struct {
	service *service
	// ready has a token when there are results to send, room when some were sent.
	ready, room chan struct{}

	mu sync.Mutex
	// out is the CommitResultFrame to send next, of outCommits results.
	out        []byte
	outCommits int
	// Without a result that was sent: commits, and their bytes. The bytes are
	// given back with the result, the commits when it is sent.
	commits, bytes int
}

func (s *service) commitStream(ctx context.Context, stream *connect.BidiStream[commitsFrame, resultsFrame]) error {
	c := &commitStream{service: s, ready: make(chan struct{}, 1), room: make(chan struct{}, 1)}
	received := make(chan error, 1)
	stop := make(chan struct{})
	go func() { received <- c.receive(stop, stream) }()
	err, ended := c.send(ctx, stream, received)
	if !ended {
		close(stop)
		stopReading(ctx)
		<-received
	}
	return err
}

// receive submits what the caller sends until there is no more.
func (c *commitStream) receive(stop <-chan struct{}, stream *connect.BidiStream[commitsFrame, resultsFrame]) error {
	for {
		frame, err := stream.Receive()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if frame.Err != nil {
			return invalid(frame.Err)
		}
		commits, err := wire.SplitCommits(nil, frame.Bytes)
		if err != nil {
			return invalid(err)
		}
		if err := c.submit(commits); err != nil {
			return err
		}
		for !c.hasRoom() {
			select {
			case <-c.room:
			case <-stop:
				return nil
			}
		}
	}
}

func (c *commitStream) hasRoom() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.commits < maxStreamCommits && c.bytes+len(c.out) < maxStreamBytes
}

// identity is how a result that the node did not make is told apart.
type identity struct {
	session, sequence uint64
	size              int
}

func (c *commitStream) submit(commits [][]byte) error {
	identities := make([]identity, len(commits))
	size := 0
	for i, b := range commits {
		session, sequence, err := wire.CommitIdentity(b)
		if err != nil {
			return invalid(err)
		}
		if session == 0 || sequence == 0 {
			return event.Errorf(event.CodeInvalid,
				"session %d, sequence %d: a commit in a stream needs both", session, sequence)
		}
		identities[i] = identity{session, sequence, len(b)}
		size += len(b)
	}
	c.mu.Lock()
	c.commits += len(commits)
	c.bytes += size
	c.mu.Unlock()
	c.service.metrics.commits.Add(float64(len(commits)))
	c.service.cfg.Node.Submit(commits, func(i int, result []byte, err *event.Error) {
		c.done(identities[i], result, err)
	})
	return nil
}

// done takes one result in. It may be called by the goroutine that applies.
func (c *commitStream) done(id identity, result []byte, err *event.Error) {
	c.mu.Lock()
	if err != nil {
		open := wire.AppendOpenResult(nil, id.session, id.sequence, event.AppendError(nil, err))
		c.out = wire.AppendFrameResult(c.out, open)
	} else {
		c.out = wire.AppendFrameResult(c.out, result)
	}
	c.outCommits++
	c.bytes -= id.size
	c.mu.Unlock()
	signal(c.ready)
}

// send writes results until the stream ends. ended says that receive has
// returned.
func (c *commitStream) send(ctx context.Context, stream *connect.BidiStream[commitsFrame, resultsFrame], received chan error) (err error, ended bool) {
	var frame, spare []byte
	for {
		// Results come from apply one right after another: let it go on before
		// they are taken.
		runtime.Gosched()
		if frame = c.take(spare[:0]); len(frame) > 0 {
			if err := stream.Send(&resultsFrame{Bytes: frame}); err != nil {
				return err, ended
			}
			if spare = frame; cap(spare) > maxSpare {
				spare = nil
			}
			signal(c.room)
			continue
		}
		if ended && c.idle() {
			return err, ended
		}
		select {
		case <-c.ready:
		case err = <-received:
			ended, received = true, nil
			if err != nil {
				return err, ended
			}
		case <-c.service.cfg.Lifetime.Done():
			return event.Errorf(event.CodeUnavailable, "the node is stopping"), ended
		case <-ctx.Done():
			return ctx.Err(), ended
		}
	}
}

// take returns the frame to send, and puts spare in its place.
func (c *commitStream) take(spare []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.outCommits == 0 {
		return nil
	}
	frame := c.out
	c.commits -= c.outCommits
	c.out, c.outCommits = spare, 0
	return frame
}

// idle reports whether every commit's result was taken.
func (c *commitStream) idle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.commits == 0
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
