package main

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
	"github.com/edri-io/edri/workflows/workflowstest"
)

// opened is a shop with its cluster in memory and its payment service, in a bubble of
// virtual time.
type opened struct {
	*testing.T
	*workflowstest.Cluster
	service *service
}

// Read implements journal.
func (o *opened) Read(_ context.Context, q client.Query) iter.Seq2[event.Recorded, error] {
	return func(yield func(event.Recorded, error) bool) {
		for _, e := range o.Stream(q.Stream) {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// RoundTrip is how the shop reaches its payment service: there is no network in a bubble.
func (o *opened) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	o.service.handler().ServeHTTP(w, r)
	return w.Result(), nil
}

func open(t *testing.T, f func(o *opened)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o := &opened{T: t, Cluster: workflowstest.NewCluster(), service: newService(time.Second)}
		p := &payments{url: "http://payments", client: &http.Client{Transport: o}}
		runner, err := workflows.NewRunner(workflows.Config{}, newShop(p, o).workflows()...)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var worker sync.WaitGroup
		worker.Go(func() {
			if err := runner.Run(ctx, o.Cluster); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		f(o)
		stop()
		worker.Wait()
	})
}

func (o *opened) order(id string, change func(*Order)) {
	o.Helper()
	order := Order{Customer: "c-17", Card: "4242", Address: "dock 1", Items: []string{"lamp", "rare shade"}, Total: 1999, ShipWithin: Duration(48 * time.Hour)}
	if change != nil {
		change(&order)
	}
	input, err := json.Marshal(order)
	if err != nil {
		o.Fatal(err)
	}
	if _, err := o.Start(workflows.Start{ID: id, Type: "fulfil", Input: input}); err != nil {
		o.Fatal(err)
	}
}

// ended waits for an order's end, and holds it, its event, its key, its reservations and
// its payments to each other.
func (o *opened) ended(id string, status workflows.Status, why string, charged, refunded int) {
	o.Helper()
	r, err := o.Wait(o.Context(), id)
	if err != nil {
		o.Fatal(err)
	}
	if r.Status != status || r.Err != nil && r.Err.Type != why {
		o.Errorf("%s is %s: %v; want %s: %s", id, r.Status, r.Err, status, why)
	}
	stage := Cancelled
	if status == workflows.Completed {
		stage = Completed
	}
	var events []string
	for _, e := range o.Stream("orders") {
		var c Closing
		if err := json.Unmarshal(e.Data, &c); err != nil {
			o.Fatal(err)
		}
		if c.Order == id {
			events = append(events, e.Type)
		}
	}
	if want := []string{"order." + string(stage)}; !slices.Equal(events, want) {
		o.Errorf("events of %s: %q, want %q", id, events, want)
	}
	var c Closing
	if k, ok := o.Key(orderKeys, id); !ok || json.Unmarshal(k.Value, &c) != nil || c.Stage != stage {
		o.Errorf("key of %s is %s", id, k.Value)
	}
	if _, reserved := o.Key(reservedKeys, id+"/lamp"); reserved != (stage == Completed) {
		o.Errorf("%s: the lamp is reserved: %v", id, reserved)
	}
	taken, back := o.money(id)
	if taken != charged || back != refunded {
		o.Errorf("%s: charged %d times and refunded %d times; want %d and %d", id, taken, back, charged, refunded)
	}
}

func (o *opened) money(id string) (charged, refunded int) {
	o.service.mu.Lock()
	defer o.service.mu.Unlock()
	mine := map[string]bool{}
	for _, e := range o.service.entries {
		switch {
		case e.Order == id:
			charged++
			mine[e.Payment] = true
		case e.Refund && mine[e.Payment]:
			refunded++
		}
	}
	return charged, refunded
}

func TestAnOrderIsShippedToWhereItIsWanted(t *testing.T) {
	t.Parallel()
	open(t, func(o *opened) {
		o.order("o1", nil)
		time.Sleep(time.Hour)
		var state State
		if got, err := o.Query(o.Context(), "o1", "state", nil); err != nil || json.Unmarshal(got, &state) != nil || state != (State{Waiting, "dock 1"}) {
			o.Errorf("state is %s: %v", got, err)
		}
		if got := o.Attributes("o1"); got["customer"] != "c-17" || fmt.Sprint(got["total"]) != "1999" {
			o.Errorf("attributes are %v", got)
		}
		if _, err := o.Update(o.Context(), "o1", "change-address", ""); err == nil {
			o.Error("an empty address is taken")
		}
		if got, err := o.Update(o.Context(), "o1", "change-address", "dock 2"); err != nil || string(got) != `"dock 1"` {
			o.Errorf("update says %s: %v", got, err)
		}
		if err := o.Signal("o1", "shipped", Shipment{"post", "X1"}); err != nil {
			o.Fatal(err)
		}
		o.ended("o1", workflows.Completed, "", 1, 0)
		var c Closing
		if k, _ := o.Key(orderKeys, "o1"); json.Unmarshal(k.Value, &c) != nil || c.Address != "dock 2" || c.Shipment.Parcel != "X1" || c.Payment == "" {
			o.Errorf("key of o1 is %s", k.Value)
		}
	})
}

func TestWhatComesToNothingIsUndone(t *testing.T) {
	t.Parallel()
	open(t, func(o *opened) {
		o.order("declined", func(o *Order) { o.Card = "declined" })
		o.ended("declined", workflows.Failed, "declined", 0, 0)
		o.order("sold-out", func(o *Order) { o.Items = append(o.Items, "unicorn") })
		o.ended("sold-out", workflows.Failed, "sold_out", 1, 1)
		began := time.Now()
		o.order("late", nil)
		o.ended("late", workflows.Failed, "late", 1, 1)
		if took := time.Since(began); took < 48*time.Hour || took > 49*time.Hour {
			o.Errorf("it took %v, want 48h", took)
		}
		o.order("waits", nil)
		time.Sleep(time.Hour)
		if err := o.Cancel("waits", "changed my mind"); err != nil {
			o.Fatal(err)
		}
		o.ended("waits", workflows.Canceled, workflows.ErrorCanceled, 1, 1)
		o.order("at-once", nil)
		if err := o.Cancel("at-once", "changed my mind"); err != nil {
			o.Fatal(err)
		}
		o.ended("at-once", workflows.Canceled, workflows.ErrorCanceled, 1, 1)
		var undone []string
		for _, e := range o.Recorded(mustLook(o, "sold-out")) {
			var step struct{ Name string }
			if e.Type == workflows.HistoryPrefix+workflows.KindStepCompleted && json.Unmarshal(e.Data, &step) == nil {
				undone = append(undone, step.Name)
			}
		}
		if want := []string{"release", "release", "release", "refund", "cancel"}; !slices.Equal(undone[max(0, len(undone)-5):], want) {
			o.Errorf("steps of sold-out are %q, want %q at the end", undone, want)
		}
	})
}

func mustLook(o *opened, id string) uint64 {
	o.Helper()
	r, err := o.Look(id)
	if err != nil {
		o.Fatal(err)
	}
	return r.Number
}

func TestAReportCountsOrders(t *testing.T) {
	t.Parallel()
	open(t, func(o *opened) {
		for i := range 5 {
			o.order(fmt.Sprint("o", i), func(o *Order) {
				if i > 2 {
					o.Card = "declined"
				}
			})
			if err := o.Signal(fmt.Sprint("o", i), "shipped", Shipment{"post", "X"}); err != nil {
				o.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		if _, err := o.Start(workflows.Start{ID: "r", Type: "report", Input: []byte("{}")}); err != nil {
			o.Fatal(err)
		}
		r, err := o.Wait(o.Context(), "r")
		if err != nil {
			o.Fatal(err)
		}
		var got Report
		if err := json.Unmarshal(r.Result, &got); err != nil || got.Completed != 3 || got.Cancelled != 2 {
			o.Errorf("report is %s: %v", r.Result, err)
		}
		if made := o.Stream("reports"); len(made) != 1 || made[0].Type != "orders.reported" {
			o.Errorf("reports are %v", made)
		}
	})
}
