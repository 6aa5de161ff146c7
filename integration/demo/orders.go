package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/integration/cluster"
	"github.com/edri-io/edri/workflows"
)

const (
	orderCount = 60
	// orderPace is the time between the starts of two orders.
	orderPace = 50 * time.Millisecond
	// paymentDelay is that of each answer of the payment service.
	paymentDelay = "100ms"
)

// orderKind is one of the ways in which an order goes.
type orderKind struct {
	name   string
	order  map[string]any // what differs from the others
	then   func(context.Context, *client.Client, client.RunID) error
	status workflows.Status
	why    string // type of the run's error
	// What must be at the payment service.
	charged, refunded bool
}

func (k *orderKind) completes() bool { return k.status == workflows.Completed }

var orderKinds = []orderKind{
	{name: "shipped", status: workflows.Completed, charged: true,
		then: func(ctx context.Context, c *client.Client, run client.RunID) error {
			return c.SignalRun(ctx, run, workflows.Signal{Name: "shipped", Input: []byte(`{"carrier":"post","parcel":"X1"}`)})
		}},
	{name: "declined", order: map[string]any{"card": "declined"}, status: workflows.Failed, why: "declined"},
	{name: "sold out", order: map[string]any{"items": []string{"lamp", "unicorn"}}, status: workflows.Failed, why: "sold_out", charged: true, refunded: true},
	{name: "too late", order: map[string]any{"ship_within": "2s"}, status: workflows.Failed, why: "late", charged: true, refunded: true},
	{name: "canceled", status: workflows.Canceled, why: workflows.ErrorCanceled, charged: true, refunded: true,
		then: func(ctx context.Context, c *client.Client, run client.RunID) error {
			return c.CancelRun(ctx, run, "changed my mind")
		}},
}

// placed is an order that was started.
type placed struct {
	id      string
	kind    *orderKind
	outcome client.RunOutcome
}

// shop is the part of the demo that fulfils orders: a payment service, two workers, and
// who orders.
type shop struct {
	*demo
	pay     string // URL
	service *cluster.Process
	workers []*cluster.Process
	client  *client.Client
	placed  []*placed
}

// reportRun starts a run that counts all orders.
var reportRun = workflows.Start{ID: "report", Type: "report"}

// orders fulfils orders while the leader and a worker are killed, and checks what became
// of them.
func (d *demo) orders(ctx context.Context, binaries, dir string) (err error) {
	s, err := d.openShop(ctx, binaries, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	fmt.Println()
	d.say("%d orders come in, for two workers of the workflow fulfil", orderCount)
	ordering, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- s.placeAll(ordering) }()
	if err := s.disturb(ctx); err != nil {
		return err
	}
	if err := <-ended; err != nil {
		return err
	}
	d.say("all orders have ended")
	return s.verdict(ctx)
}

