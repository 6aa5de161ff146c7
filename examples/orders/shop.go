package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/edri-io/edri/workflows"
)

// Buckets of keys.
const (
	orderKeys    = "orders"   // orders/ID: how the order ended
	reservedKeys = "reserved" // reserved/ID/ITEM: for which order
)

// Reservation is an item that is kept for an order.
type Reservation struct {
	Order string `json:"order"`
	Item  string `json:"item"`
}

func (r Reservation) key() string { return r.Order + "/" + r.Item }

// shop has the steps, and what they need.
type shop struct {
	payments *payments
	journal  journal

	charge           workflows.Step[Charge, string]
	refund           workflows.Step[string, struct{}]
	reserve, release workflows.Step[Reservation, struct{}]
	complete, cancel workflows.Step[Closing, Closing]
	count            workflows.Step[Period, Report]
}

func newShop(p *payments, j journal) *shop {
	s := &shop{payments: p, journal: j}
	// Both for as long as it takes: a charge must not be left open.
	patient := workflows.StepOptions{Retry: workflows.Retry{Initial: 200 * time.Millisecond, Max: 10 * time.Second}, StartToClose: 10 * time.Second}
	s.charge = workflows.NewStep("charge", p.charge, patient)
	s.refund = workflows.NewStep("refund", p.refund, patient)
	s.reserve = workflows.NewStep("reserve", reserve, workflows.StepOptions{
		Retry: workflows.Retry{Initial: 100 * time.Millisecond, Attempts: 20, NonRetryable: []string{"sold_out"}},
	})
	s.release = workflows.NewStep("release", release)
	s.complete = workflows.NewStep("complete", closeOrder)
	s.cancel = workflows.NewStep("cancel", closeOrder)
	s.count = workflows.NewStep("count", s.countOrders)
	return s
}

// workflows are what the worker runs.
func (s *shop) workflows() []workflows.Defined {
	return []workflows.Defined{
		workflows.Define("fulfil", 1, s.fulfil, workflows.Options{
			Description: "charges, reserves, waits for the parcel, or undoes it all",
			Attributes:  map[string]workflows.AttributeType{"customer": workflows.TypeString, "total": workflows.TypeNumber},
		}),
		workflows.Define("report", 1, s.report),
	}
}

// reserve stands for a warehouse: it has everything but unicorns, and is asked twice for
// what is rare.
func reserve(ctx context.Context, r Reservation) (struct{}, error) {
	switch {
	case r.Item == "unicorn":
		return struct{}{}, workflows.NewError("sold_out", "there are no unicorns", nil)
	case strings.HasPrefix(r.Item, "rare ") && workflows.Attempt(ctx) == 1:
		return struct{}{}, fmt.Errorf("the warehouse looks for a %s", r.Item)
	}
	workflows.Effects(ctx).Put(reservedKeys, r.key(), r.Order)
	return struct{}{}, nil
}

func release(ctx context.Context, r Reservation) (struct{}, error) {
	workflows.Effects(ctx).Delete(reservedKeys, r.key())
	return struct{}{}, nil
}

// closeOrder tells how an order ended.
func closeOrder(ctx context.Context, c Closing) (Closing, error) {
	made := workflows.Effects(ctx)
	made.Emit("orders", "order."+string(c.Stage), c)
	made.Put(orderKeys, c.Order, c)
	return c, nil
}
