package workflows_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

// More of the code of docs/workflows.md, and what comes of it.

func bookRoom(_ context.Context, room string) (string, error) {
	if room == "suite" {
		return "", workflows.NewError("sold out", "there is no suite", nil)
	}
	booked.Lock()
	defer booked.Unlock()
	if booked.tries++; booked.tries <= 10 {
		return "", errors.New("the hotel does not answer")
	}
	return "booked " + room, nil
}

var book = workflows.NewStep("book", bookRoom, workflows.StepOptions{
	StartToClose: 30 * time.Second,
	Retry: workflows.Retry{
		Initial: time.Second, Factor: 2, Max: time.Minute, // 1 s, 2 s, 4 s … 1 min, each a little more or less
		Attempts:     10,
		NonRetryable: []string{"sold out"}, // told to the code at once
		Exhausted:    workflows.Pause,      // the run waits for a person; Fail: told to the code
	},
})

var Ship = workflows.Define("ship", 1, func(ctx workflows.Context, item string) (string, error) {
	return "parcel of " + item, workflows.Sleep(ctx, time.Hour)
})

var ShipAll = workflows.Define("ship-all", 1, func(ctx workflows.Context, items []string) ([]string, error) {
	var children []*workflows.Child[string]
	for _, item := range items {
		children = append(children, Ship.StartChild(ctx, item, workflows.ChildOptions{
			ID:      workflows.Info(ctx).ID + "/" + item,
			Timeout: 24 * time.Hour,
			OnClose: workflows.CloseCancel, // where this run ends first; default: it is terminated
		}))
	}
	var parcels []string
	for _, c := range children {
		parcel, err := c.Get(ctx)
		if err != nil {
			return parcels, err
		}
		parcels = append(parcels, parcel)
	}
	return parcels, nil
})

var taxOf = workflows.NewRequest[Order, int]("tax.wanted", workflows.RequestOptions{
	Stream: "tax", Timeout: 10 * time.Second, Retry: workflows.Retry{Attempts: 5},
})

var Invoice = workflows.Define("invoice", 1, func(ctx workflows.Context, o Order) (int, error) {
	tax, err := taxOf.Do(ctx, o)
	if errors.Is(err, &workflows.Error{Type: workflows.ErrorTimeout}) {
		return 0, workflows.NewError("no tax", "nobody answers for taxes", nil)
	}
	return o.Total + tax, err
})

var AwaitPayment = workflows.Define("await-payment", 1, func(ctx workflows.Context, o Order) (int, error) {
	limited, cancel := workflows.WithTimeout(ctx, 30*24*time.Hour)
	defer cancel()
	e, err := workflows.NextEvent(limited, workflows.Match{
		Type: "payment.received", Values: map[string]string{"/order/id": o.ID},
	}).Get(limited)
	if err != nil {
		return 0, err // after 30 days edri.timeout
	}
	var payment struct{ Amount int }
	return payment.Amount, json.Unmarshal(e.Data, &payment)
})

var Claim = workflows.Define("claim", 1, func(ctx workflows.Context, amount int) (string, error) {
	workflows.Upsert(ctx, map[string]any{"amount": amount, "state": "open", "since": workflows.Now(ctx)})
	decision, err := workflows.Signals[string](ctx, "decision").Receive(ctx)
	if err != nil {
		return "", err
	}
	workflows.Upsert(ctx, map[string]any{"state": decision, "since": nil}) // nil removes it
	return decision, nil
}, workflows.Options{
	Attributes: map[string]workflows.AttributeType{
		"amount": workflows.TypeNumber, "state": workflows.TypeString, "since": workflows.TypeTime,
	},
})

var (
	unlock = workflows.NewStep("unlock", func(context.Context, string) (struct{}, error) { return struct{}{}, nil })
	lock   = workflows.NewStep("lock", func(ctx context.Context, car string) (struct{}, error) {
		workflows.Effects(ctx).Emit("cars", "locked", car)
		return struct{}{}, nil
	})
)

var Rent = workflows.Define("rent", 1, func(ctx workflows.Context, car string) (string, error) {
	if _, err := unlock.Do(ctx, car); err != nil {
		return "", err
	}
	by, err := workflows.Signals[string](ctx, "returned").Receive(ctx)
	if err != nil {
		_, failed := lock.Do(workflows.WithoutCancel(ctx), car) // not ctx, which is canceled
		return "", errors.Join(err, failed)
	}
	return "returned by " + by, nil
})

// booked counts the tries of bookRoom.
var booked struct {
	sync.Mutex
	tries int
}

func TestGuideRetriesAndPauses(t *testing.T) {
	flow := workflows.Define("books", 1, func(ctx workflows.Context, room string) (string, error) { return book.Do(ctx, room) })
	booked.tries = 0 // as -count runs it again
	inWorld(t, func(w *world) {
		w.start("books", "suite", "suite")
		if r := w.wait("suite"); r.Status != workflows.Failed || r.Err.Type != "sold out" {
			t.Errorf("suite: %s, %v", r.Status, r.Err)
		}
		w.start("books", "single", "single")
		time.Sleep(time.Hour)
		if reason, details := w.blockedBy("single"); reason != "step failed" || !strings.Contains(details, "does not answer") || booked.tries != 10 {
			t.Errorf("blocked by %s after %d tries: %s", reason, booked.tries, details)
		}
		if err := w.Retry("single"); err != nil {
			t.Fatal(err)
		}
		if got := completed[string](w, "single"); got != "booked single" {
			t.Errorf("got %q", got)
		}
	}, flow)
}

