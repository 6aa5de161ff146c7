package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
)

func (a *app) subscriptionsUpdateCommand() *cobra.Command {
	var f subscriptionFlags
	var force bool
	cmd := &cobra.Command{
		Use:   "update NAME",
		Short: "Change what a subscription selects and how it delivers",
		Long: `Change the settings that are given; the others stay. A filter holds for events
beyond the cursor, and is replaced as a whole. The ordering key can be changed only
while nothing is pending, and the version is only raised: --force lowers it, after
which workers of the older definition may come back.`,
		Example: `  edri subscriptions update orders --ack-wait 2m --max-deliver 20`,
		Args:    cobra.ExactArgs(1),
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&force, "force", false, "even to a lower --version")
	cmd.RunE = a.does(func(ctx context.Context, args []string) error {
		if err := f.merge(cmd.Flags(), &event.Subscription{}); err != nil {
			return err // before anyone is asked
		}
		return a.withClient(ctx, func(ctx context.Context, c *client.Client) error {
			there, err := c.Subscription(ctx, args[0], client.Linearizable)
			if err != nil {
				return err
			}
			if err := f.merge(cmd.Flags(), &there.Subscription); err != nil {
				return err
			}
			s, err := c.UpdateSubscription(ctx, there.Subscription, force)
			if err != nil {
				return err
			}
			return a.writeChanged(s, fmt.Sprintf("subscription %s changed", printable(s.Name)))
		})
	})
	return cmd
}
