package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/api/edriv1/edriv1connect"
	"github.com/edri-io/edri/api/edriv1/wire"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
	"github.com/edri-io/edri/workflows/engine"
)

// Operations of workflows, as numbered in edri.v1.Op.
const (
	opDefineWorkflow = 60
	opStartRun       = 61
	opSignalRun      = 62
	opUpdateRun      = 63
	opCancelRun      = 64
	opTerminateRun   = 65
	opPauseRun       = 66
	opRetryRun       = 67
	opResetRun       = 68
	opDeleteRun      = 69
	opAdvanceRun     = 70
)

func (s *service) mountWorkflows(mux *http.ServeMux, options connect.HandlerOption) {
	unary(mux, edriv1connect.WorkflowsDefineProcedure, s.defineWorkflow, options)
	unary(mux, edriv1connect.WorkflowsListDefinitionsProcedure, s.listDefinitions, options)
	unary(mux, edriv1connect.WorkflowsStartProcedure, s.startRun, options)
	unary(mux, edriv1connect.WorkflowsSignalProcedure, changeRun[edriv1.SignalRun](s, opSignalRun), options)
	unary(mux, edriv1connect.WorkflowsCancelProcedure, changeRun[edriv1.CancelRun](s, opCancelRun), options)
	unary(mux, edriv1connect.WorkflowsTerminateProcedure, changeRun[edriv1.TerminateRun](s, opTerminateRun), options)
	unary(mux, edriv1connect.WorkflowsPauseProcedure, changeRun[edriv1.PauseRun](s, opPauseRun), options)
	unary(mux, edriv1connect.WorkflowsRetryProcedure, changeRun[edriv1.RetryRun](s, opRetryRun), options)
	unary(mux, edriv1connect.WorkflowsDeleteProcedure, changeRun[edriv1.DeleteRun](s, opDeleteRun), options)
	unary(mux, edriv1connect.WorkflowsResetProcedure, s.resetRun, options)
	unary(mux, edriv1connect.WorkflowsListProcedure, s.listRuns, options)
	unary(mux, edriv1connect.WorkflowsUpdateProcedure, s.updateRun, options)
	unary(mux, edriv1connect.WorkflowsWaitProcedure, s.waitRun, options)
	mux.Handle(edriv1connect.WorkflowsWaitManyProcedure,
		connect.NewBidiStreamHandler(edriv1connect.WorkflowsWaitManyProcedure, s.waitMany, options))
	// Of workers and what they have only the leader knows.
	mux.Handle(edriv1connect.WorkflowsGetProcedure, s.atLeader(
		unaryHandler(edriv1connect.WorkflowsGetProcedure, s.getRun, options)))
	mux.Handle(edriv1connect.WorkflowsQueryProcedure, s.atLeader(
		unaryHandler(edriv1connect.WorkflowsQueryProcedure, s.queryRun, options)))
	// A worker does not know how large a commit may be here: what is too large is refused by
	// itself, and not the message that has it, which would end the session.
	mux.Handle(edriv1connect.WorkflowsWorkProcedure, s.atLeader(
		connect.NewBidiStreamHandler(edriv1connect.WorkflowsWorkProcedure, s.work, options,
			connect.WithReadMaxBytes(2*event.DefaultLimits().Commit+64<<10))))
}

func (s *service) defineWorkflow(ctx context.Context, f *wire.Frame[edriv1.DefineWorkflow]) (*edriv1.WorkflowDefined, error) {
	r, err := executeFrame(ctx, s, opDefineWorkflow, f)
	return r.GetWorkflowDefined(), err
}

func (s *service) startRun(ctx context.Context, f *wire.Frame[edriv1.StartRun]) (*edriv1.RunStarted, error) {
	r, err := executeFrame(ctx, s, opStartRun, f)
	return r.GetRunStarted(), err
}

// changeRun returns the procedure of an operation whose result is a RunChanged.
func changeRun[M any](s *service, op int32) func(context.Context, *wire.Frame[M]) (*edriv1.RunChanged, error) {
	return func(ctx context.Context, f *wire.Frame[M]) (*edriv1.RunChanged, error) {
		r, err := executeFrame(ctx, s, op, f)
		return r.GetRunChanged(), err
	}
}

// executeFrame executes a message as the one operation of a commit.
func executeFrame[M any](ctx context.Context, s *service, op int32, f *wire.Frame[M]) (*edriv1.OpResult, error) {
	if _, err := f.Message(); err != nil {
		return nil, invalid(err)
	}
	return s.executeOp(ctx, op, f.Bytes)
}

func (s *service) listDefinitions(ctx context.Context, _ *wire.Frame[edriv1.ListWorkflowsRequest]) (*edriv1.ListWorkflowsResponse, error) {
	if err := s.await(ctx, freshness{linearizable: true}); err != nil {
		return nil, err
	}
	v := s.cfg.Node.View()
	defer v.Close()
	response := &edriv1.ListWorkflowsResponse{}
	for b, err := range engine.Definitions(v) {
		if err != nil {
			return nil, err
		}
		m := new(edriv1.DefineWorkflow)
		if err := proto.Unmarshal(b, m); err != nil {
			return nil, err
		}
		response.Workflows = append(response.Workflows, m)
	}
	return response, nil
}

