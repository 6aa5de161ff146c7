package api

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/api/edriv1/wire"
	"github.com/edri-io/edri/cron"
	"github.com/edri-io/edri/event"
)

type (
	createScheduleFrame = wire.Frame[edriv1.CreateSchedule]
	updateScheduleFrame = wire.Frame[edriv1.UpdateSchedule]
	deleteScheduleFrame = wire.Frame[edriv1.DeleteSchedule]
	pauseScheduleFrame  = wire.Frame[edriv1.PauseSchedule]
	triggerFrame        = wire.Frame[edriv1.TriggerSchedule]
	backfillFrame       = wire.Frame[edriv1.BackfillSchedule]
	scheduledOf         = wire.Frame[edriv1.GetScheduleRequest]
	scheduledList       = wire.Frame[edriv1.ListSchedulesRequest]
	previewFrame        = wire.Frame[edriv1.PreviewScheduleRequest]
	laterFrame          = wire.Frame[edriv1.AppendLater]
	cancelLaterFrame    = wire.Frame[edriv1.CancelLater]
)

// Operations of schedules, as numbered in edri.v1.Op.
const (
	opCreateSchedule   = 50
	opUpdateSchedule   = 51
	opDeleteSchedule   = 52
	opPauseSchedule    = 53
	opTriggerSchedule  = 54
	opBackfillSchedule = 55
	opAppendLater      = 56
	opCancelLater      = 57
)

// Bounds of one Preview.
const (
	defaultPreview = 10
	maxPreview     = 1000
)

func (s *service) createSchedule(ctx context.Context, f *createScheduleFrame) (*edriv1.Schedule, error) {
	request, err := f.Message()
	if err != nil {
		return nil, invalid(err)
	}
	return s.changeSchedule(ctx, opCreateSchedule, f.Bytes, request.Name)
}

func (s *service) updateSchedule(ctx context.Context, f *updateScheduleFrame) (*edriv1.Schedule, error) {
	request, err := f.Message()
	if err != nil {
		return nil, invalid(err)
	}
	return s.changeSchedule(ctx, opUpdateSchedule, f.Bytes, request.Name)
}

func (s *service) pauseSchedule(ctx context.Context, f *pauseScheduleFrame) (*edriv1.Schedule, error) {
	request, err := f.Message()
	if err != nil {
		return nil, invalid(err)
	}
	return s.changeSchedule(ctx, opPauseSchedule, f.Bytes, request.Name)
}

// changeSchedule executes an operation and returns how the schedule is then.
func (s *service) changeSchedule(ctx context.Context, op int32, body []byte, name string) (*edriv1.Schedule, error) {
	if _, err := s.execute(ctx, wire.AppendOp(nil, op, body, nil)); err != nil {
		return nil, err
	}
	return s.schedule(name)
}

func (s *service) deleteSchedule(ctx context.Context, f *deleteScheduleFrame) (*edriv1.DeleteScheduleResponse, error) {
	if _, err := f.Message(); err != nil {
		return nil, invalid(err)
	}
	if _, err := s.execute(ctx, wire.AppendOp(nil, opDeleteSchedule, f.Bytes, nil)); err != nil {
		return nil, err
	}
	return &edriv1.DeleteScheduleResponse{}, nil
}

func (s *service) triggerSchedule(ctx context.Context, f *triggerFrame) (*edriv1.ScheduleFired, error) {
	if _, err := f.Message(); err != nil {
		return nil, invalid(err)
	}
	r, err := s.executeOp(ctx, opTriggerSchedule, f.Bytes)
	if err != nil {
		return nil, err
	}
	return r.GetScheduleFired(), nil
}

func (s *service) backfillSchedule(ctx context.Context, f *backfillFrame) (*edriv1.BackfillBegun, error) {
	if _, err := f.Message(); err != nil {
		return nil, invalid(err)
	}
	r, err := s.executeOp(ctx, opBackfillSchedule, f.Bytes)
	if err != nil {
		return nil, err
	}
	return r.GetBackfillBegun(), nil
}

func (s *service) appendLater(ctx context.Context, f *laterFrame) (*edriv1.AppendsLater, error) {
	if _, err := f.Message(); err != nil {
		return nil, invalid(err)
	}
	r, err := s.executeOp(ctx, opAppendLater, f.Bytes)
	if err != nil {
		return nil, err
	}
	return r.GetAppendsLater(), nil
}

