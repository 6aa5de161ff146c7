package client

import (
	"context"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/api/edriv1/wire"
	"github.com/edri-io/edri/event"
)

// One node of two lives, and says why it cannot serve: that is what the error of a call that
// ended tells, and not that it ended, or that the other node is gone.
func TestACallThatEndedTellsWhatAServerSaid(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 2)
	cluster.nodes[1].stop()
	cluster.found = func(*fakeNode, []string) ([]wire.KeyFound, error) {
		return nil, event.Errorf(event.CodeUnavailable, "no leader is known")
	}
	for name, x := range map[string]struct {
		want string // in the last try
		call func(ctx context.Context, c *Client) error
	}{
		"ask": {"no leader", func(ctx context.Context, c *Client) error {
			return c.ask(ctx, func(ctx context.Context, n *server) error {
				if n.url == cluster.nodes[0].url {
					return event.Errorf(event.CodeUnavailable, "no leader")
				}
				_, err := n.status.CallUnary(ctx, connect.NewRequest(&edriv1.StatusRequest{}))
				return err
			})
		}},
		"get": {"", func(ctx context.Context, c *Client) error {
			_, err := c.Bucket("b").Get(ctx, "k", KeyReadOptions{})
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			err := x.call(ctx, cluster.client(t, Config{}))
			wantCode(t, err, event.CodeDeadlineExceeded)
			if last := LastTry(err); last == nil || !strings.Contains(last.Message, x.want) || !strings.Contains(err.Error(), "last try: ") {
				t.Errorf("last try %v of %v, want %s", last, err, x.want)
			}
		})
	}
}

// Where a server has the call until it ends, no try has failed.
func TestACallThatAServerHasHasNoLastTry(t *testing.T) {
	t.Parallel()
	cluster := newFakeCluster(t, 1)
	ctx, cancel := context.WithCancel(testContext(t))
	defer cancel()
	err := cluster.client(t, Config{}).repeat(ctx, func(ctx context.Context, n *server) error {
		if _, err := n.askStatus(ctx); err != nil {
			t.Error(err)
		}
		cancel()
		return ctx.Err()
	})
	wantCode(t, err, event.CodeOutcomeUnknown)
	if last := LastTry(err); last != nil {
		t.Errorf("last try %v, want none", last)
	}
}
