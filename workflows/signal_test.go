package workflows_test

import (
	"testing"
	"time"

	"github.com/edri-io/edri/workflows"
)

// A run that is canceled while it waits for a signal with a deadline hears of that, and
// not that the time has passed.
func TestACanceledWaitForASignalIsNotOver(t *testing.T) {
	flow := workflows.Define("waits", 1, func(ctx workflows.Context, _ struct{}) (bool, error) {
		_, ok, err := workflows.Signals[string](ctx, "word").ReceiveFor(ctx, time.Hour)
		return ok, err
	})
	inWorld(t, func(w *world) {
		w.start("waits", "later", nil)
		time.Sleep(time.Minute)
		w.start("waits", "at once", nil)
		for _, id := range []string{"later", "at once"} {
			if err := w.Cancel(id, "enough"); err != nil {
				w.Fatal(err)
			}
			if r := w.wait(id); r.Status != workflows.Canceled || r.Err == nil || r.Err.Type != workflows.ErrorCanceled {
				w.Errorf("%s is %s: %v %s", id, r.Status, r.Err, r.Result)
			}
		}
	}, flow)
}
