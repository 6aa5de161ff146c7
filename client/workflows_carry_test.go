package client_test

import (
	"context"
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

// keeper continues as new when it is told to, so many times, and returns the numbers of the
// signals that it had not received until then.
func keeper(rounds int) workflows.Defined {
	type numbered struct{ N int }
	return workflows.Define("keep", 1, func(ctx workflows.Context, round int) ([]int, error) {
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
}

// What a run has not received goes on to the one that continues it, each signal once and in
// its order, however much it is: more than a commit has, or a frame.
func TestContinueAsNewCarriesMuchThatWasNotReceived(t *testing.T) {
	t.Parallel()
	const rounds = 2 // of going on with all that was not received
	keep := keeper(rounds)
	var said warnings
	ctx, c := workerAt(t, node(t), workflows.Config{Name: "w", Logger: said.logger()}, keep)
	for _, test := range []struct{ signals, bytes int }{{2100, 10}, {300, 20 << 10}, {20, 950 << 10}} {
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

// A worker that is lost while signals go ahead leaves nothing behind that comes twice.
func TestContinueAsNewWhenItsWorkerIsLost(t *testing.T) {
	t.Parallel()
	url := node(t)
	ctx, c := workerAt(t, url, workflows.Config{Name: "other"}, workflows.Define("other", 1, func(workflows.Context, int) (int, error) { return 0, nil }))
	for i, delay := range []time.Duration{0, 6 * time.Millisecond, 16 * time.Millisecond} {
		lost, err := client.New(client.Config{Servers: []string{url}})
		if err != nil {
			t.Fatal(err)
		}
		work := func(c *client.Client) (stop func()) {
			r, err := workflows.NewRunner(workflows.Config{Grace: time.Millisecond}, keeper(1))
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(ctx)
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				_ = r.Run(ctx, c) // also by what it has lost
			}()
			return func() { cancel(); <-ended }
		}
		stop := work(lost)
		until(t, ctx, func() bool {
			list, err := c.Definitions(ctx)
			return err == nil && len(list) == 2
		})
		id := client.RunID{ID: fmt.Sprint("r-", i)}
		if _, _, err := c.StartRun(ctx, workflows.Start{ID: id.ID, Type: "keep", Input: []byte("0")}); err != nil {
			t.Fatal(err)
		}
		var want []int
		send := func(name, input string) {
			if err := c.SignalRun(ctx, id, workflows.Signal{Name: name, Input: []byte(input)}); err != nil {
				t.Fatal(err)
			}
		}
		for n := range 16 {
			send("s", fmt.Sprintf(`{"N":%d,"Pad":"%s"}`, n, strings.Repeat("x", 400<<10)))
			want = append(want, n)
		}
		send("go", "null")
		time.Sleep(delay) // to be somewhere in it
		_ = lost.Close()
		send("s", `{"N":16}`)
		stop()
		stop = work(c)
		o, err := c.WaitRun(ctx, id)
		var got []int
		if err == nil {
			err = json.Unmarshal(o.Result, &got)
		}
		if err != nil || !slices.Equal(got, append(want, 16)) {
			t.Errorf("lost after %v: %v, %v %v, got %v", delay, err, o.Status, o.Err, got)
		}
		stop()
	}
}
