package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
)

func join(urls []string) string { return strings.Join(urls, ",") }

// found is what is there of orders.
type found struct {
	charges, refunds map[string]int      // by order
	repeats          int                 // requests that the payment service had had before
	events           map[string][]string // types by order
}

// verdict checks what became of the orders, and prints it.
func (s *shop) verdict(ctx context.Context) error {
	f, err := s.find(ctx)
	if err != nil {
		return err
	}
	var wrong []string
	completed := 0
	for _, o := range s.placed {
		problems, err := s.check(ctx, f, o)
		if err != nil {
			return err
		}
		for _, p := range problems {
			wrong = append(wrong, fmt.Sprintf("order %s (%s): %s", o.id, o.kind.name, p))
		}
		if o.kind.completes() {
			completed++
		}
	}
	s.print(f)
	fmt.Printf("the payment service took %d requests for repeats\n", f.repeats)
	if err := s.report(ctx, completed); err != nil {
		wrong = append(wrong, err.Error())
	}
	if len(wrong) > 0 {
		return errors.New("orders are not as they should be:\n" + strings.Join(wrong, "\n"))
	}
	return s.ask(ctx, [][]string{
		{"events", "query", "--type", "order.completed", "--limit", "3"},
		{"events", "query", "--correlation", s.placed[0].id},
	})
}

func (s *shop) find(ctx context.Context) (found, error) {
	f := found{charges: map[string]int{}, refunds: map[string]int{}, events: map[string][]string{}}
	list, err := s.ledgerOf(ctx)
	if err != nil {
		return f, err
	}
	orders := map[string]string{} // by payment
	for _, e := range list {
		f.repeats += e.Requests - 1
		if e.Refund {
			f.refunds[orders[e.Payment]]++
			continue
		}
		f.charges[e.Order]++
		orders[e.Payment] = e.Order
	}
	for e, err := range s.client.Read(ctx, client.Query{Stream: "orders", Consistency: client.Linearizable}) {
		if err != nil {
			return f, err
		}
		var closing struct{ Order string }
		if err := json.Unmarshal(e.Data, &closing); err != nil {
			return f, err
		}
		f.events[closing.Order] = append(f.events[closing.Order], e.Type)
	}
	return f, nil
}

// check says what is wrong with an order.
func (s *shop) check(ctx context.Context, f found, o *placed) (problems []string, err error) {
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	why := ""
	if o.outcome.Err != nil {
		why = o.outcome.Err.Type
	}
	if o.outcome.Status != o.kind.status || why != o.kind.why {
		wrong("it is %s (%v), not %s", o.outcome.Status, o.outcome.Err, o.kind.status)
	}
	if got, want := f.charges[o.id], count(o.kind.charged); got != want {
		wrong("charged %d times, not %d", got, want)
	}
	if got, want := f.refunds[o.id], count(o.kind.refunded); got != want {
		wrong("refunded %d times, not %d", got, want)
	}
	stage := "cancelled"
	if o.kind.completes() {
		stage = "completed"
	}
	if got := strings.Join(f.events[o.id], " "); got != "order."+stage {
		wrong("its events are %q", got)
	}
	var closing struct{ Stage string }
	k, err := s.client.ReadKey(ctx, "orders", o.id)
	if err != nil || json.Unmarshal(k.Value, &closing) != nil || closing.Stage != stage || k.Revision == 0 {
		wrong("its key is %q: %v", k.Value, err)
	}
	for _, item := range []string{"lamp", "rare shade", "unicorn"} {
		_, err := s.client.ReadKey(ctx, "reserved", o.id+"/"+item)
		if err != nil && event.CodeOf(err) != event.CodeNotFound {
			return nil, err
		}
		if there, want := err == nil, o.kind.completes() && item != "unicorn"; there != want {
			wrong("the %s is reserved: %v", item, there)
		}
	}
	return problems, nil
}

func count(is bool) int {
	if is {
		return 1
	}
	return 0
}

// print prints how many orders of each kind there are, and what became of them.
func (s *shop) print(f found) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\norders\tstarted\tended as\tcharges\trefunds\tevents\t")
	for i := range orderKinds {
		kind := &orderKinds[i]
		var started, charges, refunds, events int
		for _, o := range s.placed {
			if o.kind == kind {
				started++
				charges += f.charges[o.id]
				refunds += f.refunds[o.id]
				events += len(f.events[o.id])
			}
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%d\t%d\t%d\t\n", kind.name, started, kind.status, charges, refunds, events)
	}
	_ = w.Flush() // as Println above
}

// report has the workflow report count the orders.
func (s *shop) report(ctx context.Context, completed int) error {
	run, _, err := s.client.StartRun(ctx, reportRun)
	if err != nil {
		return err
	}
	o, err := s.client.WaitRun(ctx, run)
	if err != nil {
		return err
	}
	var got struct{ Completed, Cancelled int }
	if err := json.Unmarshal(o.Result, &got); err != nil || got.Completed != completed || got.Cancelled != len(s.placed)-completed {
		return fmt.Errorf("the report is %s: %v, %v", o.Result, o.Err, err)
	}
	schedule, err := s.client.Schedule(ctx, "orders-report", client.Linearizable)
	if err != nil {
		return err
	}
	if schedule.Fired == 0 || schedule.Failed > 0 {
		return fmt.Errorf("the schedule of reports fired %d times, %d of them in vain", schedule.Fired, schedule.Failed)
	}
	fmt.Printf("a schedule started %d reports; ", schedule.Fired)
	fmt.Printf("the workflow report counts %d completed and %d cancelled\n", got.Completed, got.Cancelled)
	return nil
}
