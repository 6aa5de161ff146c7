package main

import (
	"fmt"
	"time"

	"github.com/edri-io/edri/workflows"
)

// fulfil charges an order, reserves its items, waits for it to be shipped, and completes
// it. Where it comes to nothing, what was done is undone, the last first.
//
// What changes something is called without ctx's cancel: so it is known whether it did,
// and is to be undone.
func (s *shop) fulfil(ctx workflows.Context, o Order) (done Closing, err error) {
	id, certain := workflows.Info(ctx).ID, workflows.WithoutCancel(ctx)
	state := State{Stage: Charging, Address: o.Address}
	answer(ctx, &state)
	workflows.Upsert(ctx, map[string]any{"customer": o.Customer, "total": o.Total})

	workflows.Compensate(ctx, func(ctx workflows.Context) error {
		state.Stage = Cancelled
		_, failed := s.cancel.Do(ctx, Closing{Order: id, Customer: o.Customer, Stage: Cancelled, Why: err.Error()})
		return failed
	})
	payment, err := s.charge.Do(certain, Charge{Order: id, Card: o.Card, Amount: o.Total})
	if err != nil {
		return done, err
	}
	workflows.Compensate(ctx, func(ctx workflows.Context) error {
		_, failed := s.refund.Do(ctx, payment)
		return failed
	})

	state.Stage = Reserving
	if err := s.reserveAll(certain, id, o.Items); err != nil {
		return done, err
	}

	state.Stage = Waiting
	shipment, shipped, err := workflows.Signals[Shipment](ctx, "shipped").ReceiveFor(ctx, time.Duration(o.ShipWithin))
	if err != nil {
		return done, err
	}
	if !shipped {
		return done, workflows.NewError("late", fmt.Sprintf("not shipped within %v", time.Duration(o.ShipWithin)), nil)
	}

	state.Stage = Completed
	return s.complete.Do(certain, Closing{
		Order: id, Customer: o.Customer, Stage: Completed, Address: state.Address,
		Total: o.Total, Payment: payment, Shipment: shipment,
	})
}

// reserveAll reserves the items beside each other. Those that are reserved will be
// released where the order comes to nothing, also where another one is sold out.
func (s *shop) reserveAll(ctx workflows.Context, order string, items []string) error {
	var all []workflows.Awaitable
	for _, item := range items {
		r := Reservation{Order: order, Item: item}
		workflows.Compensate(ctx, func(ctx workflows.Context) error {
			_, err := s.release.Do(ctx, r) // also of what is not reserved
			return err
		})
		all = append(all, s.reserve.Start(ctx, r))
	}
	return workflows.All(ctx, all...)
}

// answer has the query "state" and the update "change-address" answered.
func answer(ctx workflows.Context, state *State) {
	workflows.HandleQuery(ctx, "state", func(struct{}) (State, error) { return *state, nil })
	workflows.HandleUpdate(ctx, "change-address",
		func(_ workflows.Context, to string) (before string, err error) {
			before, state.Address = state.Address, to
			return before, nil
		},
		func(to string) error {
			switch {
			case to == "":
				return workflows.NewError("no_address", "an address must not be empty", nil)
			case state.Stage == Completed || state.Stage == Cancelled:
				return workflows.NewError("too_late", fmt.Sprintf("the order is %s", state.Stage), nil)
			}
			return nil
		})
}
