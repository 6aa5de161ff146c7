package main

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/edri-io/edri/workflows"
	"github.com/edri-io/edri/workflows/workflowstest"
)

func TestHello(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // where a second, or a year, passes at once
		cluster := workflowstest.NewCluster()
		runner, err := workflows.NewRunner(workflows.Config{}, Hello)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- runner.Run(ctx, cluster) }()
		synctest.Wait() // until the workflow is known

		if _, err := cluster.Start(workflows.Start{ID: "hello-1", Type: "hello", Input: []byte(`"all"`)}); err != nil {
			t.Fatal(err)
		}
		run, err := cluster.Wait(ctx, "hello-1")
		if err != nil || run.Status != workflows.Completed || string(run.Result) != `"hello, all"` {
			t.Errorf("it is %s: %s, %v, %v", run.Status, run.Result, run.Err, err)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
