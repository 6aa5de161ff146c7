package client

import (
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
)

// placeholder stands for the id, and source, that an event of a schedule does not have.
const placeholder = "none"

func specMessage(s ScheduleSpec) (*edriv1.ScheduleSpec, error) {
	m := &edriv1.ScheduleSpec{
		Cron: s.Cron, Every: int64(s.Every), At: nanoseconds(s.At), Zone: s.Zone,
		ExcludeDates: s.ExcludeDates, ExcludeCron: s.ExcludeCron, Jitter: int64(s.Jitter),
		Start: nanoseconds(s.Start), End: nanoseconds(s.End), Limit: s.Limit,
		Overlap: edriv1.ScheduleSpec_Overlap(s.Overlap), CatchUp: edriv1.ScheduleSpec_CatchUp(s.CatchUp),
		CatchUpCap: uint32(max(s.CatchUpCap, 0)), CatchUpWindow: int64(s.CatchUpWindow), Description: s.Description,
	}
	a := s.Action
	if a.Keys != nil {
		if a.Request || a.Stream != "" || a.Event.Type != "" {
			return nil, event.Errorf(event.CodeInvalid, "action: changes keys, and has an event too")
		}
		m.Action = &edriv1.ScheduleAction{Action: &edriv1.ScheduleAction_Keys{Keys: keyTxnMessage(*a.Keys)}}
		return m, nil
	}
	if a.Start != nil {
		if a.Request || a.Stream != "" || a.Event.Type != "" {
			return nil, event.Errorf(event.CodeInvalid, "action: starts a run, and has an event too")
		}
		start, err := runStartMessage(*a.Start)
		m.Action = &edriv1.ScheduleAction{Action: &edriv1.ScheduleAction_Start{Start: start}}
		return m, err
	}
	if a.Event.ID != "" || !a.Event.Time.IsZero() {
		return nil, event.Errorf(event.CodeInvalid, "action: its event has an id or a time; each fire gives it its own")
	}
	e, err := templateMessage(a.Event)
	if err != nil {
		return nil, err
	}
	m.Action = &edriv1.ScheduleAction{}
	if a.Request {
		m.Action.Action = &edriv1.ScheduleAction_Request{Request: &edriv1.RequestAction{Stream: a.Stream, Event: e, Timeout: int64(a.Timeout)}}
	} else {
		m.Action.Action = &edriv1.ScheduleAction_Append{Append: &edriv1.AppendAction{Stream: a.Stream, Event: e}}
	}
	return m, nil
}

// templateMessage makes the message of an event without id, and maybe without source.
func templateMessage(e event.Event) (*edriv1.CloudEvent, error) {
	sourced := e.Source != ""
	if e.ID = placeholder; !sourced {
		e.Source = placeholder
	}
	b, err := event.AppendValid(nil, &e)
	if err != nil {
		return nil, err
	}
	m := new(edriv1.CloudEvent)
	if err := proto.Unmarshal(b, m); err != nil {
		return nil, event.Errorf(event.CodeInternal, "encode event: %v", err)
	}
	if m.Id = ""; !sourced {
		m.Source = ""
	}
	return m, nil
}

// templateOf is the other way of templateMessage.
func templateOf(m *edriv1.CloudEvent) (event.Event, error) {
	sourced := m.GetSource() != ""
	m = proto.CloneOf(m)
	if m.Id = placeholder; !sourced {
		m.Source = placeholder
	}
	b, err := proto.Marshal(m)
	if err != nil {
		return event.Event{}, err
	}
	e, err := event.DecodeEvent(b)
	if e.ID = ""; !sourced {
		e.Source = ""
	}
	return e, err
}

func timeOf(nanoseconds int64) time.Time {
	if nanoseconds == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanoseconds).UTC()
}

func newSchedule(m *edriv1.Schedule) (Schedule, error) {
	s := Schedule{
		Name: m.Name, Incarnation: m.Incarnation, Revision: m.Revision, Created: timeOf(m.Created),
		Paused: m.Paused, Note: m.Note, Ended: m.Ended, Next: timeOf(m.Next), Due: timeOf(m.NextDue), Left: m.Left,
		Fired: m.Fired, Skipped: m.Skipped, Missed: m.Missed, Late: m.Late, Failed: m.Failed,
		Running: int(m.Running), Buffered: int(m.Buffered),
	}
	spec := m.GetSpec()
	s.Spec = ScheduleSpec{
		Cron: spec.GetCron(), Every: time.Duration(spec.GetEvery()), At: timeOf(spec.GetAt()), Zone: spec.GetZone(),
		ExcludeDates: spec.GetExcludeDates(), ExcludeCron: spec.GetExcludeCron(), Jitter: time.Duration(spec.GetJitter()),
		Start: timeOf(spec.GetStart()), End: timeOf(spec.GetEnd()), Limit: spec.GetLimit(),
		Overlap: Overlap(spec.GetOverlap()), CatchUp: CatchUp(spec.GetCatchUp()),
		CatchUpCap: int(spec.GetCatchUpCap()), CatchUpWindow: time.Duration(spec.GetCatchUpWindow()), Description: spec.GetDescription(),
	}
	a := &s.Spec.Action
	var template *edriv1.CloudEvent
	switch action := spec.GetAction().GetAction().(type) {
	case *edriv1.ScheduleAction_Append:
		a.Stream, template = action.Append.Stream, action.Append.Event
	case *edriv1.ScheduleAction_Request:
		a.Stream, template, a.Request, a.Timeout = action.Request.Stream, action.Request.Event, true, time.Duration(action.Request.Timeout)
	case *edriv1.ScheduleAction_Keys:
		a.Keys = newKeyTxn(action.Keys)
		return s, nil
	case *edriv1.ScheduleAction_Start:
		start, err := runStartOf(action.Start)
		a.Start = &start
		return s, err
	default:
		// A server of a later version knows actions that this client does not.
		return s, nil
	}
	var err error
	if a.Event, err = templateOf(template); err != nil {
		return s, event.Errorf(event.CodeInternal, "decode event of schedule %q: %v", m.Name, err)
	}
	return s, nil
}
