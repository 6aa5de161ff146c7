package client_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/workflows"
)

// What docs/workflows.md shows, for the names that its code has.
var (
	Fulfil  = workflows.Define("fulfil", 1, func(workflows.Context, string) (string, error) { return "", nil })
	Counter = workflows.Define("counter", 1, func(workflows.Context, int) (int, error) { return 0, nil })
)

func hello(ctx context.Context, c *client.Client) (string, error) {
	run, _, err := c.StartRun(ctx, workflows.Start{ID: "hello-1", Type: "hello", Input: []byte(`"all"`)})
	if err != nil {
		return "", err
	}
	ended, err := c.WaitRun(ctx, run)
	if err != nil {
		return "", err
	}
	if ended.Status != workflows.Completed {
		return "", fmt.Errorf("run %s is %s: %w", run.ID, ended.Status, ended.Err)
	}
	return string(ended.Result), nil // "hello, all", as JSON
}

func TestGuideStartsARun(t *testing.T) {
	t.Parallel()
	ctx, c := workerOf(t, workflows.Define("hello", 1, func(_ workflows.Context, name string) (string, error) { return "hello, " + name, nil }))
	if got, err := hello(ctx, c); err != nil || got != `"hello, all"` {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestRunsUnderWayCanGoOn(t *testing.T) {
	files, err := workflows.CheckRecorded("testdata/histories", Fulfil, Counter)
	if err != nil || files == 0 {
		t.Fatal(files, err)
	}
}
