package workflows

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/edri-io/edri/event"
)

// DefaultRequestTimeout is that of a request that has none.
const DefaultRequestTimeout = 30 * time.Second

// ErrorProblem is the type of the error of a request that was answered with a problem of
// RFC 9457, which is its Details; where the problem has a type, that is the error's.
const ErrorProblem = "edri.problem"

// Request is a step that is done by a worker of another manager, which handles the events
// of a type and answers them: a request of the router. Both data are JSON.
type Request[In, Out any] struct {
	typ     string
	options RequestOptions
}

// RequestOptions say how a request is made.
type RequestOptions struct {
	// Stream is where the requests go; default: their subject, else their source.
	Stream  string
	Subject string
	// Timeout is how long each attempt may take, the wait for a worker included; 0: 30 s.
	// A request of less than 1 ms or more than 30 days fails with ErrorInvalid.
	Timeout time.Duration
	// Retry makes new requests, after one that expired or was answered with a problem
	// that may pass (of status 408, 425, 429 or from 500 up). Exhausted is not looked at.
	Retry Retry
}

// requestCall is what an op needs to be sent.
type requestCall struct {
	typ     string
	options RequestOptions
	data    json.RawMessage
}

// NewRequest returns requests of a type.
func NewRequest[In, Out any](typ string, options ...RequestOptions) Request[In, Out] {
	r := Request[In, Out]{typ: typ}
	if len(options) > 0 {
		r.options = options[0]
	}
	if r.options.Timeout == 0 {
		r.options.Timeout = DefaultRequestTimeout
	}
	return r
}

// Do sends a request and waits for the response. An error is an *Error.
func (r Request[In, Out]) Do(ctx Context, in In) (Out, error) {
	f := r.Start(ctx, in)
	return f.get(ctx.s, f.o.m.co.current)
}

// Start sends a request.
func (r Request[In, Out]) Start(ctx Context, in In) *Future[Out] {
	m := ctx.s.m
	m.enterChanging()
	o := m.open(ctx.s, opRequest, r.typ)
	if o.done {
		return &Future[Out]{o}
	}
	data, err := encode("data of request "+r.typ, in)
	options := r.options
	options.Timeout = min(max(minRequestTimeout, options.Timeout), maxRequestTimeout)
	if err == nil && options.Timeout != r.options.Timeout && !m.replay.recorded(KindRequestSent, o.seq) {
		err = invalid("request %s: a timeout of %v is not within 1 ms and 30 days", r.typ, r.options.Timeout)
	}
	if err != nil {
		o.resolve(nil, err)
		return &Future[Out]{o}
	}
	o.request = &requestCall{r.typ, options, data}
	o.attempt = 1
	m.send(o)
	return &Future[Out]{o}
}

// send sends an attempt.
func (m *machine) send(o *op) {
	r := o.request
	e := event.Event{
		ID:         fmt.Sprintf("%d/%d/%d", m.run.Number, o.seq, o.attempt),
		Source:     sourceOf(m.def.name),
		Type:       r.typ,
		Subject:    r.options.Subject,
		Extensions: map[string]event.Value{event.AttrKind: event.String(event.KindRequest)},
	}
	if m.run.Correlation != "" {
		e.Extensions[event.AttrCorrelation] = event.String(m.run.Correlation)
	}
	if r.data != nil {
		e.Data, e.DataContentType = r.data, "application/json"
	}
	stream := cmp.Or(r.options.Stream, e.Subject, e.Source)
	err := e.Validate()
	if err == nil {
		err = event.CheckName("stream of a request", stream)
	}
	if err == nil {
		err = event.CheckUnreserved(stream, e.Type)
	}
	if err != nil {
		o.resolve(nil, refusal(err))
		return
	}
	data := mustMarshal(RequestRecord{Seq: o.seq, Name: r.typ, Attempt: o.attempt, Timeout: r.options.Timeout.String()})
	m.emitOpen(o, KindRequestSent, data, SendRequest{Seq: o.seq, Stream: r.options.Stream, Event: e, Timeout: r.options.Timeout})
}

// sourceOf is the source of the events that the runs of a workflow make.
func sourceOf(workflow string) string { return "/workflows/" + url.PathEscape(workflow) }

func (m *machine) applyExpired(in input, seq uint64) {
	if o := m.find(in, seq, opRequest); o != nil && o.state == opAsked {
		m.failRequest(o, timedOut("request", nil))
	}
}

func (m *machine) applyResponse(in input, r ResponseReceived) {
	o := m.find(in, r.Seq, opRequest)
	if o == nil || o.state != opAsked {
		return
	}
	e, err := event.DecodeJSON(r.Response)
	if err != nil {
		o.resolve(nil, invalid("response to %s: %v", o.name, err))
		return
	}
	if strings.HasPrefix(e.DataContentType, "application/problem+json") {
		m.failRequest(o, problemOf(e.Data))
		return
	}
	o.resolve(e.Data, nil)
}

// problemOf is the error of a problem.
func problemOf(data []byte) *Error {
	var p struct {
		Type, Title, Detail string
		Status              int
	}
	e := &Error{Type: ErrorProblem, Message: "a problem that is no JSON", Details: mustMarshal(string(data))}
	if err := json.Unmarshal(data, &p); err != nil {
		return e
	}
	// As they will stand in a history, where some characters take six bytes: so large they count.
	e.Details, e.Message = mustMarshal(json.RawMessage(data)), p.Title
	if p.Type != "" && p.Type != "about:blank" {
		e.Type = p.Type
	}
	if p.Detail != "" {
		e.Message = strings.TrimPrefix(p.Title+": "+p.Detail, ": ")
	}
	passes := p.Status == 408 || p.Status == 425 || p.Status == 429 || p.Status >= 500 || p.Status == 0
	e.Final = !passes
	return e
}

// failRequest tries again, by a timer, or gives up.
func (m *machine) failRequest(o *op, err *Error) {
	wait, again := o.request.options.Retry.again(o.attempt, err, func() float64 { return m.jitter(o) })
	if !again {
		o.resolve(nil, err)
		return
	}
	o.leaveAsked(opBackoff)
	m.emitOpen(o, KindTimerSet, appendTimer(nil, o.seq, wait), SetTimer{o.seq, wait})
}

// jitter is within [0, 1), for each attempt the same on each replay.
func (m *machine) jitter(o *op) float64 {
	seed, _ := strconv.ParseUint(m.begun.Seed, 10, 64)
	return rand.New(rand.NewPCG(seed, o.seq<<16|uint64(o.attempt))).Float64()
}
