package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
)

func (a *app) subscriptionsCreateCommand() *cobra.Command {
	var f subscriptionFlags
	var from string
	var ensure bool
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a subscription",
		Long: `Make a subscription: the events that match are delivered to its members, each once
in effect. Without a filter these are all events but edri's own and dead letters.`,
		Example: `  edri subscriptions create orders --type-prefix order. --ordering-key subject
  edri subscriptions create audit --from first --filter '{"not":{"exact":{"source":"/test"}}}'`,
		Args: cobra.ExactArgs(1),
		RunE: a.does(func(ctx context.Context, args []string) error {
			s, err := f.parse(args[0])
			if err != nil {
				return err
			}
			start, err := parseStart("from", from)
			if err != nil {
				return err
			}
			return a.withClient(ctx, func(ctx context.Context, c *client.Client) error {
				create := c.CreateSubscription
				if ensure {
					create = c.EnsureSubscription
				}
				made, err := create(ctx, s, start)
				if err != nil {
					return err
				}
				return a.writeChanged(made, fmt.Sprintf("subscription %s, generation %d, begins behind position %d", printable(made.Name), made.Generation, made.Cursor))
			})
		}),
	}
	f.register(cmd)
	registerStart(cmd, &from, "from", "now", "the first event to deliver")
	cmd.Flags().BoolVar(&ensure, "ensure", false, "if it is there already, change its settings and leave it where it stands")
	return cmd
}
