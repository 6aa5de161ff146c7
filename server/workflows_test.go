package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

type parcel struct {
	Item  string `json:"item"`
	Steps []string
}

func packing(name string) workflows.Step[parcel, parcel] {
	return workflows.NewStep(name, func(_ context.Context, p parcel) (parcel, error) {
		p.Steps = append(p.Steps, name)
		return p, nil
	})
}

// A run goes through its steps, a sleep and a signal on a node, and a query and an update
// reach it.
func TestRunsOnANode(t *testing.T) {
	t.Parallel()
	s := start(t, single(t))
	c := clientOf(t, s)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	flow := workflows.Define("pack", 1, func(ctx workflows.Context, p parcel) (parcel, error) {
		for _, name := range []string{"take", "wrap"} {
			var err error
			if p, err = packing(name).Do(ctx, p); err != nil {
				return p, err
			}
		}
		if err := workflows.Sleep(ctx, 20*time.Millisecond); err != nil {
			return p, err
		}
		to, err := workflows.Signals[string](ctx, "address").Receive(ctx)
		p.Steps = append(p.Steps, to)
		return p, err
	})
	r, err := workflows.NewRunner(workflows.Config{Name: "w"}, flow)
	if err != nil {
		t.Fatal(err)
	}
	working, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- r.Run(working, c) }()
	var run client.RunID
	for {
		run, _, err = c.StartRun(ctx, workflows.Start{ID: "p-1", Type: "pack", Input: []byte(`{"item":"lamp"}`)})
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond) // the workflow is being defined
	}
	if err := c.SignalRun(ctx, run, workflows.Signal{Name: "address", Input: []byte(`"here"`)}); err != nil {
		t.Fatal(err)
	}
	o, err := c.WaitRun(ctx, run)
	if err != nil {
		t.Fatal(err)
	}
	var got parcel
	if err := json.Unmarshal(o.Result, &got); err != nil || o.Status != workflows.Completed {
		t.Fatalf("outcome %+v: %v", o, err)
	}
	if len(got.Steps) != 3 || got.Steps[2] != "here" {
		t.Errorf("steps %q", got.Steps)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A run that is known can be replayed: its history can be purged once it is forgotten.
func TestAHistoryIsPurgedAfterItsRunAlone(t *testing.T) {
	t.Parallel()
	c := clientOf(t, start(t, single(t)))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := c.Define(ctx, workflows.Definition{Name: "pack", Version: 1}); err != nil {
		t.Fatal(err)
	}
	run, _, err := c.StartRun(ctx, workflows.Start{ID: "p-1", Type: "pack"})
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what string) {
		t.Helper()
		err := c.PurgeStream(ctx, "run/p-1", 2)
		codeIs(t, what, err, event.CodeCheckFailed)
		if err != nil && !strings.Contains(err.Error(), "edri workflow rm") {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("under way")
	if err := c.TerminateRun(ctx, run, ""); err != nil {
		t.Fatal(err)
	}
	refused("ended")
	if err := c.DeleteRun(ctx, run); err != nil {
		t.Fatal(err)
	}
	if err := c.PurgeStream(ctx, "run/p-1", 2); err != nil {
		t.Error(err)
	}
	for e, err := range c.Read(ctx, client.Query{Stream: "run/p-1"}) {
		if err != nil || e.Revision < 2 {
			t.Errorf("revision %d is there, %v", e.Revision, err)
		}
	}
}

// The worker that goes on with a step has what the one before said of it last.
func TestDetailsOfHeartbeatsGoToTheNextWorker(t *testing.T) {
	t.Parallel()
	c := clientOf(t, start(t, single(t)))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	said := make(chan struct{})
	var calls atomic.Int32
	move := workflows.NewStep("move", func(ctx context.Context, _ struct{}) (parcel, error) {
		if p, ok := workflows.HeartbeatDetails[parcel](ctx); ok {
			return p, nil
		}
		if calls.Add(1) > 1 {
			return parcel{}, workflows.Final(errors.New("the attempt was told nothing"))
		}
		if err := workflows.Heartbeat(ctx, parcel{Item: "lamp", Steps: []string{"<half>"}}); err != nil {
			return parcel{}, err
		}
		close(said)
		<-ctx.Done()
		return parcel{}, ctx.Err()
	})
	flow := workflows.Define("move", 1, func(ctx workflows.Context, _ struct{}) (parcel, error) { return move.Do(ctx, struct{}{}) })
	work := func() (stop func()) {
		r, err := workflows.NewRunner(workflows.Config{Name: "w", Grace: 100 * time.Millisecond}, flow)
		if err != nil {
			t.Fatal(err)
		}
		working, cancel := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- r.Run(working, c) }()
		return func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	}
	if err := c.Define(ctx, workflows.Definition{Name: "move", Version: 1}); err != nil {
		t.Fatal(err)
	}
	run, _, err := c.StartRun(ctx, workflows.Start{ID: "m-1", Type: "move"})
	if err != nil {
		t.Fatal(err)
	}
	stop := work()
	<-said
	stop()
	defer work()()
	o, err := c.WaitRun(ctx, run)
	if err != nil {
		t.Fatal(err)
	}
	var got parcel
	if err := json.Unmarshal(o.Result, &got); err != nil || o.Status != workflows.Completed || len(got.Steps) != 1 || got.Steps[0] != "<half>" {
		t.Errorf("outcome %+v, parcel %+v: %v", o, got, err)
	}
}

// What runs do shows in the metrics of the node that leads.
func TestMetricsTellOfRuns(t *testing.T) {
	t.Parallel()
	s := start(t, single(t))
	c := clientOf(t, s)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	told := func(lines ...string) {
		t.Helper()
		s.get(t, "/metrics", func(status int, body string) bool {
			for _, line := range lines {
				if !strings.Contains(body, "\nedri_workflow_"+line+"\n") {
					return false
				}
			}
			return status == http.StatusOK
		})
	}
	flow := workflows.Define("pack", 1, func(ctx workflows.Context, p parcel) (parcel, error) { return packing("take").Do(ctx, p) })
	if err := c.Define(ctx, workflows.Definition{Name: "pack", Version: 1}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"p-1", "p-2", "p-3"} {
		if _, _, err := c.StartRun(ctx, workflows.Start{ID: id, Type: "pack"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.PauseRun(ctx, client.RunID{ID: "p-3"}, ""); err != nil {
		t.Fatal(err)
	}
	told(`runs{status="running"} 3`, `runs{status="ended"} 0`, "workers 0", "ready 2", "advances_total 0")
	r, err := workflows.NewRunner(workflows.Config{Name: "w"}, flow)
	if err != nil {
		t.Fatal(err)
	}
	working, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- r.Run(working, c) }()
	told(`runs{status="running"} 1`, `runs{status="ended"} 2`, "workers 1", "ready 0", "advances_total 2")
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	told("workers 0")
}
