package client_test

import (
	"context"
	"testing"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/workflows"
)

// What docs/workflows.md shows, for the names that its code has.
var (
	Fulfil  = workflows.Define("fulfil", 1, func(workflows.Context, string) (string, error) { return "", nil })
	Counter = workflows.Define("counter", 1, func(workflows.Context, int) (int, error) { return 0, nil })

	_ = work
)

func work(ctx context.Context) error {
	c, err := client.New(client.Config{Servers: []string{"http://127.0.0.1:7420"}})
	if err != nil {
		return err
	}
	defer c.Close()
	r, err := workflows.NewRunner(workflows.Config{}, Fulfil)
	if err != nil {
		return err
	}
	return r.Run(ctx, c) // until ctx ends
}

func TestRunsUnderWayCanGoOn(t *testing.T) {
	files, err := workflows.CheckRecorded("testdata/histories", Fulfil, Counter)
	if err != nil || files == 0 {
		t.Fatal(files, err)
	}
}
