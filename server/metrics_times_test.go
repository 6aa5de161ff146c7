package server

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
)

// What schedules, timers and keys do shows in the metrics of the node that leads.
func TestMetricsTellOfSchedulesTimersAndKeys(t *testing.T) {
	t.Parallel()
	s := startWith(t, single(t), Options{})
	s.get(t, "/readyz", isOK)
	c := clientOf(t, s)
	ctx := t.Context()
	tick := event.Event{Type: "tick"}
	put := func(bucket string) *client.KeyTxn {
		return &client.KeyTxn{Then: []client.KeyStep{client.PutKey(bucket, "k", []byte("abc"), client.PutOptions{})}}
	}
	for name, action := range map[string]client.ScheduleAction{
		"append": {Stream: "s", Event: tick}, "request": {Stream: "s", Event: tick, Request: true, Timeout: time.Hour},
		"keys": {Keys: put("default")}, "fails": {Keys: put("none")},
	} {
		if _, err := c.CreateSchedule(ctx, name, client.ScheduleSpec{Every: time.Hour, Action: action}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"append", "append", "request", "request", "request", "keys", "fails"} {
		if _, err := c.Trigger(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"1", "2"} {
		if _, err := c.AppendLater(ctx, "s", event.Event{ID: id, Source: "/test", Type: "later"}, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	s.get(t, "/metrics", func(status int, body string) bool {
		for _, line := range []string{
			"schedule_schedules 4", `schedule_fired_total{action="append"} 2`, `schedule_fired_total{action="request"} 1`,
			`schedule_fired_total{action="keys"} 1`, `schedule_failed_total{action="keys"} 1`, `schedule_failed_total{action="append"} 0`,
			`schedule_skipped_total{action="request"} 2`, `schedule_missed_total{action="append"} 0`, `schedule_late_total{action="append"} 0`,
			"kv_buckets 1", "kv_keys 1", "kv_value_bytes 3",
			"timers_pending 3", "timers_overdue 0", // the third is the request's deadline
		} {
			if !strings.Contains(body, "\nedri_"+line+"\n") {
				return false
			}
		}
		return status == http.StatusOK
	})
}
