package client_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

// What a run takes along, memo and attributes, may leave no room for the input that it is to
// continue with. The run does not hang, and its last step is not run again and again.
func TestRunThatHasNoRoomToContinue(t *testing.T) {
	t.Parallel()
	const most = event.MaxDataBytes - 4096
	var ran, size atomic.Int32
	size.Store(most)
	step := workflows.NewStep("note", func(ctx context.Context, _ struct{}) (int, error) {
		workflows.Effects(ctx).Emit("notes", "noted", ran.Add(1))
		return 1, nil
	})
	options := workflows.Options{Attributes: map[string]workflows.AttributeType{}}
	attributes := map[string]any{}
	for i := range 20 {
		options.Attributes[fmt.Sprint("a", i)] = workflows.TypeString
		attributes[fmt.Sprint("a", i)] = strings.Repeat("\x01", 255)
	}
	large := workflows.Define("large", 1, func(ctx workflows.Context, s string) (int, error) {
		if _, err := step.Do(ctx, struct{}{}); err != nil {
			return 0, err
		}
		if len(s) > 0 {
			return len(s), nil
		}
		return 0, workflows.ContinueAsNew(strings.Repeat("x", int(size.Load())-2))
	}, options)
	ctx, c := workerOf(t, large)

	// Of the memo the worker knows.
	start := workflows.Start{ID: "memo", Type: "large", Memo: []byte(`"` + strings.Repeat("x", 32<<10-2) + `"`)}
	run, _, err := c.StartRun(ctx, start)
	if err != nil {
		t.Fatal(err)
	}
	o, err := c.WaitRun(ctx, client.RunID{ID: run.ID})
	if err != nil || o.Status != workflows.Failed || o.Err.Type != workflows.ErrorTooLarge || ran.Load() != 1 {
		t.Errorf("outcome %+v, %v, the step ran %d times", o, err, ran.Load())
	}
	start.Memo = append(start.Memo, ' ')
	if _, _, err := c.StartRun(ctx, start); event.CodeOf(err) != event.CodeTooLarge {
		t.Errorf("a memo above: %v", err)
	}

	// Of attributes the cluster does: the run is paused, and goes on when there is room.
	run, _, err = c.StartRun(ctx, workflows.Start{ID: "attributes", Type: "large", Attributes: attributes})
	if err != nil {
		t.Fatal(err)
	}
	var r client.Run
	until(t, ctx, func() bool {
		r, err = c.Run(ctx, client.RunID{ID: run.ID}, client.Linearizable)
		return err != nil || r.Paused
	})
	if err != nil || r.Note != "too_large" || r.Events != 2 || ran.Load() != 2 {
		t.Fatalf("the run is %+v, %v, the step ran %d times", r, err, ran.Load())
	}
	size.Store(956 << 10)
	if err := c.ResumeRun(ctx, client.RunID{ID: run.ID}, "mended"); err != nil {
		t.Fatal(err)
	}
	o, err = c.WaitRun(ctx, client.RunID{ID: run.ID})
	if err != nil || string(o.Result) != fmt.Sprint(956<<10-2) {
		t.Errorf("outcome %+v, %v", o, err)
	}
}
