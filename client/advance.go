package client

import (
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

func advanceMessage(a *workflows.Advance) (*edriv1.AdvanceRun, error) {
	m := &edriv1.AdvanceRun{Id: a.Run, Number: a.Number, Advance: a.Advance, Nonce: a.Nonce, Busy: a.Busy,
		CarryFrom: uint64(a.CarryFrom), Unreceived: uint64(a.Unreceived), UnreceivedBytes: uint64(a.UnreceivedBytes),
		Records: make([]*edriv1.RunRecord, len(a.Records))}
	if a.Block != nil {
		m.Block = &edriv1.RunBlock{Reason: a.Block.Reason, Details: string(a.Block.Details)}
	}
	for i := range a.Carry {
		m.Carry = append(m.Carry, signalMessage(&a.Carry[i]))
	}
	for i := range a.Records {
		var err error
		if m.Records[i], err = recordMessage(&a.Records[i]); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func recordMessage(r *workflows.Record) (*edriv1.RunRecord, error) {
	m := &edriv1.RunRecord{Entry: r.Entry}
	var err error
	if r.Entry != 0 {
		m.Reject, err = errorText(r.Reject)
		return m, err
	}
	m.Kind, m.Time, m.Data = r.Kind, r.Time.UnixNano(), string(r.Data)
	return m, setCommand(m, r.Do)
}

func errorText(e *workflows.Error) (string, error) {
	if e == nil {
		return "", nil
	}
	b, err := json.Marshal(e)
	return string(b), err
}

func setCommand(m *edriv1.RunRecord, command workflows.Command) (err error) {
	switch c := command.(type) {
	case nil:
	case workflows.SetTimer:
		m.Do = &edriv1.RunRecord_SetTimer{SetTimer: &edriv1.SetRunTimer{Seq: c.Seq, After: int64(c.After)}}
	case workflows.CancelTimer:
		m.Do = &edriv1.RunRecord_CancelTimer{CancelTimer: c.Seq}
	case workflows.SendRequest:
		var e *edriv1.CloudEvent
		if e, err = eventMessage(&c.Event); err == nil {
			m.Do = &edriv1.RunRecord_SendRequest{SendRequest: &edriv1.SendRunRequest{Seq: c.Seq, Stream: c.Stream, Event: e, Timeout: int64(c.Timeout)}}
		}
	case workflows.DropRequest:
		m.Do = &edriv1.RunRecord_DropRequest{DropRequest: c.Seq}
	case workflows.AwaitEvent:
		m.Do, err = awaitMessage(&c)
	case workflows.DropEvent:
		m.Do = &edriv1.RunRecord_DropEvent{DropEvent: c.Seq}
	case workflows.StartChild:
		m.Do, err = childMessage(&c)
	case workflows.CancelChild:
		m.Do = &edriv1.RunRecord_CancelChild{CancelChild: &edriv1.CancelChildRun{Seq: c.Seq, Reason: c.Reason}}
	case workflows.FinishUpdate:
		f := &edriv1.FinishUpdate{Id: c.ID, Result: string(c.Result)}
		f.Error, err = errorText(c.Err)
		m.Do = &edriv1.RunRecord_FinishUpdate{FinishUpdate: f}
	case workflows.SetAttributes:
		var b []byte
		b, err = json.Marshal(c.Attributes)
		m.Do = &edriv1.RunRecord_SetAttributes{SetAttributes: string(b)}
	case workflows.End:
		m.Do, err = endMessage(&c)
	default:
		err = fmt.Errorf("a record does %T", command)
	}
	return err
}

func eventMessage(e *event.Event) (*edriv1.CloudEvent, error) {
	b, err := event.AppendValid(nil, e)
	if err != nil {
		return nil, err
	}
	m := new(edriv1.CloudEvent)
	return m, proto.Unmarshal(b, m)
}

func awaitMessage(c *workflows.AwaitEvent) (*edriv1.RunRecord_AwaitEvent, error) {
	a := &edriv1.AwaitRunEvent{Seq: c.Seq, Type: c.Type}
	if c.Filter != nil && !c.Filter.IsZero() {
		b, err := json.Marshal(c.Filter)
		if err != nil {
			return nil, err
		}
		a.Filter = string(b)
	}
	if len(c.Match) > 0 {
		b, err := json.Marshal(c.Match)
		if err != nil {
			return nil, err
		}
		a.Match = string(b)
	}
	return &edriv1.RunRecord_AwaitEvent{AwaitEvent: a}, nil
}

var closePolicies = map[workflows.ClosePolicy]edriv1.StartChildRun_OnClose{
	"": edriv1.StartChildRun_TERMINATE, workflows.CloseTerminate: edriv1.StartChildRun_TERMINATE,
	workflows.CloseCancel: edriv1.StartChildRun_CANCEL, workflows.CloseAbandon: edriv1.StartChildRun_ABANDON,
}

func childMessage(c *workflows.StartChild) (*edriv1.RunRecord_StartChild, error) {
	onClose, ok := closePolicies[c.OnClose]
	if !ok {
		return nil, event.Errorf(event.CodeInvalid, "on close: there is no policy %q", c.OnClose)
	}
	start, err := runStartMessage(c.Start)
	return &edriv1.RunRecord_StartChild{StartChild: &edriv1.StartChildRun{Seq: c.Seq, Start: start, OnClose: onClose}}, err
}

func endMessage(c *workflows.End) (*edriv1.RunRecord_End, error) {
	m := &edriv1.EndRun{Result: string(c.Result), Insist: c.Insist, Carried: uint64(c.Carried)}
	for s, name := range statusNames {
		if name == c.Status {
			m.Status = s
		}
	}
	var err error
	if m.Error, err = errorText(c.Err); err != nil {
		return nil, err
	}
	if c.Next != nil {
		if m.Next, err = runStartMessage(*c.Next); err != nil {
			return nil, err
		}
	}
	for i := range c.Signals {
		m.Signals = append(m.Signals, signalMessage(&c.Signals[i]))
	}
	return &edriv1.RunRecord_End{End: m}, nil
}