func (s *service) updateRun(ctx context.Context, f *wire.Frame[edriv1.UpdateRun]) (*edriv1.UpdateOutcome, error) {
	m, err := f.Message()
	if err != nil {
		return nil, invalid(err)
	}
	r, err := s.executeOp(ctx, opUpdateRun, f.Bytes)
	if err != nil {
		return nil, err
	}
	ctx, cancel := s.untilStop(ctx)
	defer cancel()
	result, failure, err := s.cfg.Workflows.AwaitUpdate(ctx, s.cfg.Node, r.GetRunChanged().GetNumber(), m.UpdateId)
	if err != nil {
		return nil, s.stopError(err)
	}
	return &edriv1.UpdateOutcome{Result: string(result), Error: string(failure)}, nil
}

// stopError is the error of a wait that ends because the node stops.
func (s *service) stopError(err error) error {
	if errors.Is(err, context.Canceled) && s.cfg.Lifetime.Err() != nil {
		return event.Errorf(event.CodeUnavailable, "the node is stopping")
	}
	return err
}

func (s *service) waitRun(ctx context.Context, f *wire.Frame[edriv1.WaitRunRequest]) (*edriv1.RunOutcome, error) {
	m, err := f.Message()
	if err != nil {
		return nil, invalid(err)
	}
	if err := s.await(ctx, freshness{linearizable: true}); err != nil {
		return nil, err
	}
	return s.outcomeOf(ctx, m)
}

// outcomeOf waits for a run's end, which this node's own apply brings.
func (s *service) outcomeOf(ctx context.Context, m *edriv1.WaitRunRequest) (*edriv1.RunOutcome, error) {
	ctx, cancel := s.untilStop(ctx)
	defer cancel()
	if m.Wait != 0 {
		ctx, cancel = context.WithTimeout(ctx, max(time.Duration(m.Wait), 0))
		defer cancel()
	}
	o, err := s.cfg.Workflows.Await(ctx, s.cfg.Node, m.Id, m.Number)
	if err != nil {
		return nil, err
	}
	if o.Status == workflows.Running && s.cfg.Lifetime.Err() != nil {
		return nil, event.Errorf(event.CodeUnavailable, "the node is stopping")
	}
	if o.Status == workflows.Running && m.Wait == 0 {
		return nil, context.Cause(ctx) // of the call, which is over: it has no outcome
	}
	return &edriv1.RunOutcome{
		Number: o.Number, Status: runStatuses[o.Status], Result: string(o.Result), Error: string(o.Failure), Tag: m.Tag,
	}, nil
}

// soonKnown is how long a run whose number is known may take to be there: it was begun, as a
// rule, and this node is behind by a moment.
const soonKnown = 50 * time.Millisecond

// knownOutcomeOf is outcomeOf where this node may be behind. A run that is there by its
// number is the one; else the node first comes to where the cluster is, by itself within a
// moment, or it asks.
func (s *service) knownOutcomeOf(ctx context.Context, m *edriv1.WaitRunRequest) (*edriv1.RunOutcome, error) {
	if m.Number != 0 {
		o, err := s.outcomeOf(ctx, m)
		if event.CodeOf(err) == event.CodeNotFound && s.comesSoon(ctx, m.Number) {
			o, err = s.outcomeOf(ctx, m)
		}
		if event.CodeOf(err) != event.CodeNotFound {
			return o, err
		}
	}
	if err := s.await(ctx, freshness{linearizable: true}); err != nil {
		return nil, err
	}
	return s.outcomeOf(ctx, m)
}

// comesSoon waits a moment for a run that this node does not know, and reports whether it does.
func (s *service) comesSoon(ctx context.Context, number uint64) bool {
	ctx, cancel := context.WithTimeout(ctx, soonKnown)
	defer cancel()
	return s.cfg.Workflows.AwaitStart(ctx, s.cfg.Node, number)
}

var runStatuses = map[workflows.Status]edriv1.RunStatus{
	workflows.Running: edriv1.RunStatus_RUNNING, workflows.Completed: edriv1.RunStatus_COMPLETED,
	workflows.Failed: edriv1.RunStatus_FAILED, workflows.Canceled: edriv1.RunStatus_CANCELED,
	workflows.Terminated: edriv1.RunStatus_TERMINATED, workflows.TimedOut: edriv1.RunStatus_TIMED_OUT,
	workflows.Continued: edriv1.RunStatus_CONTINUED,
}

// maxWaits is how many runs one stream may wait for at a time.
const maxWaits = 10_000

