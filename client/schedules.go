package client

import (
	"context"
	"iter"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/api/edriv1/edriv1connect"
	"github.com/edri-io/edri/event"
)

// schedules are a node's procedures that have to do with them.
type schedules struct {
	create      *connect.Client[edriv1.CreateSchedule, edriv1.Schedule]
	update      *connect.Client[edriv1.UpdateSchedule, edriv1.Schedule]
	delete      *connect.Client[edriv1.DeleteSchedule, edriv1.DeleteScheduleResponse]
	pause       *connect.Client[edriv1.PauseSchedule, edriv1.Schedule]
	trigger     *connect.Client[edriv1.TriggerSchedule, edriv1.ScheduleFired]
	backfill    *connect.Client[edriv1.BackfillSchedule, edriv1.BackfillBegun]
	get         *connect.Client[edriv1.GetScheduleRequest, edriv1.Schedule]
	list        *connect.Client[edriv1.ListSchedulesRequest, edriv1.ListSchedulesResponse]
	preview     *connect.Client[edriv1.PreviewScheduleRequest, edriv1.PreviewScheduleResponse]
	appendLater *connect.Client[edriv1.AppendLater, edriv1.AppendsLater]
	cancelLater *connect.Client[edriv1.CancelLater, edriv1.CancelLaterResponse]
}

func newSchedules(h connect.HTTPClient, url string, options connect.ClientOption) schedules {
	return schedules{
		create:      connect.NewClient[edriv1.CreateSchedule, edriv1.Schedule](h, url+edriv1connect.SchedulesCreateProcedure, options),
		update:      connect.NewClient[edriv1.UpdateSchedule, edriv1.Schedule](h, url+edriv1connect.SchedulesUpdateProcedure, options),
		delete:      connect.NewClient[edriv1.DeleteSchedule, edriv1.DeleteScheduleResponse](h, url+edriv1connect.SchedulesDeleteProcedure, options),
		pause:       connect.NewClient[edriv1.PauseSchedule, edriv1.Schedule](h, url+edriv1connect.SchedulesPauseProcedure, options),
		trigger:     connect.NewClient[edriv1.TriggerSchedule, edriv1.ScheduleFired](h, url+edriv1connect.SchedulesTriggerProcedure, options),
		backfill:    connect.NewClient[edriv1.BackfillSchedule, edriv1.BackfillBegun](h, url+edriv1connect.SchedulesBackfillProcedure, options),
		get:         connect.NewClient[edriv1.GetScheduleRequest, edriv1.Schedule](h, url+edriv1connect.SchedulesGetProcedure, options),
		list:        connect.NewClient[edriv1.ListSchedulesRequest, edriv1.ListSchedulesResponse](h, url+edriv1connect.SchedulesListProcedure, options),
		preview:     connect.NewClient[edriv1.PreviewScheduleRequest, edriv1.PreviewScheduleResponse](h, url+edriv1connect.SchedulesPreviewProcedure, options),
		appendLater: connect.NewClient[edriv1.AppendLater, edriv1.AppendsLater](h, url+edriv1connect.SchedulesAppendLaterProcedure, options),
		cancelLater: connect.NewClient[edriv1.CancelLater, edriv1.CancelLaterResponse](h, url+edriv1connect.SchedulesCancelLaterProcedure, options),
	}
}

// CreateSchedule makes a schedule, or fails with exists. One of the same spec that is
// there after an answer was lost counts as made.
func (c *Client) CreateSchedule(ctx context.Context, name string, spec ScheduleSpec) (Schedule, error) {
	m, err := specMessage(spec)
	if err != nil {
		return Schedule{}, err
	}
	request := &edriv1.CreateSchedule{Name: name, Spec: m}
	s, unsure, err := c.changeSchedule(ctx, func(ctx context.Context, n *server) (*connect.Response[edriv1.Schedule], error) {
		return n.schedules.create.CallUnary(ctx, connect.NewRequest(request))
	})
	if unsure && event.CodeOf(err) == event.CodeExists {
		if there, failed := c.schedule(ctx, name, Linearizable); failed == nil && proto.Equal(there.Spec, m) {
			return newSchedule(there)
		}
	}
	return s, err
}

