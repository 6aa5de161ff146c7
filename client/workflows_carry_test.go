package client_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

// What a run has not received goes on to the one that continues it, each signal once and in
// its order, however much it is: more than a commit has, or a frame.
func TestContinueAsNewCarriesMuchThatWasNotReceived(t *testing.T) {
	t.Parallel()
	type numbered struct {
		N   int
		Pad string
	}
	const rounds = 2 // of going on with all that was not received
	keep := workflows.Define("keep", 1, func(ctx workflows.Context, round int) ([]int, error) {
		if round < rounds {
			if _, err := workflows.Signals[struct{}](ctx, "go").Receive(ctx); err != nil {
				return nil, err
			}
			return nil, workflows.ContinueAsNew(round + 1)
		}
		var got []int
		for {
			s, ok, err := workflows.Signals[numbered](ctx, "s").ReceiveFor(ctx, time.Second)
			if !ok || err != nil {
				return got, err
			}
			got = append(got, s.N)
		}
	})
	var said warnings
	ctx, c := workerAt(t, node(t), workflows.Config{Name: "w", Logger: said.logger()}, keep)
	for _, test := range []struct{ signals, bytes int }{{3000, 10}, {300, 20 << 10}, {20, 950 << 10}} {
		t.Run(fmt.Sprint(test.signals), func(t *testing.T) {
			id := client.RunID{ID: fmt.Sprint("r-", test.signals)}
			if _, _, err := c.StartRun(ctx, workflows.Start{ID: id.ID, Type: "keep", Input: []byte("0")}); err != nil {
				t.Fatal(err)
			}
			send := func(name string, input string) {
				until(t, ctx, func() bool {
					err := c.SignalRun(ctx, id, workflows.Signal{Name: name, Input: []byte(input)})
					if event.CodeOf(err) == event.CodeQuotaExceeded {
						return false // the worker is behind
					}
					if err != nil {
						t.Fatal(err)
					}
					return true
				})
			}
			var want []int
			pad := strings.Repeat("x", test.bytes)
			for i := range test.signals {
				send("s", fmt.Sprintf(`{"N":%d,"Pad":"%s"}`, i, pad))
				want = append(want, i)
			}
			for i := range rounds {
				send("go", "null")
				send("s", fmt.Sprintf(`{"N":%d}`, test.signals+i))
				want = append(want, test.signals+i)
			}
			until(t, ctx, func() bool {
				r, err := c.Run(ctx, client.RunID{ID: id.ID}, client.Linearizable)
				if err == nil && r.Paused {
					t.Fatalf("it is paused: %s", r.Note)
				}
				return err == nil && r.Status != workflows.Running && r.Status != workflows.Continued
			})
			o, err := c.WaitRun(ctx, id)
			if err != nil || o.Status != workflows.Completed {
				t.Fatalf("%v, %v, %v", o.Status, o.Err, err)
			}
			var got []int
			if err := json.Unmarshal(o.Result, &got); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %d signals, want %d: %v", len(got), len(want), got)
			}
		})
	}
	if s := said.String(); s != "" {
		t.Errorf("the worker warns: %s", s)
	}
}