func (s *service) cancelLater(ctx context.Context, f *cancelLaterFrame) (*edriv1.CancelLaterResponse, error) {
	if _, err := f.Message(); err != nil {
		return nil, invalid(err)
	}
	if _, err := s.execute(ctx, wire.AppendOp(nil, opCancelLater, f.Bytes, nil)); err != nil {
		return nil, err
	}
	return &edriv1.CancelLaterResponse{}, nil
}

func (s *service) getSchedule(ctx context.Context, f *scheduledOf) (*edriv1.Schedule, error) {
	request, err := f.Message()
	if err != nil {
		return nil, invalid(err)
	}
	fresh, err := newFreshness(request.Consistency, 0)
	if err != nil {
		return nil, err
	}
	if err := s.await(ctx, fresh); err != nil {
		return nil, err
	}
	return s.schedule(request.Name)
}

func (s *service) schedule(name string) (*edriv1.Schedule, error) {
	v := s.cfg.Node.View()
	defer v.Close()
	schedule, err := cron.ScheduleOf(v, name)
	if err != nil {
		return nil, err
	}
	return scheduleMessage(&schedule)
}

func (s *service) listSchedules(ctx context.Context, f *scheduledList) (*edriv1.ListSchedulesResponse, error) {
	request, err := f.Message()
	if err != nil {
		return nil, invalid(err)
	}
	limit, err := listed("schedules", request.Limit, defaultStreams, maxListed)
	if err != nil {
		return nil, err
	}
	if err := checkPrefix("prefix", request.Prefix); err != nil {
		return nil, err
	}
	if err := checkPrefix("after", request.After); err != nil {
		return nil, err
	}
	fresh, err := newFreshness(request.Consistency, 0)
	if err != nil {
		return nil, err
	}
	if err := s.await(ctx, fresh); err != nil {
		return nil, err
	}
	v := s.cfg.Node.View()
	defer v.Close()
	response := &edriv1.ListSchedulesResponse{}
	for schedule, err := range cron.Schedules(v, request.Prefix, request.After) {
		if err != nil {
			return nil, err
		}
		if response.More = len(response.Schedules) == limit; response.More {
			break
		}
		m, err := scheduleMessage(&schedule)
		if err != nil {
			return nil, err
		}
		response.Schedules = append(response.Schedules, m)
	}
	return response, nil
}

func (s *service) previewSchedule(ctx context.Context, f *previewFrame) (*edriv1.PreviewScheduleResponse, error) {
	request, err := f.Message()
	if err != nil {
		return nil, invalid(err)
	}
	count, err := listed("times", request.Count, defaultPreview, maxPreview)
	if err != nil {
		return nil, err
	}
	if (request.Name == "") == (request.Spec == nil) {
		return nil, event.Errorf(event.CodeInvalid, "a preview is of a name or of a spec")
	}
	after := request.After
	if after == 0 {
		after = time.Now().UnixNano()
	}
	var times []int64
	if request.Spec != nil {
		times, err = s.previewSpec(request.Spec, after, count)
	} else {
		times, err = s.previewName(ctx, request.Name, after, count)
	}
	return &edriv1.PreviewScheduleResponse{Times: times}, err
}

func (s *service) previewSpec(m *edriv1.ScheduleSpec, after int64, count int) ([]int64, error) {
	b, err := proto.Marshal(m)
	if err != nil {
		return nil, invalid(err)
	}
	spec, err := s.cfg.Schedules.ParseSpec(b)
	if err != nil {
		return nil, err
	}
	return spec.Preview(after, count)
}

func (s *service) previewName(ctx context.Context, name string, after int64, count int) ([]int64, error) {
	if err := s.await(ctx, freshness{linearizable: true}); err != nil {
		return nil, err
	}
	v := s.cfg.Node.View()
	defer v.Close()
	schedule, err := cron.ScheduleOf(v, name)
	if err != nil {
		return nil, err
	}
	return schedule.Preview(after, count)
}

func scheduleMessage(s *cron.Schedule) (*edriv1.Schedule, error) {
	m := &edriv1.Schedule{
		Name: s.Name, Spec: new(edriv1.ScheduleSpec), Incarnation: s.Incarnation, Revision: s.Revision,
		Paused: s.Paused, Note: s.Note, Ended: s.Ended, Next: s.Next, NextDue: s.Due, Through: s.Through, Left: s.Left,
		Fired: s.Fired, Skipped: s.Skipped, Missed: s.Missed, Late: s.Late, Failed: s.Failed,
		Running: uint32(s.Running), Buffered: uint32(s.Buffered), Created: s.Created,
	}
	return m, proto.Unmarshal(s.Wire, m.Spec)
}