// UpdateSchedule replaces the spec, from now on. Where revision is not 0 and the schedule
// has another, it fails with revision_conflict. Incarnation, counters and pause stay.
func (c *Client) UpdateSchedule(ctx context.Context, name string, revision uint64, spec ScheduleSpec) (Schedule, error) {
	m, err := specMessage(spec)
	if err != nil {
		return Schedule{}, err
	}
	request := &edriv1.UpdateSchedule{Name: name, Spec: m, Revision: revision}
	s, unsure, err := c.changeSchedule(ctx, func(ctx context.Context, n *server) (*connect.Response[edriv1.Schedule], error) {
		return n.schedules.update.CallUnary(ctx, connect.NewRequest(request))
	})
	if unsure && event.CodeOf(err) == event.CodeRevisionConflict {
		there, failed := c.schedule(ctx, name, Linearizable)
		if failed == nil && there.Revision == revision+1 && proto.Equal(there.Spec, m) {
			return newSchedule(there)
		}
	}
	return s, err
}

// PauseSchedule stops a schedule; note says why, for whoever looks.
func (c *Client) PauseSchedule(ctx context.Context, name, note string) (Schedule, error) {
	return c.pauseSchedule(ctx, &edriv1.PauseSchedule{Name: name, Paused: true, Note: note})
}

// ResumeSchedule lets a schedule go on, with the times after now.
func (c *Client) ResumeSchedule(ctx context.Context, name string) (Schedule, error) {
	return c.pauseSchedule(ctx, &edriv1.PauseSchedule{Name: name})
}

func (c *Client) pauseSchedule(ctx context.Context, request *edriv1.PauseSchedule) (Schedule, error) {
	s, _, err := c.changeSchedule(ctx, func(ctx context.Context, n *server) (*connect.Response[edriv1.Schedule], error) {
		return n.schedules.pause.CallUnary(ctx, connect.NewRequest(request))
	})
	return s, err
}

// changeSchedule is repeat for calls that answer with the schedule. unsure: an answer was
// lost on the way.
func (c *Client) changeSchedule(ctx context.Context,
	call func(context.Context, *server) (*connect.Response[edriv1.Schedule], error),
) (s Schedule, unsure bool, err error) {
	err = c.repeat(ctx, func(ctx context.Context, n *server) error {
		response, err := call(ctx, n)
		if err == nil {
			s, err = newSchedule(response.Msg)
			return err
		}
		unsure = unsure || mayHaveHappened(err)
		return err
	})
	return s, unsure, err
}

// DeleteSchedule ends a schedule. One that is not there after an answer was lost counts
// as deleted.
func (c *Client) DeleteSchedule(ctx context.Context, name string) error {
	request := &edriv1.DeleteSchedule{Name: name}
	unsure := false
	err := c.repeat(ctx, func(ctx context.Context, n *server) error {
		_, err := n.schedules.delete.CallUnary(ctx, connect.NewRequest(request))
		unsure = unsure || mayHaveHappened(err)
		return err
	})
	if unsure && event.CodeOf(err) == event.CodeNotFound {
		return nil
	}
	return err
}

// Trigger fires a schedule now, also a paused one. After an outcome_unknown it may have
// fired; to do it again fires it again.
func (c *Client) Trigger(ctx context.Context, name string) (f Fired, err error) {
	request := &edriv1.TriggerSchedule{Name: name}
	err = c.once(ctx, func(ctx context.Context, n *server) error {
		response, err := n.schedules.trigger.CallUnary(ctx, connect.NewRequest(request))
		if err == nil {
			f = Fired{ID: response.Msg.Id, Position: event.Position(response.Msg.Position), Reason: response.Msg.Reason}
		}
		return err
	})
	return f, err
}