func (d *demo) openShop(ctx context.Context, binaries, dir string) (*shop, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := l.Addr().String()
	_ = l.Close() // for the service
	c, err := client.New(client.Config{Servers: d.cluster.URLs()})
	if err != nil {
		return nil, err
	}
	binary := filepath.Join(binaries, "orders")
	process := func(name string, args ...string) *cluster.Process {
		return cluster.NewProcess(name, filepath.Join(dir, name+".log"), binary, nil, args...)
	}
	s := &shop{demo: d, pay: "http://" + address, client: c, service: process("payments", "-payments", address, "-delay", paymentDelay)}
	for _, name := range []string{"worker-1", "worker-2"} {
		s.workers = append(s.workers, process(name, "-server", join(d.cluster.URLs()), "-pay", s.pay, "-report", "2s"))
	}
	for _, p := range append(s.workers, s.service) {
		if err := p.Start(); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	for {
		known, err := c.Definitions(ctx)
		if err == nil && len(known) == 2 {
			return s, nil
		}
		if err := pause(ctx, orderPace); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
}

func (s *shop) close() error {
	var errs []error
	for _, p := range append(s.workers, s.service) {
		if p.Running() {
			errs = append(errs, p.Kill())
		}
	}
	return errors.Join(append(errs, s.client.Close())...)
}

// placeAll places the orders and waits for their ends.
func (s *shop) placeAll(ctx context.Context) error {
	waiter := s.client.RunWaiter()
	defer waiter.Close()
	errs := make([]error, orderCount)
	var wg sync.WaitGroup
	for n := range orderCount {
		o := &placed{id: fmt.Sprintf("o-%02d", n), kind: &orderKinds[n%len(orderKinds)]}
		s.placed = append(s.placed, o)
		wg.Go(func() {
			if err := o.place(ctx, s.client, waiter); err != nil {
				errs[n] = fmt.Errorf("order %s: %w", o.id, err)
			}
		})
		if err := pause(ctx, orderPace); err != nil {
			break
		}
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (o *placed) place(ctx context.Context, c *client.Client, waiter *client.RunWaiter) error {
	order := map[string]any{
		"customer": "c-17", "card": "4242", "address": "dock 1", "items": []string{"lamp", "rare shade"},
		"total": 1999, "ship_within": "1h",
	}
	for name, v := range o.kind.order {
		order[name] = v
	}
	input, err := json.Marshal(order)
	if err != nil {
		return err
	}
	run, _, err := c.StartRun(ctx, workflows.Start{ID: o.id, Type: "fulfil", Input: input})
	if err == nil && o.kind.then != nil {
		err = o.kind.then(ctx, c, run)
	}
	if err == nil {
		o.outcome, err = waiter.Wait(ctx, run)
	}
	return err
}

// disturb kills the leader while orders are between two steps, and then a worker.
func (s *shop) disturb(ctx context.Context) error {
	if err := s.awaitCharges(ctx, orderCount/6); err != nil {
		return err
	}
	if err := s.killLeader(ctx); err != nil {
		return err
	}
	w := s.workers[0]
	if err := w.Kill(); err != nil {
		return err
	}
	s.say("SIGKILL to %s", w.Name)
	if err := w.Start(); err != nil {
		return err
	}
	s.say("restarted %s", w.Name)
	return nil
}

// killLeader kills the leader and starts it again when orders go on.
func (s *shop) killLeader(ctx context.Context) error {
	leader, err := s.cluster.Leader(ctx)
	if err != nil {
		return err
	}
	before, err := s.ledgerOf(ctx)
	if err != nil {
		return err
	}
	if err := leader.Kill(); err != nil {
		return err
	}
	s.say("SIGKILL to the leader %s, with %d charges and refunds made", leader.Name, len(before))
	killed := time.Now()
	// What steps were under way may charge without a leader.
	if _, err := s.cluster.Leader(ctx); err != nil {
		return err
	}
	if err := s.awaitCharges(ctx, len(before)+orderCount/6); err != nil {
		return err
	}
	s.say("%d more after %.2fs", orderCount/6, time.Since(killed).Seconds())
	if err := leader.Start(); err != nil {
		return err
	}
	s.say("restarted %s", leader.Name)
	return nil
}

// entry is a line of the payment service's ledger.
type entry struct {
	Key, Payment, Order string
	Refund              bool
	Requests            int
}

func (s *shop) ledgerOf(ctx context.Context) ([]entry, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.pay+"/ledger", nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	defer response.Body.Close()
	var list []entry
	err = json.NewDecoder(response.Body).Decode(&list)
	return list, err
}

// awaitCharges waits until the ledger has so many lines.
func (s *shop) awaitCharges(ctx context.Context, least int) error {
	for {
		list, err := s.ledgerOf(ctx)
		if err == nil && len(list) >= least {
			return nil
		}
		if ended := pause(ctx, 20*time.Millisecond); ended != nil {
			return fmt.Errorf("wait for %d lines of the ledger: %w", least, errors.Join(ended, err))
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
