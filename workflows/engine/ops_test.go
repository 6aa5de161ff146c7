package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

// setup returns a plant on whose clock a test sets the time, with the workflow "order".
// At its end the rows are what they may be.
func setup(t *testing.T) (*plant, *int64) {
	t.Helper()
	now := new(int64)
	p := newPlant(t, now)
	t.Cleanup(func() { p.check1(t) })
	p.define("order", 1)
	return p, now
}

// check1 holds the rows to the invariants.
func (p *plant) check1(t failer) {
	t.Helper()
	v := p.core.View()
	defer v.Close()
	invariants(t, v)
}

func signalRun(id, name, input string) *edriv1.Op {
	return &edriv1.Op{Op: &edriv1.Op_SignalRun{SignalRun: &edriv1.SignalRun{Id: id, Signal: &edriv1.RunSignal{Name: name, Input: input}}}}
}

func updateRun(id, update, name, input string) *edriv1.Op {
	return &edriv1.Op{Op: &edriv1.Op_UpdateRun{UpdateRun: &edriv1.UpdateRun{Id: id, UpdateId: update, Name: name, Input: input}}}
}

func cancelRunOp(id, reason string) *edriv1.Op {
	return &edriv1.Op{Op: &edriv1.Op_CancelRun{CancelRun: &edriv1.CancelRun{Id: id, Reason: reason}}}
}

func terminateRun(id, reason string) *edriv1.Op {
	return &edriv1.Op{Op: &edriv1.Op_TerminateRun{TerminateRun: &edriv1.TerminateRun{Id: id, Reason: reason}}}
}

func pauseRun(id string, paused bool, note string) *edriv1.Op {
	return &edriv1.Op{Op: &edriv1.Op_PauseRun{PauseRun: &edriv1.PauseRun{Id: id, Paused: paused, Note: note}}}
}

func retryRun(id string) *edriv1.Op {
	return &edriv1.Op{Op: &edriv1.Op_RetryRun{RetryRun: &edriv1.RetryRun{Id: id}}}
}

// resetRun drops the signals that were not read.
func resetRun(id string, number, revision uint64) *edriv1.Op {
	return &edriv1.Op{Op: &edriv1.Op_ResetRun{ResetRun: &edriv1.ResetRun{Id: id, Number: number, Revision: revision, Reason: "why", DropSignals: true}}}
}

func deleteRun(id string, number uint64) *edriv1.Op {
	return &edriv1.Op{Op: &edriv1.Op_DeleteRun{DeleteRun: &edriv1.DeleteRun{Id: id, Number: number}}}
}

func attr(s string) *edriv1.CloudEvent_CloudEventAttributeValue {
	return &edriv1.CloudEvent_CloudEventAttributeValue{Attr: &edriv1.CloudEvent_CloudEventAttributeValue_CeString{CeString: s}}
}

// cloudEvent is an event with JSON data; kind may be empty.
func cloudEvent(id, typ, kind, data string) *edriv1.CloudEvent {
	e := &edriv1.CloudEvent{Id: id, Source: "tests", SpecVersion: "1.0", Type: typ, Attributes: map[string]*edriv1.CloudEvent_CloudEventAttributeValue{}}
	if kind != "" {
		e.Attributes[event.AttrKind] = attr(kind)
	}
	if data != "" {
		e.Attributes["datacontenttype"] = attr("application/json")
		e.Data = &edriv1.CloudEvent_BinaryData{BinaryData: []byte(data)}
	}
	return e
}

func appendEvent(stream string, e *edriv1.CloudEvent) *edriv1.Op {
	return &edriv1.Op{Op: &edriv1.Op_Append{Append: &edriv1.Append{Stream: stream, Event: e}}}
}

func respondOp(request uint64, e *edriv1.CloudEvent) *edriv1.Op {
	return &edriv1.Op{Op: &edriv1.Op_Respond{Respond: &edriv1.Respond{Request: request, Stream: "answers", Event: e}}}
}

func requestRecord(seq uint64, e *edriv1.CloudEvent, timeout time.Duration) *edriv1.RunRecord {
	r := ownRecord(workflows.KindRequestSent, fmt.Sprintf(`{"seq":%d}`, seq))
	r.Do = &edriv1.RunRecord_SendRequest{SendRequest: &edriv1.SendRunRequest{Seq: seq, Stream: "questions", Event: e, Timeout: int64(timeout)}}
	return r
}

func awaitRecord(seq uint64, typ, match, filter string) *edriv1.RunRecord {
	r := ownRecord(workflows.KindEventAwaited, fmt.Sprintf(`{"seq":%d}`, seq))
	r.Do = &edriv1.RunRecord_AwaitEvent{AwaitEvent: &edriv1.AwaitRunEvent{Seq: seq, Type: typ, Match: match, Filter: filter}}
	return r
}

func childRecord(seq uint64, s *edriv1.StartRun, onClose edriv1.StartChildRun_OnClose) *edriv1.RunRecord {
	r := ownRecord(workflows.KindChildStarted, fmt.Sprintf(`{"seq":%d}`, seq))
	r.Do = &edriv1.RunRecord_StartChild{StartChild: &edriv1.StartChildRun{Seq: seq, Start: s, OnClose: onClose}}
	return r
}

func continueRecord(next *edriv1.StartRun, signals ...*edriv1.RunSignal) *edriv1.RunRecord {
	r := ownRecord(workflows.KindContinued, `{}`)
	r.Do = &edriv1.RunRecord_End{End: &edriv1.EndRun{Status: edriv1.RunStatus_CONTINUED, Next: next, Signals: signals, Insist: true}}
	return r
}

func failRecord(failure string) *edriv1.RunRecord {
	r := ownRecord(workflows.KindFailed, `{"error":`+failure+`}`)
	r.Do = &edriv1.RunRecord_End{End: &edriv1.EndRun{Status: edriv1.RunStatus_FAILED, Error: failure, Insist: true}}
	return r
}

func attributesRecord(text string) *edriv1.RunRecord {
	r := ownRecord(workflows.KindAttributesSet, text)
	r.Do = &edriv1.RunRecord_SetAttributes{SetAttributes: text}
	return r
}

func finishRecord(id, result string) *edriv1.RunRecord {
	r := ownRecord(workflows.KindUpdateCompleted, `{"id":"`+id+`"}`)
	r.Do = &edriv1.RunRecord_FinishUpdate{FinishUpdate: &edriv1.FinishUpdate{Id: id, Result: result}}
	return r
}

// refused is the code with which a commit is refused where it enters, "" where it is not.
func (p *plant) refused(op *edriv1.Op) event.Code {
	p.Helper()
	_, _, err := p.check(op)
	return event.CodeOf(err)
}

// request returns the position of the open request of a run.
func (p *plant) request(number, seq uint64) uint64 {
	p.Helper()
	v := p.core.View()
	defer v.Close()
	row, err := v.Get(machineName, pairKey(kindRequest, number, seq))
	if err != nil || row == nil {
		p.Fatalf("run %d has no request %d: %v", number, seq, err)
	}
	position, _, err := parsePair(row, "")
	if err != nil {
		p.Fatalf("%v", err)
	}
	return position
}