func TestGuideStartsChildren(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("ship-all", "s-1", []string{"lamp", "torch"})
		time.Sleep(time.Minute)
		if r, err := w.Look("s-1/torch"); err != nil || r.Status != workflows.Running {
			t.Errorf("child is %s, %v", r.Status, err)
		}
		if got := completed[[]string](w, "s-1"); !slices.Equal(got, []string{"parcel of lamp", "parcel of torch"}) {
			t.Errorf("got %q", got)
		}
		w.start("ship-all", "s-2", []string{"lamp"})
		time.Sleep(time.Minute)
		_ = w.Terminate("s-2", "enough")
		if r := w.wait("s-2/lamp"); r.Status != workflows.Canceled {
			t.Errorf("child of a run that was terminated: %s", r.Status)
		}
	}, Ship, ShipAll)
}

func TestGuideMakesRequests(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("invoice", "nobody", Order{ID: "1", Total: 40})
		if r := w.wait("nobody"); r.Status != workflows.Failed || r.Err.Type != "no tax" {
			t.Errorf("without a worker: %s, %v", r.Status, r.Err)
		}
		w.Handle("tax.wanted", func(e event.Event) (any, error) {
			var o Order
			err := json.Unmarshal(e.Data, &o)
			return o.Total / 10, err
		})
		w.start("invoice", "i-1", Order{ID: "2", Total: 40})
		if got := completed[int](w, "i-1"); got != 44 {
			t.Errorf("got %d", got)
		}
	}, Invoice)
}

func TestGuideWaitsForEvents(t *testing.T) {
	inWorld(t, func(w *world) {
		for i, order := range []string{"7", "8"} {
			w.start("await-payment", order, Order{ID: order})
			time.Sleep(time.Minute)
			w.Append("payments", event.Event{
				ID: fmt.Sprint(i), Source: "/bank", Type: "payment.received", DataContentType: "application/json",
				Data: []byte(`{"order":{"id":"7"},"amount":40}`),
			})
		}
		if got := completed[int](w, "7"); got != 40 {
			t.Errorf("got %d", got)
		}
		if r := w.wait("8"); r.Status != workflows.Failed || r.Err.Type != workflows.ErrorTimeout {
			t.Errorf("the other: %s, %v", r.Status, r.Err)
		}
	}, AwaitPayment)
}

func TestGuideSetsAttributes(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("claim", "c-1", 40)
		time.Sleep(time.Minute)
		if got := w.Attributes("c-1"); got["state"] != "open" || got["amount"] != 40 || got["since"] == nil {
			t.Errorf("attributes %v", got)
		}
		_ = w.Signal("c-1", "decision", "granted")
		if got := completed[string](w, "c-1"); got != "granted" {
			t.Errorf("got %q", got)
		}
		if got := w.Attributes("c-1"); got["state"] != "granted" || got["since"] != nil {
			t.Errorf("attributes %v", got)
		}
	}, Claim)
}

func TestGuideCleansUp(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("rent", "r-1", "car 7")
		time.Sleep(time.Minute)
		_ = w.Cancel("r-1", "enough")
		if r := w.wait("r-1"); r.Status != workflows.Canceled || r.Err.Type != workflows.ErrorCanceled {
			t.Errorf("a run that was canceled: %s, %v", r.Status, r.Err)
		}
		if n := len(w.Stream("cars")); n != 1 {
			t.Errorf("%d cars are locked", n)
		}
		w.start("rent", "r-2", "car 8")
		_ = w.Signal("r-2", "returned", "c-17")
		if got := completed[string](w, "r-2"); got != "returned by c-17" {
			t.Errorf("got %q", got)
		}
	}, Rent)
}

func TestGuidePassesOverSignals(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("approve", "a-1", Order{ID: "1"})
		_ = w.Signal("a-1", "approved", 7)
		_ = w.Signal("a-1", "approved", "desk 1")
		if got := completed[string](w, "a-1"); got != "desk 1" {
			t.Errorf("got %q", got)
		}
	}, Approve)
}

// The code that stands in guide_test.go runs too.
func TestGuideRuns(t *testing.T) {
	inWorld(t, func(w *world) {
		w.start("compare", "prices", []string{"a", "b"})
		if got := completed[int](w, "prices"); got != 1 {
			t.Errorf("the best price is %d", got)
		}
		w.start("checked", "address", Order{ID: "1"})
		if got := completed[string](w, "address"); got != "payment of 1" {
			t.Errorf("got %q", got)
		}
		w.start("counter", "n", 1)
		if _, err := w.Update(w.Context(), "n", "add", -1); err == nil || !strings.Contains(err.Error(), "counts up only") {
			t.Errorf("an update that is refused: %v", err)
		}
		if got, err := w.Update(w.Context(), "n", "add", 2); err != nil || string(got) != "3" {
			t.Errorf("an update: %s, %v", got, err)
		}
		time.Sleep(48 * time.Hour) // and it has continued as new
		if got, err := w.Query(w.Context(), "n", "value", nil); err != nil || string(got) != "3" {
			t.Errorf("a query: %s, %v", got, err)
		}
		_ = w.Signal("n", "stop", true)
		if got := completed[int](w, "n"); got != 3 {
			t.Errorf("it counted to %d", got)
		}
	}, Compare, Checked, Counter)
}
