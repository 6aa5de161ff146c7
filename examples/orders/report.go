package main

import (
	"context"
	"iter"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

// Period is the input of the workflow report: from when on; zero: from the beginning.
type Period struct {
	Since time.Time `json:"since,omitzero"`
}

// Report is its result, and the data of the event orders.reported.
type Report struct {
	Until     time.Time `json:"until"`
	Completed int       `json:"completed"`
	Cancelled int       `json:"cancelled"`
}

// journal is what a report reads.
type journal interface {
	Read(ctx context.Context, q client.Query) iter.Seq2[event.Recorded, error]
}

// scheduleReports has the cluster start a report at regular times, if it does not yet.
func scheduleReports(ctx context.Context, c *client.Client, every time.Duration) error {
	_, err := c.CreateSchedule(ctx, "orders-report", client.ScheduleSpec{
		Every: every, Description: "counts all orders", Action: client.ScheduleAction{Start: &workflows.Start{Type: "report"}},
	})
	if event.CodeOf(err) == event.CodeExists {
		return nil
	}
	return err
}

func (s *shop) report(ctx workflows.Context, p Period) (Report, error) { return s.count.Do(ctx, p) }

// countOrders counts the orders that ended.
func (s *shop) countOrders(ctx context.Context, p Period) (Report, error) {
	r := Report{Until: time.Now().UTC()}
	for e, err := range s.journal.Read(ctx, client.Query{Stream: "orders", Since: p.Since, Until: r.Until}) {
		if err != nil {
			return r, err
		}
		switch e.Type {
		case "order.completed":
			r.Completed++
		case "order.cancelled":
			r.Cancelled++
		}
	}
	workflows.Effects(ctx).Emit("reports", "orders.reported", r)
	return r, nil
}
