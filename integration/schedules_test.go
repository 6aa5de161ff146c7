package integration

import (
	"fmt"
	"testing"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
)

// Schedules fire in a cluster of processes whose leader is killed again and again: each
// time has one event, or one change of a key, in its order.
func TestEachTimeOfAScheduleFiresOnceWhoeverIsKilled(t *testing.T) {
	t.Parallel()
	kills := 3
	if soak() {
		kills = 20
	}
	c := start(t, 3)
	ctx := within(t, time.Duration(kills)*20*time.Second+30*time.Second)
	api, err := client.New(client.Config{Servers: c.URLs()})
	must(t, err)
	defer api.Close()
	intervals := []time.Duration{time.Second, 1700 * time.Millisecond, 3 * time.Second}
	for i, every := range intervals {
		_, err := api.CreateSchedule(ctx, fmt.Sprint(i), client.ScheduleSpec{
			Every:  every,
			Action: client.ScheduleAction{Stream: fmt.Sprint("ticks/", i), Event: event.Event{Type: "tick"}},
		})
		must(t, err)
	}
	const keysEvery = time.Second
	keys, err := api.CreateSchedule(ctx, "keys", client.ScheduleSpec{
		Every:  keysEvery,
		Action: client.ScheduleAction{Keys: &client.KeyTxn{Then: []client.KeyStep{client.PutKey("default", "k", []byte("v"), client.PutOptions{})}}},
	})
	must(t, err)
	for range kills {
		must(t, leader(t, c).Kill())
		must(t, c.StartAll(ctx))
		must(t, c.WaitReady(ctx))
		// The next leader has fired before it is killed in its turn.
		for _, err := range api.Tail(ctx, client.Query{Stream: "ticks/0", Since: time.Now(), Limit: 2}) {
			must(t, err)
		}
	}
	keys, err = api.PauseSchedule(ctx, keys.Name, "is counted")
	must(t, err)
	passed := time.Since(keys.Created)
	puts := uint64(0)
	for e, err := range api.Read(ctx, client.Query{Stream: "kv/default", Consistency: client.Linearizable}) {
		must(t, err)
		if e.Type == "edri.kv.put" {
			puts++
		}
	}
	if want := uint64(passed / keysEvery); puts != keys.Fired || puts > want || puts+1 < want {
		t.Errorf("%d puts of %d fires in %v", puts, keys.Fired, passed)
	}
	for i, every := range intervals {
		s, err := api.Schedule(ctx, fmt.Sprint(i), client.Linearizable)
		must(t, err)
		// The next fires tell that those before them are there.
		want := s.Fired + 2
		ticks := uint64(0)
		due := s.Created
		for e, err := range api.Tail(ctx, client.Query{Stream: fmt.Sprint("ticks/", i), Limit: want}) {
			must(t, err)
			due, ticks = due.Add(every), ticks+1
			if !e.Time.Equal(due) {
				t.Fatalf("schedule %d: tick %d is of %v, want %v", i, ticks, e.Time, due)
			}
			if e.Stamp.Before(due) {
				t.Errorf("schedule %d: tick %d of %v came early, at %v", i, ticks, due, e.Stamp)
			}
		}
		t.Logf("schedule %d: %d ticks, %d late; missed %d, skipped %d", i, ticks, s.Late, s.Missed, s.Skipped)
		if s.Missed+s.Skipped+s.Failed > 0 {
			t.Errorf("schedule %d: %+v", i, s)
		}
	}
}
