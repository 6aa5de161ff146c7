package client

import (
	"context"
	"encoding/json"
	"iter"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/api/edriv1/edriv1connect"
	"github.com/edri-io/edri/api/edriv1/wire"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

var _ workflows.Cluster = (*Client)(nil)

// Numbers of operations in edri.v1.Op.
const (
	opStartRun     = 61
	opSignalRun    = 62
	opCancelRun    = 64
	opTerminateRun = 65
	opPauseRun     = 66
	opRetryRun     = 67
	opDeleteRun    = 69
)

type (
	workFrame   = wire.Frame[edriv1.WorkRequest]
	workedFrame = wire.Frame[edriv1.WorkResponse]
)

// runs are a node's procedures that have to do with workflows.
type runs struct {
	define      *connect.Client[edriv1.DefineWorkflow, edriv1.WorkflowDefined]
	definitions *connect.Client[edriv1.ListWorkflowsRequest, edriv1.ListWorkflowsResponse]
	update      *connect.Client[edriv1.UpdateRun, edriv1.UpdateOutcome]
	query       *connect.Client[edriv1.QueryRunRequest, edriv1.QueryRunResponse]
	get         *connect.Client[edriv1.GetRunRequest, edriv1.WorkflowRun]
	list        *connect.Client[edriv1.ListRunsRequest, edriv1.ListRunsResponse]
	reset       *connect.Client[edriv1.ResetRun, edriv1.RunStarted]
	wait        *connect.Client[edriv1.WaitRunRequest, edriv1.RunOutcome]
	waitMany    *connect.Client[edriv1.WaitRunsRequest, edriv1.RunOutcomes]
	work        *connect.Client[workFrame, workedFrame]
}

func newRuns(h connect.HTTPClient, url string, options connect.ClientOption) runs {
	return runs{
		define:      connect.NewClient[edriv1.DefineWorkflow, edriv1.WorkflowDefined](h, url+edriv1connect.WorkflowsDefineProcedure, options),
		definitions: connect.NewClient[edriv1.ListWorkflowsRequest, edriv1.ListWorkflowsResponse](h, url+edriv1connect.WorkflowsListDefinitionsProcedure, options),
		update:      connect.NewClient[edriv1.UpdateRun, edriv1.UpdateOutcome](h, url+edriv1connect.WorkflowsUpdateProcedure, options),
		query:       connect.NewClient[edriv1.QueryRunRequest, edriv1.QueryRunResponse](h, url+edriv1connect.WorkflowsQueryProcedure, options),
		get:         connect.NewClient[edriv1.GetRunRequest, edriv1.WorkflowRun](h, url+edriv1connect.WorkflowsGetProcedure, options),
		list:        connect.NewClient[edriv1.ListRunsRequest, edriv1.ListRunsResponse](h, url+edriv1connect.WorkflowsListProcedure, options),
		reset:       connect.NewClient[edriv1.ResetRun, edriv1.RunStarted](h, url+edriv1connect.WorkflowsResetProcedure, options),
		wait:        connect.NewClient[edriv1.WaitRunRequest, edriv1.RunOutcome](h, url+edriv1connect.WorkflowsWaitProcedure, options),
		waitMany:    connect.NewClient[edriv1.WaitRunsRequest, edriv1.RunOutcomes](h, url+edriv1connect.WorkflowsWaitManyProcedure, options),
		work:        connect.NewClient[workFrame, workedFrame](h, url+edriv1connect.WorkflowsWorkProcedure, options),
	}
}

// RunID names a run: an ID and, unless 0, its number. Without a number it is the last run
// of the ID.
type RunID struct {
	ID     string
	Number uint64
}

// StartRunOp returns the operation that starts a run. Like those below it can stand in
// any commit, beside appends. The start needs an ID here.
func StartRunOp(s workflows.Start) Op {
	m, err := runStartMessage(s)
	if err != nil {
		return Op{err: err}
	}
	return keyOp(opStartRun, m)
}

// SignalRunOp returns the operation that sends a run a signal.
func SignalRunOp(run RunID, s workflows.Signal) Op {
	return keyOp(opSignalRun, &edriv1.SignalRun{Id: run.ID, Number: run.Number, Signal: signalMessage(&s)})
}

func runStartMessage(s workflows.Start) (*edriv1.StartRun, error) {
	m := &edriv1.StartRun{
		Id: s.ID, Type: s.Type, Version: s.Version, Input: string(s.Input), Delay: int64(s.Delay), Timeout: int64(s.Timeout),
		Memo: string(s.Memo), Correlation: s.Correlation, Signal: signalMessage(s.Signal),
	}
	var ok bool
	if m.Reuse, ok = reuses[s.Reuse]; !ok {
		return nil, event.Errorf(event.CodeInvalid, "reuse: there is no policy %q", s.Reuse)
	}
	if m.Conflict, ok = conflicts[s.Conflict]; !ok {
		return nil, event.Errorf(event.CodeInvalid, "conflict: there is no policy %q", s.Conflict)
	}
	if len(s.Attributes) > 0 {
		b, err := json.Marshal(s.Attributes)
		if err != nil {
			return nil, event.Errorf(event.CodeInvalid, "attributes: %v", err)
		}
		m.Attributes = string(b)
	}
	return m, nil
}

// runStartOf is what runStartMessage made a message of.
func runStartOf(m *edriv1.StartRun) (workflows.Start, error) {
	s := workflows.Start{
		ID: m.Id, Type: m.Type, Version: m.Version, Input: []byte(m.Input), Delay: time.Duration(m.Delay),
		Timeout: time.Duration(m.Timeout), Memo: []byte(m.Memo), Correlation: m.Correlation,
	}
	for policy, number := range reuses {
		if number == m.Reuse && policy != "" {
			s.Reuse = policy
		}
	}
	for policy, number := range conflicts {
		if number == m.Conflict && policy != "" {
			s.Conflict = policy
		}
	}
	if m.Signal != nil {
		s.Signal = &workflows.Signal{Name: m.Signal.Name, Input: []byte(m.Signal.Input)}
	}
	if m.Attributes == "" {
		return s, nil
	}
	if err := json.Unmarshal([]byte(m.Attributes), &s.Attributes); err != nil {
		return s, event.Errorf(event.CodeInternal, "decode attributes: %v", err)
	}
	return s, nil
}

func signalMessage(s *workflows.Signal) *edriv1.RunSignal {
	if s == nil {
		return nil
	}
	return &edriv1.RunSignal{Name: s.Name, Input: string(s.Input)}
}

var reuses = map[workflows.ReusePolicy]edriv1.StartRun_Reuse{
	"": edriv1.StartRun_ALWAYS, workflows.ReuseAlways: edriv1.StartRun_ALWAYS,
	workflows.ReuseIfFailed: edriv1.StartRun_IF_FAILED, workflows.ReuseNever: edriv1.StartRun_NEVER,
}

var conflicts = map[workflows.ConflictPolicy]edriv1.StartRun_Conflict{
	"": edriv1.StartRun_FAIL, workflows.ConflictFail: edriv1.StartRun_FAIL,
	workflows.ConflictUse: edriv1.StartRun_USE, workflows.ConflictTerminate: edriv1.StartRun_TERMINATE,
}

// StartRun starts a run, once, however often it has to be sent, and returns which. Where
// the start gives no ID it gets one. byThis says that the run was not under way before.
func (c *Client) StartRun(ctx context.Context, s workflows.Start) (run RunID, byThis bool, err error) {
	if s.ID == "" {
		s.ID = uuid.Must(uuid.NewV7()).String()
	}
	r, err := c.commitOne(ctx, StartRunOp(s))
	return RunID{s.ID, r.Run}, r.Started, err
}

func (c *Client) commitOne(ctx context.Context, op Op) (OpResult, error) {
	result, err := c.Commit(ctx, op)
	if err != nil {
		return OpResult{}, err
	}
	return result.Results[0], nil
}

// SignalRun sends a run a signal, once, however often it has to be sent.
func (c *Client) SignalRun(ctx context.Context, run RunID, s workflows.Signal) error {
	_, err := c.commitOne(ctx, SignalRunOp(run, s))
	return err
}

// CancelRun asks a run's code to clean up and end. To repeat it is harmless.
func (c *Client) CancelRun(ctx context.Context, run RunID, reason string) error {
	_, err := c.commitOne(ctx, keyOp(opCancelRun, &edriv1.CancelRun{Id: run.ID, Number: run.Number, Reason: reason}))
	return err
}

// TerminateRun ends a run at once.
func (c *Client) TerminateRun(ctx context.Context, run RunID, reason string) error {
	_, err := c.commitOne(ctx, keyOp(opTerminateRun, &edriv1.TerminateRun{Id: run.ID, Number: run.Number, Reason: reason}))
	return err
}

// PauseRun keeps a run from going on; note says why, for whoever looks.
func (c *Client) PauseRun(ctx context.Context, run RunID, note string) error {
	_, err := c.commitOne(ctx, keyOp(opPauseRun, &edriv1.PauseRun{Id: run.ID, Number: run.Number, Paused: true, Note: note}))
	return err
}

// ResumeRun lets a paused run go on.
func (c *Client) ResumeRun(ctx context.Context, run RunID, note string) error {
	_, err := c.commitOne(ctx, keyOp(opPauseRun, &edriv1.PauseRun{Id: run.ID, Number: run.Number, Note: note}))
	return err
}

// RetryRun lets a run that its code or a step has paused go on, with new attempts of the
// step. check_failed: it is not paused, or was by PauseRun.
func (c *Client) RetryRun(ctx context.Context, run RunID, note string) error {
	_, err := c.commitOne(ctx, keyOp(opRetryRun, &edriv1.RetryRun{Id: run.ID, Number: run.Number, Note: note}))
	return err
}

// DeleteRun forgets a run that has ended. Its history stays what retention makes of it.
func (c *Client) DeleteRun(ctx context.Context, run RunID) error {
	_, err := c.commitOne(ctx, keyOp(opDeleteRun, &edriv1.DeleteRun{Id: run.ID, Number: run.Number}))
	return err
}

// UpdateRun asks a run's code to change something, and returns its answer. An update that
// is refused or fails is a *workflows.Error. The same id again is the same update.
func (c *Client) UpdateRun(ctx context.Context, run RunID, id, name string, input []byte) ([]byte, error) {
	if id == "" {
		id = uuid.Must(uuid.NewV7()).String()
	}
	request := &edriv1.UpdateRun{Id: run.ID, Number: run.Number, UpdateId: id, Name: name, Input: string(input)}
	var m *edriv1.UpdateOutcome
	err := c.repeat(ctx, func(ctx context.Context, n *server) error {
		response, err := n.workflows.update.CallUnary(ctx, connect.NewRequest(request))
		if err == nil {
			m = response.Msg
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return answerOf(m.Result, m.Error)
}

// QueryRun asks a run's code, and waits for a worker of its version until ctx ends. Where
// none was there by then, the error is the server's unavailable.
func (c *Client) QueryRun(ctx context.Context, run RunID, name string, input []byte) ([]byte, error) {
	request := &edriv1.QueryRunRequest{Id: run.ID, Number: run.Number, Name: name, Input: string(input)}
	var m *edriv1.QueryRunResponse
	err := c.ask(ctx, func(ctx context.Context, n *server) error {
		response, err := n.workflows.query.CallUnary(ctx, connect.NewRequest(request))
		if err == nil {
			m = response.Msg
		}
		return err
	})
	if err != nil {
		return nil, unavailable(ctx, err)
	}
	return answerOf(m.Result, m.Error)
}

func answerOf(result, failure string) ([]byte, error) {
	e, err := runError(failure)
	if err != nil {
		return nil, err
	}
	if e != nil {
		return nil, e
	}
	return []byte(result), nil
}

// runError reads an error as runs have it, nil where there is none.
func runError(text string) (*workflows.Error, error) {
	var e *workflows.Error
	if text == "" {
		return e, nil
	}
	e = new(workflows.Error)
	if err := json.Unmarshal([]byte(text), e); err != nil {
		return nil, event.Errorf(event.CodeUnavailable, "decode the error of a run: %v", err)
	}
	return e, nil
}

// RunOutcome is how a run ended.
type RunOutcome struct {
	Run    RunID // that ended: the last of its chain
	Status workflows.Status
	Result []byte // JSON, of one that completed
	// Err is why it did not complete.
	Err *workflows.Error
}

// WaitRun waits until a run has ended, and the runs that continue it. It goes on over
// changes of the leader until ctx ends.
func (c *Client) WaitRun(ctx context.Context, run RunID) (RunOutcome, error) {
	request := &edriv1.WaitRunRequest{Id: run.ID, Number: run.Number}
	var m *edriv1.RunOutcome
	err := c.ask(ctx, func(ctx context.Context, n *server) error {
		response, err := n.workflows.wait.CallUnary(ctx, connect.NewRequest(request))
		if err == nil {
			m = response.Msg
		}
		return err
	})
	if err != nil {
		return RunOutcome{}, notEnded(ctx, run, err)
	}
	return newOutcomeOf(run.ID, m)
}

func newOutcomeOf(id string, m *edriv1.RunOutcome) (RunOutcome, error) {
	e, err := runError(m.Error)
	return RunOutcome{Run: RunID{id, m.Number}, Status: statusNames[m.Status], Result: []byte(m.Result), Err: e}, err
}

var statusNames = map[edriv1.RunStatus]workflows.Status{
	edriv1.RunStatus_RUNNING: workflows.Running, edriv1.RunStatus_COMPLETED: workflows.Completed,
	edriv1.RunStatus_FAILED: workflows.Failed, edriv1.RunStatus_CANCELED: workflows.Canceled,
	edriv1.RunStatus_TERMINATED: workflows.Terminated, edriv1.RunStatus_TIMED_OUT: workflows.TimedOut,
	edriv1.RunStatus_CONTINUED: workflows.Continued,
}

// Run is a run as it stands.
type Run struct {
	RunID
	Type    string
	Version uint32
	Status  workflows.Status
	Paused  bool
	Note    string // why it is paused
	Started time.Time
	Ended   time.Time // zero: it has not
	// Advance counts the commits that its code has made, Events what they recorded.
	Advance, Events uint64
	History         []workflows.Range
	Attributes      map[string]any
	Memo            []byte // JSON
	Correlation     string
	Result          []byte // JSON
	Err             *workflows.Error
	Parent          string // ID/number
	First, Next     uint64 // of its chain
	Unread          uint64 // entries that have come for it
	Open            []OpenItem
	Busy            bool   // steps are under way, or its code is to be called
	Worker          string // that has it
}

// OpenItem is something that a run waits for.
type OpenItem struct {
	Kind string // timer, request, event, child, delay, timeout
	Seq  uint64
	Due  time.Time // of a timer
	What string    // a request's position, a child's ID/number, an event's type
}

// Run returns a run as it stands.
func (c *Client) Run(ctx context.Context, run RunID, consistency Consistency) (Run, error) {
	request := &edriv1.GetRunRequest{Id: run.ID, Number: run.Number, Consistency: consistency.wire()}
	var m *edriv1.WorkflowRun
	err := c.ask(ctx, func(ctx context.Context, n *server) error {
		response, err := n.workflows.get.CallUnary(ctx, connect.NewRequest(request))
		if err == nil {
			m = response.Msg
		}
		return err
	})
	if err != nil {
		return Run{}, err
	}
	return newRun(m)
}

func newRun(m *edriv1.WorkflowRun) (Run, error) {
	r := Run{
		RunID: RunID{m.Id, m.Number}, Type: m.Type, Version: m.Version, Status: statusNames[m.Status], Paused: m.Paused,
		Note: m.Note, Started: timeOf(m.Started), Ended: timeOf(m.Ended), Advance: m.Advance, Events: m.Events,
		Memo: []byte(m.Memo), Correlation: m.Correlation, Result: []byte(m.Result), Parent: m.Parent,
		First: m.First, Next: m.Next, Unread: m.Unread, Busy: m.Busy, Worker: m.Worker,
		History: rangesOf(m.History),
	}
	for _, o := range m.Open {
		r.Open = append(r.Open, OpenItem{Kind: openNames[o.Kind], Seq: o.Seq, Due: timeOf(o.Due), What: o.What})
	}
	if m.Attributes != "" {
		if err := json.Unmarshal([]byte(m.Attributes), &r.Attributes); err != nil {
			return r, event.Errorf(event.CodeUnavailable, "decode attributes: %v", err)
		}
	}
	var err error
	r.Err, err = runError(m.Error)
	return r, err
}

var openNames = map[edriv1.OpenItem_Kind]string{
	edriv1.OpenItem_TIMER: "timer", edriv1.OpenItem_REQUEST: "request", edriv1.OpenItem_EVENT: "event",
	edriv1.OpenItem_CHILD: "child", edriv1.OpenItem_DELAY: "delay", edriv1.OpenItem_TIMEOUT: "timeout",
}

func rangesOf(list []*edriv1.RevisionRange) []workflows.Range {
	ranges := make([]workflows.Range, len(list))
	for i, r := range list {
		ranges[i] = workflows.Range{From: event.Revision(r.From), To: event.Revision(r.To), Since: event.Position(r.Since)}
	}
	return ranges
}

// Define implements workflows.Cluster.
func (c *Client) Define(ctx context.Context, d workflows.Definition) error {
	m := &edriv1.DefineWorkflow{
		Name: d.Name, Version: d.Version, Description: d.Description,
		RetentionAge: int64(d.RetentionAge), RetentionCount: d.RetentionCount,
	}
	for name, typ := range d.Attributes {
		t, ok := attributeTypes[typ]
		if !ok {
			return event.Errorf(event.CodeInvalid, "attribute %s: there is no type %q", name, typ)
		}
		m.Attributes = append(m.Attributes, &edriv1.WorkflowAttribute{Name: name, Type: t})
	}
	return c.repeat(ctx, func(ctx context.Context, n *server) error {
		_, err := n.workflows.define.CallUnary(ctx, connect.NewRequest(m))
		return err
	})
}

var attributeTypes = map[workflows.AttributeType]edriv1.WorkflowAttribute_Type{
	workflows.TypeString: edriv1.WorkflowAttribute_STRING, workflows.TypeNumber: edriv1.WorkflowAttribute_NUMBER,
	workflows.TypeBool: edriv1.WorkflowAttribute_BOOL, workflows.TypeTime: edriv1.WorkflowAttribute_TIME,
}

// Definitions returns the workflows that are known, in the order of their names.
func (c *Client) Definitions(ctx context.Context) ([]workflows.Definition, error) {
	var list []workflows.Definition
	err := c.ask(ctx, func(ctx context.Context, n *server) error {
		response, err := n.workflows.definitions.CallUnary(ctx, connect.NewRequest(&edriv1.ListWorkflowsRequest{}))
		if err != nil {
			return err
		}
		list = list[:0]
		for _, m := range response.Msg.Workflows {
			d := workflows.Definition{
				Name: m.Name, Version: m.Version, Description: m.Description,
				RetentionAge: time.Duration(m.RetentionAge), RetentionCount: m.RetentionCount,
				Attributes: map[string]workflows.AttributeType{},
			}
			for _, a := range m.Attributes {
				for name, t := range attributeTypes {
					if t == a.Type {
						d.Attributes[a.Name] = name
					}
				}
			}
			list = append(list, d)
		}
		return nil
	})
	return list, err
}

// History implements workflows.Cluster.
func (c *Client) History(ctx context.Context, run string, ranges []workflows.Range) iter.Seq2[event.Recorded, error] {
	return func(yield func(event.Recorded, error) bool) {
		if len(ranges) == 0 {
			return
		}
		rest := ranges
		q := Query{Stream: workflows.HistoryStream(run), From: ranges[0].Since, Consistency: Linearizable}
		for e, err := range c.Read(ctx, q) {
			if err != nil {
				yield(event.Recorded{}, err)
				return
			}
			for len(rest) > 0 && e.Revision > rest[0].To {
				rest = rest[1:]
			}
			if len(rest) == 0 {
				return
			}
			if e.Revision < rest[0].From {
				continue
			}
			if !yield(e, nil) || len(rest) == 1 && e.Revision == rest[0].To {
				return
			}
		}
		if len(rest) > 0 {
			yield(event.Recorded{}, event.Errorf(event.CodeUnavailable, "the history of run %s is not whole", run))
		}
	}
}
