package server

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/edri-io/edri/client/clienttest"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers"
)

// What a manager does with its events shows in the metrics of the node that leads.
func TestMetricsTellWhatIsDelivered(t *testing.T) {
	t.Parallel()
	m, err := managers.New("clerk", managers.Config{
		Subscription: event.Subscription{MaxDeliver: 2, Backoff: []time.Duration{time.Millisecond}},
		Start:        managers.Start{First: true}, Concurrency: 10,
	})
	if err != nil {
		t.Fatal(err)
	}
	release := make(chan struct{})
	for typ, what := range map[string]func() error{
		"good": func() error { return nil },
		"bad":  func() error { return errors.New("is bad") },
		"no":   func() error { return managers.Reject(errors.New("is of no use")) },
		"skip": func() error { return managers.ErrSkip },
		"slow": func() error { <-release; return nil },
	} {
		managers.Handle(m, typ, func(context.Context, struct{}) (managers.Effects, error) { return managers.Effects{}, what() })
	}
	s := startWith(t, single(t), Options{Managers: []*managers.Manager{m}})
	s.get(t, "/readyz", isOK)
	harness := clienttest.Harness(clientOf(t, s))
	for i, typ := range []string{"good", "good", "bad", "no", "skip", "slow"} {
		if _, err := harness.Append(t.Context(), "in", event.Event{ID: strconv.Itoa(i), Source: "/test", Type: typ}); err != nil {
			t.Fatal(err)
		}
	}
	shows := func(lines ...string) {
		t.Helper()
		s.get(t, "/metrics", func(status int, body string) bool {
			for _, line := range lines {
				if !strings.Contains(body, "\nedri_router_"+line+"\n") {
					return false
				}
			}
			return status == http.StatusOK && !strings.Contains(body, "\nedri_router_oldest_pending_seconds 0\n") == (lines[0] == "in_flight 1")
		})
	}
	shows("in_flight 1", "pending 1", "members 1", "subscriptions 1", "blocked 0", "dead_letters_total 2",
		"deliveries_total 7", "redeliveries_total 1", `settlements_total{verb="ack"} 2`, `settlements_total{verb="nak"} 2`,
		`settlements_total{verb="park"} 1`, `settlements_total{verb="skip"} 1`, `settlements_total{verb="lost"} 0`)
	close(release)
	shows("in_flight 0", "pending 0", `settlements_total{verb="ack"} 3`)
}
