package main

import (
	"context"
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

// The program works for a node as for the cluster of its test.
func TestHelloOnANode(t *testing.T) {
	t.Parallel()
	url := servertest.Node(t, nil)
	background(t, func(ctx context.Context) error { return work(ctx, url) })

	c, err := client.New(client.Config{Servers: []string{url}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		run, _, err := c.StartRun(ctx, workflows.Start{ID: "hello-1", Type: "hello", Input: []byte(`"all"`)})
		if event.CodeOf(err) == event.CodeNotFound { // the worker is about to define it
			<-again.C
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		o, err := c.WaitRun(ctx, run)
		if err != nil || string(o.Result) != `"hello, all"` {
			t.Errorf("it ended as %+v, %v", o, err)
		}
		return
	}
}
