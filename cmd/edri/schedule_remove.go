package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
)

func (a *app) scheduleRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "rm NAME",
		Short:   "End a schedule; requests of it that are open go on",
		Example: `  edri schedule rm report`,
		Args:    cobra.ExactArgs(1),
		RunE: a.does(func(ctx context.Context, args []string) error {
			return a.withClient(ctx, func(ctx context.Context, c *client.Client) error {
				return c.DeleteSchedule(ctx, args[0])
			})
		}),
	}
}
