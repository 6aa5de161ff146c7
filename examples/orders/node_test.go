package main

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/server/servertest"
	"github.com/edri-io/edri/workflows"
)

// background has f run until the test ends.
func background(t *testing.T, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- f(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestOrdersOnANode(t *testing.T) {
	t.Parallel()
	url := servertest.Node(t, nil)
	service := newService(0)
	pay := httptest.NewServer(service.handler())
	t.Cleanup(pay.Close)
	background(t, func(ctx context.Context) error { return work(ctx, []string{url}, pay.URL, time.Second) })
	c, err := client.New(client.Config{Servers: []string{url}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)

	input, err := json.Marshal(Order{Customer: "c-17", Card: "4242", Address: "dock 1", Items: []string{"lamp", "rare shade"}, Total: 1999, ShipWithin: Duration(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	var run client.RunID
	for {
		run, _, err = c.StartRun(ctx, workflows.Start{ID: "o1", Type: "fulfil", Input: input})
		if event.CodeOf(err) != event.CodeNotFound { // the worker is about to define it
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	var before string
	if got, err := c.UpdateRun(ctx, run, "", "change-address", []byte(`"dock 2"`)); err != nil || json.Unmarshal(got, &before) != nil || before != "dock 1" {
		t.Errorf("update says %s: %v", got, err)
	}
	if err := c.SignalRun(ctx, run, workflows.Signal{Name: "shipped", Input: []byte(`{"carrier":"post","parcel":"X1"}`)}); err != nil {
		t.Fatal(err)
	}
	if o, err := c.WaitRun(ctx, run); err != nil || o.Status != workflows.Completed {
		t.Fatalf("outcome %+v: %v", o, err)
	}
	var state State
	if got, err := c.QueryRun(ctx, run, "state", nil); err != nil || json.Unmarshal(got, &state) != nil || state != (State{Completed, "dock 2"}) {
		t.Errorf("state is %s: %v", got, err)
	}
	if k, err := c.ReadKey(ctx, orderKeys, "o1"); err != nil || k.ContentType != "application/json" {
		t.Errorf("key %+v: %v", k, err)
	}
	var types []string
	for e, err := range c.Read(ctx, client.Query{Correlation: "o1", TypePrefix: "order."}) {
		if err != nil {
			t.Fatal(err)
		}
		types = append(types, e.Type)
	}
	if want := []string{"order.completed"}; !slices.Equal(types, want) {
		t.Errorf("events %q, want %q", types, want)
	}
	for e, err := range c.Tail(ctx, client.Query{Stream: "reports"}) {
		if err != nil {
			t.Fatal(err)
		}
		var got Report
		if err := json.Unmarshal(e.Data, &got); err != nil || got.Cancelled != 0 {
			t.Fatalf("report %s: %v", e.Data, err)
		}
		if got.Completed == 1 {
			break // before it the order was under way
		}
	}
}
