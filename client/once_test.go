package client

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/edri-io/edri/event"
)

// A call that must not be repeated is outcome_unknown only where it can have been sent.
// Each case says how far a call gets before its caller cuts it.
func TestACallWithoutAConnectionWasNeverSent(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		reach func(t *testing.T, cut func()) (url string, h *http.Client)
		want  event.Code
	}{
		"dialling":                    {reachDial, event.CodeUnavailable},
		"sent":                        {reachServer(false), event.CodeOutcomeUnknown},
		"sent over TLS":               {reachServer(true), event.CodeOutcomeUnknown},
		"a client that does not tell": {reachMute, event.CodeOutcomeUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cut := make(chan struct{}, 1)
			url, h := test.reach(t, func() {
				select {
				case cut <- struct{}{}:
				default:
				}
			})
			c, err := New(Config{Servers: []string{url}, HTTPClient: h})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.ownHTTP = name == "dialling" // the default client, but for the dial
			for what, call := range map[string]func(context.Context) error{
				"once":   func(ctx context.Context) error { _, err := c.Trigger(ctx, "s"); return err },
				"repeat": func(ctx context.Context) error { return c.DeleteSchedule(ctx, "s") },
			} {
				ctx, cancel := context.WithCancel(testContext(t))
				go func() {
					<-cut
					cancel()
				}()
				if err := call(ctx); event.CodeOf(err) != test.want {
					t.Errorf("%s: got %v, want %s", what, err, test.want)
				}
			}
		})
	}
}

func reachDial(_ *testing.T, cut func()) (string, *http.Client) {
	h := defaultHTTPClient()
	h.Transport.(*http.Transport).DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		cut()
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	return "http://127.0.0.1:1", h
}

func reachServer(tls bool) func(*testing.T, func()) (string, *http.Client) {
	return func(t *testing.T, cut func()) (string, *http.Client) {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if isScheduleCall(r) {
				cut()
			}
			<-r.Context().Done()
		}))
		s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
		t.Cleanup(s.Close)
		if tls {
			s.EnableHTTP2 = true
			s.StartTLS()
			return s.URL, s.Client()
		}
		s.Config.Protocols = new(http.Protocols)
		s.Config.Protocols.SetUnencryptedHTTP2(true)
		s.Start()
		return s.URL, defaultHTTPClient()
	}
}

func reachMute(_ *testing.T, cut func()) (string, *http.Client) {
	return "http://127.0.0.1:1", &http.Client{Transport: mute{cut}}
}

// mute sends requests, of which it says nothing.
type mute struct{ cut func() }

func (m mute) RoundTrip(r *http.Request) (*http.Response, error) {
	if isScheduleCall(r) {
		m.cut()
	}
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// isScheduleCall tells the test's calls from the client's own, which learns the members.
func isScheduleCall(r *http.Request) bool { return strings.Contains(r.URL.Path, "Schedules") }
