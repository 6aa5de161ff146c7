package integration

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/workflows"
)

// A run that was started is known to whoever waits for it, also at a node that is behind.
func TestARunIsWaitedForAtANodeThatIsBehind(t *testing.T) {
	t.Parallel()
	c := start(t, 3)
	ctx := within(t, time.Minute)
	leads := leader(t, c)
	api, behind := connect(t, leads.URL()), connect(t, c.Followers(leads)[0].URL())
	must(t, api.Define(ctx, workflows.Definition{Name: "nobody", Version: 1}))
	waiter := behind.RunWaiter()
	defer waiter.Close()
	var wg sync.WaitGroup
	for n := range 200 {
		run, _, err := api.StartRun(ctx, workflows.Start{ID: strconv.Itoa(n), Type: "nobody"})
		must(t, err)
		if n%2 == 0 {
			run.Number = 0
		}
		wg.Go(func() {
			waiting, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			if o, err := waiter.Wait(waiting, run); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("run %v: %+v, %v", run, o, err)
			}
		})
	}
	wg.Wait()
	must(t, api.TerminateRun(ctx, client.RunID{ID: "7"}, "enough"))
	if o, err := waiter.Wait(ctx, client.RunID{ID: "7"}); err != nil || o.Status != workflows.Terminated {
		t.Errorf("run 7: %+v, %v", o, err)
	}
}
