package api

import (
	"context"
	"errors"
	"io"
	"runtime"
	"sync"

	"connectrpc.com/connect"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/api/edriv1/wire"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/router"
)

type (
	deliverFrame   = wire.Frame[edriv1.DeliverRequest]
	deliveredFrame = wire.Frame[edriv1.DeliverResponse]
)

// Numbers of operations in edri.v1.Op.
const (
	opCreateSubscription = 17
	opUpdateSubscription = 18
	opDeleteSubscription = 19
	opPauseSubscription  = 20
	opSeekSubscription   = 21
	opRedrive            = 22
	opSettle             = 23
	opSendRequest        = 24
	opCreateBucket       = 40
	opUpdateBucket       = 41
	opDeleteBucket       = 42
	opPutKey             = 43
	opDeleteKey          = 44
	opKeyTransaction     = 46
)

// maxSettlements is how many settlements of a stream may be without a result; then
// nothing more is read from it.
const maxSettlements = 4096

// deliverStream moves deliveries to a member, its settlements to the node, and their
// results back, as they come, all that is ready in one frame.
type deliverStream struct {
	service      *service
	subscription string
	member       *router.Member
	// settled has a token when there are results to send, room when some were sent.
	settled, room chan struct{}

	mu      sync.Mutex
	results []byte // fields of the DeliverResponse to send next
	ready   int    // results in it
	open    int    // settlements without a result that was sent
}

func (s *service) deliver(ctx context.Context, stream *connect.BidiStream[deliverFrame, deliveredFrame]) error {
	first, err := receiveDeliver(stream)
	if err != nil {
		return err
	}
	d := &deliverStream{service: s, subscription: first.Subscription, settled: make(chan struct{}, 1), room: make(chan struct{}, 1)}
	if d.member, err = s.cfg.Router.Join(joinOf(first)); err != nil {
		return err
	}
	graceful := false
	defer func() { d.member.Leave(graceful) }()
	if err := d.take(first); err != nil {
		return err
	}
	received := make(chan error, 1)
	stop := make(chan struct{})
	go func() { received <- d.receive(stop, stream) }()
	graceful, ended, err := d.send(ctx, stream, received)
	if !ended {
		close(stop)
		stopReading(ctx)
		<-received
	}
	return err
}

func joinOf(r *wire.DeliverRequest) router.Join {
	return router.Join{
		Subscription: r.Subscription, Name: r.Member, Version: r.Version, Held: heldOf(r.Held),
		Encode: func(dst []byte, d *router.Delivery) []byte {
			says := wire.Delivery{Attempt: uint32(d.Attempt), Token: d.Token, Lease: d.Lease,
				Generation: d.Generation, Deadline: d.RequestDeadline}
			return wire.AppendDelivery(dst, &says, uint64(d.Record.Position), uint64(d.Record.Revision), d.Record.Stream, d.Record.Stamp, d.Record.Event)
		},
	}
}

func heldOf(list []wire.Held) []router.Held {
	var held []router.Held
	for _, h := range list {
		held = append(held, router.Held{Position: event.Position(h.Position), Token: h.Token})
	}
	return held
}

func receiveDeliver(stream *connect.BidiStream[deliverFrame, deliveredFrame]) (*wire.DeliverRequest, error) {
	frame, err := stream.Receive()
	if errors.Is(err, io.EOF) {
		return nil, io.EOF
	}
	if err != nil {
		return nil, err
	}
	if frame.Err != nil {
		return nil, invalid(frame.Err)
	}
	r := new(wire.DeliverRequest)
	if err := r.Decode(frame.Bytes); err != nil {
		return nil, invalid(err)
	}
	return r, nil
}

// receive takes frames in until the member ends its side.
func (d *deliverStream) receive(stop <-chan struct{}, stream *connect.BidiStream[deliverFrame, deliveredFrame]) error {
	for {
		r, err := receiveDeliver(stream)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case r.Subscription != "" && r.Subscription != d.subscription || len(r.Held) > 0:
			return event.Errorf(event.CodeInvalid, "only a stream's first frame names the subscription and what is held")
		}
		if err := d.take(r); err != nil {
			return err
		}
		for !d.hasRoom() {
			select {
			case <-d.room:
			case <-stop:
				return nil
			}
		}
	}
}

