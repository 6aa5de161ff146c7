package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
)

func (a *app) subscriptionsRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rm NAME",
		Short: "Delete a subscription, with what is pending and its list of dead letters",
		Long: `Delete a subscription, with what is pending and its list of dead letters. Their
stream stays.`,
		Example: `  edri subscriptions rm orders`,
		Args:    cobra.ExactArgs(1),
		RunE: a.does(func(ctx context.Context, args []string) error {
			return a.withClient(ctx, func(ctx context.Context, c *client.Client) error {
				return c.DeleteSubscription(ctx, args[0])
			})
		}),
	}
}
