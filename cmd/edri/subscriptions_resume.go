package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
)

func (a *app) subscriptionsResumeCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "resume NAME",
		Short:   "Let delivery go on",
		Example: `  edri subscriptions resume orders`,
		Args:    cobra.ExactArgs(1),
		RunE: a.does(func(ctx context.Context, args []string) error {
			return a.withClient(ctx, func(ctx context.Context, c *client.Client) error {
				s, err := c.ResumeSubscription(ctx, args[0])
				if err != nil {
					return err
				}
				return a.writeChanged(s, fmt.Sprintf("subscription %s goes on", printable(s.Name)))
			})
		}),
	}
}