func (d *deliverStream) hasRoom() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.open < maxSettlements
}

// take does what a frame asks for.
func (d *deliverStream) take(r *wire.DeliverRequest) error {
	if len(r.Extend) > 0 {
		d.member.Extend(heldOf(r.Extend))
	}
	if len(r.GiveBack) > 0 {
		d.member.GiveBack(heldOf(r.GiveBack))
	}
	if err := d.settle(r.Settlements); err != nil {
		return err
	}
	if r.Credits > 0 {
		return d.member.AddCredits(int(min(r.Credits, 1<<31)))
	}
	return nil
}

// settle submits settlements, each as a commit of its own: the delivery first, then
// its effects.
func (d *deliverStream) settle(list []wire.Settling) error {
	if len(list) == 0 {
		return nil
	}
	name := wire.AppendMessage(nil, 1, []byte(d.subscription))
	commits := make([][]byte, len(list))
	ids := make([]uint64, len(list))
	for i, s := range list {
		if s.Settle == nil {
			return event.Errorf(event.CodeInvalid, "settlement %d settles nothing", s.ID)
		}
		if !wire.IsOps(s.Effects) {
			return event.Errorf(event.CodeInvalid, "settlement %d: effects have operations and nothing else", s.ID)
		}
		commit := make([]byte, 0, len(s.Settle)+len(name)+len(s.Effects)+24)
		commits[i], ids[i] = append(wire.AppendOp(commit, opSettle, s.Settle, name), s.Effects...), s.ID
	}
	d.mu.Lock()
	d.open += len(list)
	d.mu.Unlock()
	d.service.metrics.commits.Add(float64(len(commits)))
	d.service.cfg.Node.Submit(commits, func(i int, result []byte, err *event.Error) {
		d.done(ids[i], result, err)
	})
	return nil
}

// done takes one result in. It may be called by the goroutine that applies.
func (d *deliverStream) done(id uint64, result []byte, err *event.Error) {
	var failure []byte
	if err != nil {
		result, failure = nil, event.AppendError(nil, err)
	}
	d.mu.Lock()
	d.results = wire.AppendSettled(d.results, id, result, failure)
	d.ready++
	d.mu.Unlock()
	signal(d.settled)
}

// send writes what is ready until the stream ends. graceful says that the member
// ended its side and has all its results, ended that receive has returned.
func (d *deliverStream) send(ctx context.Context, stream *connect.BidiStream[deliverFrame, deliveredFrame], received chan error) (graceful, ended bool, err error) {
	var frame, spareOut, spareResults []byte
	for {
		runtime.Gosched() // what is ready together goes together
		out, lost, err := d.member.Take(spareOut[:0])
		results, sent := d.takeResults(spareResults[:0])
		frame = append(append(frame[:0], out...), results...)
		for _, h := range lost {
			frame = wire.AppendLost(frame, uint64(h.Position), h.Token)
		}
		spareOut, spareResults = bounded(out), bounded(results)
		if len(frame) > 0 {
			if err := stream.Send(&deliveredFrame{Bytes: frame}); err != nil {
				return false, ended, err
			}
			d.sent(sent)
			frame = bounded(frame)
			continue
		}
		if err != nil {
			return false, ended, err
		}
		if ended && d.idle() {
			return true, ended, nil
		}
		select {
		case <-d.member.Ready():
		case <-d.settled:
		case err := <-received:
			ended, received = true, nil
			if err != nil {
				return false, ended, err
			}
			d.member.Leave(true)
		case <-d.service.cfg.Lifetime.Done():
			return false, ended, event.Errorf(event.CodeUnavailable, "the node is stopping")
		case <-ctx.Done():
			return false, ended, ctx.Err()
		}
	}
}

// bounded returns memory to use again, unless it is too much to keep.
func bounded(b []byte) []byte {
	if cap(b) > maxSpare {
		return nil
	}
	return b
}

func (d *deliverStream) takeResults(spare []byte) ([]byte, int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	results, n := d.results, d.ready
	d.results, d.ready = spare, 0
	return results, n
}

func (d *deliverStream) sent(n int) {
	d.mu.Lock()
	d.open -= n
	d.mu.Unlock()
	signal(d.room)
}

// idle reports whether every settlement's result was sent.
func (d *deliverStream) idle() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.open == 0
}
