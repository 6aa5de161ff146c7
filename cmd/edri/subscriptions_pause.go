package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
)

func (a *app) subscriptionsPauseCommand() *cobra.Command {
	var note string
	cmd := &cobra.Command{
		Use:   "pause NAME",
		Short: "Stop delivery",
		Long: `Stop delivery until the subscription is resumed. What is out may still be
acknowledged.`,
		Example: `  edri subscriptions pause orders --note "the warehouse is moved"`,
		Args:    cobra.ExactArgs(1),
		RunE: a.does(func(ctx context.Context, args []string) error {
			return a.withClient(ctx, func(ctx context.Context, c *client.Client) error {
				s, err := c.PauseSubscription(ctx, args[0], note)
				if err != nil {
					return err
				}
				return a.writeChanged(s, fmt.Sprintf("subscription %s is paused", printable(s.Name)))
			})
		}),
	}
	cmd.Flags().StringVar(&note, "note", "", "why, for whoever looks")
	return cmd
}
