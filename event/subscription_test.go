package event_test

import (
	"strings"
	"testing"
	"time"

	"github.com/edri-io/edri/event"
)

func TestSubscriptionHasDefaults(t *testing.T) {
	t.Parallel()
	got, err := event.Subscription{Name: "billing"}.Normalised()
	if err != nil {
		t.Fatal(err)
	}
	if got.AckWait != 30*time.Second || got.MaxDeliver != 10 || got.MaxInFlight != 1000 || got.MaxPending != 100_000 ||
		got.MaxHoldAge != 168*time.Hour || got.MaxHoldBytes != 10<<30 || got.DeadLetterStream != "dead/billing" || len(got.Backoff) == 0 {
		t.Errorf("got %+v", got)
	}
}

func TestSubscriptionNamesTheFieldThatIsWrong(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]event.Subscription{
		"subscription":       {},
		"dead-letter stream": {Name: "a", DeadLetterStream: "x\x00"},
		`dead-letter stream: invalid: stream "kv/b"`: {Name: "a", DeadLetterStream: "kv/b"},
		"filter":         {Name: "a", Filter: event.Filter{Exact: map[string]string{}}},
		"ordering key":   {Name: "a", OrderingKey: "color"},
		"written ~0":     {Name: "a", OrderingKey: "/a~2"},
		"ack_wait":       {Name: "a", AckWait: time.Millisecond},
		"backoff":        {Name: "a", Backoff: []time.Duration{-1}},
		"max_deliver":    {Name: "a", MaxDeliver: 101},
		"max_in_flight":  {Name: "a", MaxInFlight: -1},
		"max_pending":    {Name: "a", MaxPending: 2_000_000},
		"max_hold_age":   {Name: "a", MaxHoldAge: time.Millisecond},
		"max_hold_bytes": {Name: "a", MaxHoldBytes: 1},
		"priority":       {Name: "a", Priority: 101},
		"description":    {Name: "a", Description: strings.Repeat("x", 8<<10+1)},
	} {
		_, err := s.Normalised()
		if code := event.CodeOf(err); code != event.CodeInvalid && code != event.CodeTooLarge || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error about %s", err, want)
		}
	}
	for _, key := range []string{"", "partitionkey", "stream", "subject", "/order/id", "/a~1b/~0"} {
		if _, err := (event.Subscription{Name: "a", OrderingKey: key}).Normalised(); err != nil {
			t.Errorf("ordering key %q: %v", key, err)
		}
	}
}
