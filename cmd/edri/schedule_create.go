package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
)

func (a *app) scheduleCreateCommand() *cobra.Command {
	var f scheduleFlags
	cmd := &cobra.Command{
		Use:   "create NAME --type TYPE",
		Short: "Make a schedule",
		Long: `Make a schedule: at its times an event is appended, or a request sent. Each fire is
made once. What is left out is told by an event of the stream schedule/NAME.`,
		Example: `  edri schedule create report --cron '0 7 * * 1-5' --zone Europe/Berlin --type report.due --exclude-dates 2026-12-24/2026-12-31
  edri schedule create poll --every 30s --jitter 5s --request --within 20s --type poll.asked --overlap skip`,
		Args: cobra.ExactArgs(1),
	}
	f.register(cmd)
	cmd.RunE = a.does(func(ctx context.Context, args []string) error {
		spec, err := f.parse(a, cmd)
		if err != nil {
			return err
		}
		return a.withClient(ctx, func(ctx context.Context, c *client.Client) error {
			s, err := c.CreateSchedule(ctx, args[0], spec)
			if err != nil {
				return err
			}
			return a.writeScheduleChanged(s, fmt.Sprintf("schedule %s, incarnation %d", printable(s.Name), s.Incarnation))
		})
	})
	return cmd
}