// waitMany answers for each run once it has ended, what is ready together in one frame.
func (s *service) waitMany(ctx context.Context, stream *connect.BidiStream[wire.Frame[edriv1.WaitRunsRequest], wire.Frame[edriv1.RunOutcomes]]) error {
	ctx, cancel := s.untilStop(ctx)
	defer cancel()
	ready := make(chan struct{}, 1)
	var mu sync.Mutex
	var frame []byte
	var failed error
	var waits sync.WaitGroup
	defer waits.Wait()
	defer cancel()
	room := make(chan struct{}, maxWaits)
	answer := func(m *edriv1.WaitRunRequest) {
		defer waits.Done()
		defer func() { <-room }()
		o, err := s.knownOutcomeOf(ctx, m)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			// As the outcome of this run alone.
			o = &edriv1.RunOutcome{Tag: m.Tag, Error: string(waitFailure(err))}
		}
		b, err := proto.Marshal(o)
		mu.Lock()
		if err != nil {
			failed = err
		}
		frame = wire.AppendMessage(frame, 1, b)
		mu.Unlock()
		signal(ready)
	}
	received := make(chan error, 1)
	go func() {
		for {
			f, err := stream.Receive()
			if err != nil {
				received <- err
				return
			}
			m, err := f.Message()
			if err != nil {
				received <- invalid(err)
				return
			}
			for _, run := range m.Runs {
				select {
				case room <- struct{}{}:
				case <-ctx.Done():
					received <- ctx.Err()
					return
				}
				waits.Add(1)
				go answer(run)
			}
		}
	}()
	var spare []byte
	for {
		mu.Lock()
		out, err := frame, failed
		frame, spare = spare[:0], nil
		mu.Unlock()
		if err != nil {
			return err
		}
		if len(out) > 0 {
			if err := stream.Send(&wire.Frame[edriv1.RunOutcomes]{Bytes: out}); err != nil {
				return err
			}
			spare = bounded(out)
			continue
		}
		spare = out
		select {
		case <-ready:
		case <-received:
			return nil
		case <-s.cfg.Lifetime.Done():
			stopReading(ctx)
			return event.Errorf(event.CodeUnavailable, "the node is stopping")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// waitFailure is the error of a wait as that of a run.
func waitFailure(err error) []byte {
	typ := "edri." + string(event.CodeOf(err))
	b, merr := json.Marshal(workflows.Error{Type: typ, Message: err.Error()})
	if merr != nil {
		return []byte(`{"type":"edri.internal"}`)
	}
	return b
}

func (s *service) getRun(ctx context.Context, f *wire.Frame[edriv1.GetRunRequest]) (*edriv1.WorkflowRun, error) {
	m, err := f.Message()
	if err != nil {
		return nil, invalid(err)
	}
	if err := s.awaitKeys(ctx, m.Consistency, m.MinPosition); err != nil {
		return nil, err
	}
	v := s.cfg.Node.View()
	defer v.Close()
	r, err := engine.RunOf(v, m.Id, m.Number)
	if err != nil {
		return nil, err
	}
	d, err := engine.DetailsOf(v, r.Number, true)
	if err != nil {
		return nil, err
	}
	run := runMessage(&r, &d)
	run.Worker = s.cfg.Workflows.Holder(r.Number)
	return run, nil
}

func runMessage(r *engine.Run, d *engine.Details) *edriv1.WorkflowRun {
	m := &edriv1.WorkflowRun{
		Id: r.ID, Number: r.Number, Type: r.Type, Version: r.Version, Status: runStatuses[r.Status], Paused: r.Paused,
		Note: d.Note, Started: r.Started, Ended: r.Ended, Advance: r.Advance, Events: r.Events,
		Attributes: string(d.Attributes), Memo: string(d.Memo), Correlation: r.Correlation,
		Result: string(d.Result), Error: string(d.Failure), Parent: d.Parent, Next: r.Next, Unread: r.Unread, Busy: r.Busy,
	}
	if r.First != r.Number {
		m.First = r.First
	}
	for _, h := range r.History {
		m.History = append(m.History, &edriv1.RevisionRange{From: uint64(h.From), To: uint64(h.To), Since: uint64(h.Since)})
	}
	for _, o := range d.Open {
		m.Open = append(m.Open, &edriv1.OpenItem{Kind: edriv1.OpenItem_Kind(o.Kind), Seq: o.Seq, Due: o.Due, What: o.What})
	}
	return m
}

func (s *service) queryRun(ctx context.Context, f *wire.Frame[edriv1.QueryRunRequest]) (*edriv1.QueryRunResponse, error) {
	m, err := f.Message()
	if err != nil {
		return nil, invalid(err)
	}
	if err := s.await(ctx, freshness{linearizable: true}); err != nil {
		return nil, err
	}
	ctx, cancel := s.untilStop(ctx)
	defer cancel()
	result, failure, err := s.cfg.Workflows.Query(ctx, m.Id, m.Number, m.Name, []byte(m.Input))
	if err != nil {
		return nil, s.stopError(err)
	}
	response := &edriv1.QueryRunResponse{Result: string(result)}
	if failure != nil {
		b, err := json.Marshal(failure)
		if err != nil {
			return nil, err
		}
		response.Error = string(b)
	}
	return response, nil
}

// runError reads an error as runs have it, nil where there is none.
func runError(text string) (*workflows.Error, error) {
	if text == "" {
		return nil, nil
	}
	e := new(workflows.Error)
	return e, json.Unmarshal([]byte(text), e)
}
