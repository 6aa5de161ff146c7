package workflows_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/edri-io/edri/workflows"
	"github.com/edri-io/edri/workflows/workflowstest"
)

type Order struct {
	ID    string
	Total int
}

// Steps are Go functions. What they do outside is deduplicated by EffectID, what they do
// inside the cluster is committed with their result.
var (
	charge = workflows.NewStep("charge", func(ctx context.Context, o Order) (string, error) {
		workflows.Effects(ctx).Emit("ledger/"+o.ID, "order.charged", o)
		return "payment of " + o.ID, nil
	}, workflows.StepOptions{StartToClose: 10 * time.Second})

	refund = workflows.NewStep("refund", func(ctx context.Context, payment string) (struct{}, error) {
		fmt.Println("refund", payment)
		return struct{}{}, nil
	})
)

// Fulfil is the workflow: it charges an order and waits for somebody to approve it. If
// that does not come within two days, the payment is given back.
var Fulfil = workflows.Define("fulfil", 1, func(ctx workflows.Context, o Order) (string, error) {
	payment, err := charge.Do(ctx, o)
	if err != nil {
		return "", err
	}
	workflows.Compensate(ctx, func(ctx workflows.Context) error {
		_, err := refund.Do(ctx, payment)
		return err
	})
	by, ok, err := workflows.Signals[string](ctx, "approved").ReceiveFor(ctx, 48*time.Hour)
	if err != nil {
		return "", err
	}
	if !ok {
		return "", workflows.NewError("expired", "nobody approved the order", nil)
	}
	return "approved by " + by, nil
})

func Example() {
	// Package client has a cluster that is real.
	cluster := workflowstest.NewCluster()
	runner, err := workflows.NewRunner(workflows.Config{}, Fulfil)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan error)
	go func() { stopped <- runner.Run(ctx, cluster) }()

	input, _ := json.Marshal(Order{ID: "o1", Total: 40})
	for {
		// Until the runner has made the workflow known.
		if _, err := cluster.Start(workflows.Start{ID: "o1", Type: "fulfil", Input: input}); err == nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if err := cluster.Signal("o1", "approved", "desk 1"); err != nil {
		fmt.Println(err)
	}
	result, err := cluster.Wait(ctx, "o1")
	fmt.Println(result.Status, string(result.Result), err)

	stop()
	fmt.Println(errors.Is(<-stopped, nil))
	// Output:
	// completed "approved by desk 1" <nil>
	// true
}
