package client

import (
	"context"
	"time"

	"connectrpc.com/connect"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/api/edriv1/wire"
	"github.com/edri-io/edri/event"
)

// DefaultRequestTimeout is how long responses to a request are taken by default.
const DefaultRequestTimeout = 30 * time.Second

// maxGather is how many responses a request may ask for.
const maxGather = 1000

// callSlack is how much longer than its request a call waits for the cluster.
const callSlack = 5 * time.Second

// CallOptions say how a request is made.
type CallOptions struct {
	// Timeout is how long responses are taken, from the commit of the request on; 1 ms
	// to 30 days, by default DefaultRequestTimeout.
	Timeout time.Duration
}

// RequestState says how far a request is.
type RequestState int

// The states.
const (
	RequestOpen     RequestState = iota // responses may come
	RequestAnswered                     // all that were asked for are there
	RequestExpired                      // the deadline has passed before
)

// String returns the state's name.
func (s RequestState) String() string {
	return [...]string{"open", "answered", "expired"}[s]
}

// Outcome is what came of a request.
type Outcome struct {
	// Request is its id: its position.
	Request   event.Position
	State     RequestState
	Responses []event.Recorded
	// Deadline is when responses are no longer taken, by the cluster's time.
	Deadline time.Time
}

// Call sends a request, an event to which the kind request is given, and returns the
// first response. A response that is a problem (RFC 9457) is a *Problem as an error; of
// type event.ProblemGivenUp it is edri's own: the handlers failed, and are not called again.
// no_responder: no subscription would receive it; deadline_exceeded: nobody answered
// within the timeout. Where the answer of the cluster is lost, the same request is
// sent again, which joins the first.
func (c *Client) Call(ctx context.Context, stream string, e event.Event, o CallOptions) (event.Recorded, error) {
	outcome, err := c.call(ctx, stream, e, o, 1)
	if err != nil {
		return event.Recorded{}, err
	}
	return outcome.response()
}

// Gather sends a request and returns the first n responses, or those that came within
// the window. Among them may be problems, see AsProblem.
func (c *Client) Gather(ctx context.Context, stream string, e event.Event, n int, window time.Duration) ([]event.Recorded, error) {
	if n < 1 || n > maxGather {
		return nil, event.Errorf(event.CodeInvalid, "%d responses: must be 1 to %d", n, maxGather)
	}
	outcome, err := c.call(ctx, stream, e, CallOptions{Timeout: window}, n)
	return outcome.Responses, err
}

// Send sends a request and returns its id, by which anyone may Attach to it, at once.
// It waits for a subscription that receives it until its timeout is over.
func (c *Client) Send(ctx context.Context, stream string, e event.Event, o CallOptions) (event.Position, error) {
	request, _, err := sendRequest(stream, e, o, 1, false)
	if err != nil {
		return 0, err
	}
	var id event.Position
	err = c.repeat(ctx, func(ctx context.Context, n *server) error {
		response, err := n.send.CallUnary(ctx, connect.NewRequest(request))
		if err == nil {
			id = event.Position(response.Msg.Position)
		}
		return err
	})
	return id, err
}

// Attach waits for the response to a request that was sent before, by whomever, and
// returns what Call does. An outcome is known until one hour after the deadline; then,
// and where there is no such request, also beyond the journal's end, it is not_found.
func (c *Client) Attach(ctx context.Context, request event.Position) (event.Recorded, error) {
	outcome, err := c.attach(ctx, request, 0)
	if err != nil {
		return event.Recorded{}, err
	}
	return outcome.response()
}

// RequestOutcome returns how far a request is, without waiting.
func (c *Client) RequestOutcome(ctx context.Context, request event.Position) (Outcome, error) {
	return c.attach(ctx, request, -1)
}

func (c *Client) attach(ctx context.Context, request event.Position, wait time.Duration) (outcome Outcome, err error) {
	err = c.ask(ctx, func(ctx context.Context, n *server) error {
		response, err := n.attach.CallUnary(ctx, connect.NewRequest(&edriv1.AttachRequest{Position: uint64(request), Wait: int64(wait)}))
		if err == nil {
			outcome, err = newOutcome(response.Msg.Bytes)
		}
		if err == nil && wait == 0 {
			err = outcome.openError()
		}
		return err
	})
	return outcome, err
}

func (c *Client) call(ctx context.Context, stream string, e event.Event, o CallOptions, n int) (outcome Outcome, err error) {
	request, timeout, err := sendRequest(stream, e, o, n, true)
	if err != nil {
		return outcome, err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout+callSlack)
	defer cancel()
	err = c.repeat(ctx, func(ctx context.Context, n *server) error {
		response, err := n.call.CallUnary(ctx, connect.NewRequest(request))
		if err == nil {
			outcome, err = newOutcome(response.Msg.Bytes)
		}
		if err == nil {
			err = outcome.openError()
		}
		return err
	})
	return outcome, err
}

// sendRequest makes the message of which each copy is the same request.
func sendRequest(stream string, e event.Event, o CallOptions, n int, call bool) (*sendFrame, time.Duration, error) {
	if o.Timeout < 0 {
		return nil, 0, event.Errorf(event.CodeInvalid, "timeout %v is negative", o.Timeout)
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultRequestTimeout
	}
	if stream != "" {
		if err := event.CheckName("stream", stream); err != nil {
			return nil, 0, err
		}
	}
	e, err := withID(e)
	if err != nil {
		return nil, 0, err
	}
	e = withKind(e, event.KindRequest)
	encoded, err := event.AppendValid(nil, &e)
	if err != nil {
		return nil, 0, err
	}
	b := wire.AppendSendRequest(nil, &wire.SendRequest{
		Stream: stream, Event: encoded, Timeout: int64(o.Timeout), Call: call, Gather: uint32(n),
	})
	return &sendFrame{Bytes: b}, o.Timeout, nil
}

func newOutcome(b []byte) (Outcome, error) {
	var w wire.RequestOutcome
	if err := w.Decode(b); err != nil {
		return Outcome{}, event.Errorf(event.CodeInternal, "decode outcome: %v", err)
	}
	o := Outcome{Request: event.Position(w.Position), State: RequestState(w.State), Deadline: time.Unix(0, w.Deadline).UTC()}
	if o.State < RequestOpen || o.State > RequestExpired {
		return Outcome{}, event.Errorf(event.CodeInternal, "decode outcome: state %d is unknown", w.State)
	}
	for _, b := range w.Responses {
		recorded, err := decodeRecorded(b)
		if err != nil {
			return Outcome{}, err
		}
		o.Responses = append(o.Responses, recorded)
	}
	return o, nil
}

// openError makes that a server waits no longer for an open request be asked again.
func (o *Outcome) openError() error {
	if o.State == RequestOpen {
		return event.Errorf(event.CodeUnavailable, "request %d is still open", o.Request)
	}
	return nil
}

// response is the first of the outcome, or why there is none.
func (o *Outcome) response() (event.Recorded, error) {
	if len(o.Responses) == 0 {
		return event.Recorded{}, event.Errorf(event.CodeDeadlineExceeded,
			"request %d had no response by %s", o.Request, o.Deadline.Format(time.RFC3339Nano))
	}
	return o.Responses[0], AsProblem(&o.Responses[0])
}