// Backfill begins to fire a schedule for its times in a range that has passed, both
// included, and returns the batch that the ids of these fires have. After an
// outcome_unknown it may have begun; to do it again fires them again.
func (c *Client) Backfill(ctx context.Context, name string, from, to time.Time) (batch uint64, err error) {
	request := &edriv1.BackfillSchedule{Name: name, From: nanoseconds(from), To: nanoseconds(to)}
	err = c.once(ctx, func(ctx context.Context, n *server) error {
		response, err := n.schedules.backfill.CallUnary(ctx, connect.NewRequest(request))
		if err == nil {
			batch = response.Msg.Batch
		}
		return err
	})
	return batch, err
}

// Schedule returns one schedule, or not_found.
func (c *Client) Schedule(ctx context.Context, name string, consistency Consistency) (Schedule, error) {
	m, err := c.schedule(ctx, name, consistency)
	if err != nil {
		return Schedule{}, err
	}
	return newSchedule(m)
}

func (c *Client) schedule(ctx context.Context, name string, consistency Consistency) (m *edriv1.Schedule, err error) {
	if err := event.CheckName("schedule", name); err != nil {
		return nil, err
	}
	request := &edriv1.GetScheduleRequest{Name: name, Consistency: consistency.wire()}
	err = c.ask(ctx, func(ctx context.Context, n *server) error {
		response, err := n.schedules.get.CallUnary(ctx, connect.NewRequest(request))
		if err == nil {
			m = response.Msg
		}
		return err
	})
	return m, err
}

// Schedules returns the schedules whose names begin with prefix, in the order of their
// names' bytes. The sequence ends after the first error.
func (c *Client) Schedules(ctx context.Context, prefix string, consistency Consistency) iter.Seq2[Schedule, error] {
	return func(yield func(Schedule, error) bool) {
		request := &edriv1.ListSchedulesRequest{Prefix: prefix, Consistency: consistency.wire()}
		for more := true; more; {
			var page *edriv1.ListSchedulesResponse
			err := c.ask(ctx, func(ctx context.Context, n *server) error {
				response, err := n.schedules.list.CallUnary(ctx, connect.NewRequest(request))
				if err == nil {
					page = response.Msg
				}
				return err
			})
			if err != nil {
				yield(Schedule{}, err)
				return
			}
			for _, m := range page.Schedules {
				s, err := newSchedule(m)
				if !yield(s, err) || err != nil {
					return
				}
				request.After = m.Name
			}
			more = page.More && len(page.Schedules) > 0
		}
	}
}

// PreviewSchedule returns the times after another (zero: now) at which a schedule fires,
// up to n; 1 to 1,000.
func (c *Client) PreviewSchedule(ctx context.Context, name string, after time.Time, n int) ([]time.Time, error) {
	return c.preview(ctx, &edriv1.PreviewScheduleRequest{Name: name, After: nanoseconds(after), Count: uint32(max(n, 0))})
}

// PreviewSpec is PreviewSchedule for a schedule that would be made then.
func (c *Client) PreviewSpec(ctx context.Context, spec ScheduleSpec, after time.Time, n int) ([]time.Time, error) {
	m, err := specMessage(spec)
	if err != nil {
		return nil, err
	}
	return c.preview(ctx, &edriv1.PreviewScheduleRequest{Spec: m, After: nanoseconds(after), Count: uint32(max(n, 0))})
}

func (c *Client) preview(ctx context.Context, request *edriv1.PreviewScheduleRequest) (times []time.Time, err error) {
	err = c.ask(ctx, func(ctx context.Context, n *server) error {
		response, err := n.schedules.preview.CallUnary(ctx, connect.NewRequest(request))
		if err == nil {
			times = times[:0]
			for _, t := range response.Msg.Times {
				times = append(times, time.Unix(0, t).UTC())
			}
		}
		return err
	})
	return times, err
}
