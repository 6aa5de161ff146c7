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
	here, stamped := delaysOf(t, api, "spread", schedules)
	report(t, "spread, here", here)
	report(t, "spread, stamped", stamped)
	parallel(t, schedules, func(i int) error { return api.DeleteSchedule(ctx, fmt.Sprint("spread/", i)) })
	at := time.Now().Add(2 * time.Minute).UTC()
	parallel(t, schedules, func(i int) error {
		return create(fmt.Sprint("same/", i), fmt.Sprintf("0 %d * * * *", at.Minute()), "same")
	})
	here, _ = delaysOf(t, api, "same", schedules)
	report(t, "same second", here)
}

// delaysOf returns the delays of the next so many events of a stream, in their order:
// until they are here, and that until their commit was stamped.
func delaysOf(t *testing.T, api *client.Client, stream string, n int) (here, stamped []time.Duration) {
	t.Helper()
	ctx := within(t, 5*time.Minute)
	began := time.Now()
	slow := map[time.Time]int{}
	for e, err := range api.Tail(ctx, client.Query{Stream: stream, Since: began}) {
		must(t, err)
		if e.Time.Sub(began) < time.Second {
			continue // while the tail was being opened
		}
		here = append(here, time.Since(e.Time))
		stamped = append(stamped, e.Stamp.Sub(e.Time))
		if here[len(here)-1] > 50*time.Millisecond {
			slow[e.Time]++
		}
		if len(here) == n {
			break
		}
	}
	t.Logf("%s: later than 50ms were, by their times, %v", stream, slow)
	slices.Sort(here)
	slices.Sort(stamped)
	return here, stamped
}

func report(t *testing.T, what string, delays []time.Duration) {
	t.Helper()
	n := len(delays)
	t.Logf("%s: p50 %v, p99 %v, last %v", what, delays[n/2], delays[n*99/100], delays[n-1])
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
