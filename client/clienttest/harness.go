package clienttest

import (
	"context"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers/managerstest"
)

// Harness returns what the suite does to the cluster that c reaches.
func Harness(c *client.Client) managerstest.Harness {
	return managerstest.Harness{
		Cluster: c,
		Append: func(ctx context.Context, stream string, e event.Event) (event.Position, error) {
			a, err := c.Append(ctx, stream, event.ExpectAny, e)
			return a.Position, err
		},
		Read: func(ctx context.Context, stream string) (all []event.Recorded, err error) {
			for e, err := range c.Read(ctx, client.Query{Stream: stream, Consistency: client.Linearizable}) {
				if err != nil {
					return all, err
				}
				all = append(all, e)
			}
			return all, nil
		},
		Call: func(ctx context.Context, e event.Event) (event.Event, error) {
			response, err := c.Call(ctx, "", e, client.CallOptions{})
			return response.Event, err
		},
		Dead: func(ctx context.Context, subscription string) (all []managerstest.Dead, err error) {
			for d, err := range c.DeadLetters(ctx, subscription, client.Linearizable) {
				if err != nil {
					return all, err
				}
				dead := managerstest.Dead{Position: d.Position}
				for _, a := range d.Attempts {
					dead.Reasons = append(dead.Reasons, a.Reason)
				}
				all = append(all, dead)
			}
			return all, nil
		},
	}
}
