package client_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers"
)

// Append an event, and follow the stream that it is in.
func Example() {
	ctx := context.Background()
	c, err := client.New(client.Config{Servers: []string{"http://127.0.0.1:7420"}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer c.Close()
	done, err := c.Append(ctx, "orders/42", event.ExpectAny, event.Event{
		ID: "1", Source: "/shop", Type: "shop.order.placed",
		DataContentType: "application/json", Data: []byte(`{"total":7}`),
	})
	switch event.CodeOf(err) {
	case "":
		fmt.Println("it stands at position", done.Position)
	case event.CodeOutcomeUnknown:
		fmt.Println("it may be there, or may yet be:", err)
	default:
		fmt.Println("it is not there, and will not be:", err)
	}
	for e, err := range c.Tail(ctx, client.Query{Stream: "orders/42", From: done.Position}) {
		if err != nil {
			fmt.Println(err)
			break
		}
		fmt.Println(e.Position, e.Type, string(e.Data))
	}
}

// Import lines under a name: run again after any interruption, it goes on where
// it was.
func ExampleClient_Producer() {
	ctx := context.Background()
	c, err := client.New(client.Config{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer c.Close()
	p, err := c.Producer(ctx, "orders.csv")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	lines := []string{"first", "second", "third"}
	var last *client.Pending
	for n := p.Last() + 1; n <= uint64(len(lines)); n++ {
		op := client.AppendOp("orders", event.ExpectAny, event.Event{
			ID: strconv.FormatUint(n, 10), Source: "/orders.csv", Type: "line", Data: []byte(lines[n-1]),
		})
		if last, err = p.Commit(ctx, n, n, false, []client.Op{op}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return
		}
	}
	if last != nil {
		result, err := last.Wait(ctx)
		fmt.Println(result.Position, err)
	}
}

// Be a member of a subscription: what the handle returns is committed with the
// acknowledgement, or not at all.
func ExampleClient_Consume() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	c, err := client.New(client.Config{Servers: []string{"http://127.0.0.1:7420"}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer c.Close()
	orders := event.Subscription{
		Name:        "orders",
		Filter:      event.Filter{Exact: map[string]string{"type": "shop.order.placed"}},
		OrderingKey: event.OrderByStream,
	}
	if err := c.Subscribe(ctx, orders, managers.Start{First: true}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	err = c.Consume(ctx, "orders", managers.Consumer{
		Concurrency: 16,
		Handle: func(_ context.Context, d managers.Delivery) managers.Settlement {
			return managers.Settlement{Effects: managers.Effects{Appends: []managers.Append{{
				Stream: d.Stream, Expected: event.ExpectAny,
				Event: event.Event{Source: "/shop", Type: "shop.order.packed"},
			}}}}
		},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// Ask for a response, wherever the worker runs.
func ExampleClient_Call() {
	ctx := context.Background()
	c, err := client.New(client.Config{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer c.Close()
	response, err := c.Call(ctx, "", event.Event{
		Source: "/shop", Type: "shop.price.asked", DataContentType: "application/json", Data: []byte(`{"article":7}`),
	}, client.CallOptions{Timeout: 5 * time.Second})
	var problem *client.Problem
	switch {
	case errors.As(err, &problem):
		fmt.Println("the worker could not:", problem.Title)
	case err != nil:
		fmt.Println("nobody answered:", event.CodeOf(err))
	default:
		fmt.Println(string(response.Data))
	}
}
