package integration

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
)

// How long after its time a fire's event reaches who tails the journal, with schedules
// spread over a minute, and then with all of them due in the same second.
func TestFireDelay(t *testing.T) {
	if !soak() {
		t.Skip("a measurement, part of the soak")
	}
	const schedules = 10_000
	c := start(t, 3)
	ctx := within(t, 10*time.Minute)
	api, err := client.New(client.Config{Servers: c.URLs()})
	must(t, err)
	defer api.Close()
	create := func(name, expression, stream string) error {
		_, err := api.CreateSchedule(ctx, name, client.ScheduleSpec{
			Cron: expression, Action: client.ScheduleAction{Stream: stream, Event: event.Event{Type: "tick"}},
		})
		return err
	}
	parallel(t, schedules, func(i int) error {
		return create(fmt.Sprint("spread/", i), fmt.Sprintf("%d * * * * *", i%60), "spread")
	})
	delays := delaysOf(t, api, "spread", schedules)
	t.Logf("spread: p50 %v, p99 %v, last %v", delays[schedules/2], delays[schedules*99/100], delays[schedules-1])
	parallel(t, schedules, func(i int) error { return api.DeleteSchedule(ctx, fmt.Sprint("spread/", i)) })
	at := time.Now().Add(2 * time.Minute).UTC()
	parallel(t, schedules, func(i int) error {
		return create(fmt.Sprint("same/", i), fmt.Sprintf("0 %d * * * *", at.Minute()), "same")
	})
	delays = delaysOf(t, api, "same", schedules)
	t.Logf("same second: p50 %v, p99 %v, last %v", delays[schedules/2], delays[schedules*99/100], delays[schedules-1])
}

// delaysOf returns the delays of the next so many events of a stream, in their order.
func delaysOf(t *testing.T, api *client.Client, stream string, n int) []time.Duration {
	t.Helper()
	ctx := within(t, 5*time.Minute)
	since := time.Now().Add(time.Second)
	var delays []time.Duration
	for e, err := range api.Tail(ctx, client.Query{Stream: stream, Since: since}) {
		must(t, err)
		delays = append(delays, time.Since(e.Time))
		if len(delays) == n {
			break
		}
	}
	slices.Sort(delays)
	return delays
}

// parallel does something for each number up to n, 64 at a time.
func parallel(t *testing.T, n int, f func(int) error) {
	t.Helper()
	numbers := make(chan int)
	var workers sync.WaitGroup
	for range 64 {
		workers.Go(func() {
			for i := range numbers {
				if err := f(i); err != nil {
					t.Errorf("%d: %v", i, err)
				}
			}
		})
	}
	for i := range n {
		numbers <- i
	}
	close(numbers)
	workers.Wait()
}
