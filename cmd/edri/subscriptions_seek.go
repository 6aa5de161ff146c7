package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
)

func (a *app) subscriptionsSeekCommand() *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use:   "seek NAME --to WHERE",
		Short: "Begin again elsewhere in the history",
		Long: `Begin a new generation of the subscription elsewhere in the history. What was
pending is dropped; what is out can no longer be acknowledged. Events that were done
in an earlier generation are delivered again if they are at or behind that place.`,
		Example: `  edri subscriptions seek orders --to first
  edri subscriptions seek orders --to 2026-01-02T15:04:05Z`,
		Args: cobra.ExactArgs(1),
		RunE: a.does(func(ctx context.Context, args []string) error {
			start, err := parseStart("to", to)
			if err != nil {
				return err
			}
			return a.withClient(ctx, func(ctx context.Context, c *client.Client) error {
				s, err := c.SeekSubscription(ctx, args[0], start)
				if err != nil {
					return err
				}
				return a.writeChanged(s, fmt.Sprintf("subscription %s, generation %d, goes on behind position %d", printable(s.Name), s.Generation, s.Cursor))
			})
		}),
	}
	registerStart(cmd, &to, "to", "", "the first event to deliver (required)")
	_ = cmd.MarkFlagRequired("to") // the flag is there
	return cmd
}
