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
		Use:   "create NAME",
		Short: "Make a schedule",
		Long: `Make a schedule: at its times an event is appended (--type), a request sent (--type
--request), keys are changed (--put, --txn) or a run is started (--start-workflow). Each fire
is made once. What is left out, or fails, is told by an event of the stream schedule/NAME.`,
		Example: `  edri schedule create report --cron '0 7 * * 1-5' --zone Europe/Berlin --type report.due --exclude-dates 2026-12-24/2026-12-31
  edri schedule create poll --every 30s --jitter 5s --request --within 20s --type poll.asked --overlap skip
  edri schedule create open --cron '0 9 * * 1-5' --zone Europe/Berlin --put open=yes`,
		Args: cobra.ExactArgs(1),
	}
	f.register(cmd)
	cmd.RunE = a.does(func(ctx context.Context, args []string) error {
		spec := client.ScheduleSpec{CatchUp: client.CatchUpLast}
		if err := f.change(a, cmd, &spec); err != nil {
			return err
		}
		switch {
		case !f.given():
			return usagef("one of --cron, --every and --at is required")
		case spec.Action.Keys == nil && spec.Action.Start == nil && spec.Action.Event.Type == "":
			return usagef("one of --type, --put, --txn and --start-workflow is required")
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
