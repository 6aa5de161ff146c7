package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
)

func (a *app) scheduleUpdateCommand() *cobra.Command {
	var f scheduleFlags
	var revision uint64
	cmd := &cobra.Command{
		Use:   "update NAME",
		Short: "Change a schedule from now on",
		Long: `Change what is given, and keep the rest. An empty text takes away what was: --zone ''.
Where the schedule is changed at the same time by someone else, or with --revision is at
another, it ends with exit code 4. Incarnation, counters, pause and requests that are open
stay; what was due fires as it was; another --limit counts anew.`,
		Example: `  edri schedule update report --cron '0 8 * * 1-5' --jitter 1m
  edri schedule update report --revision 3 --data-file report.json`,
		Args: cobra.ExactArgs(1),
	}
	f.register(cmd)
	cmd.Flags().Uint64Var(&revision, "revision", 0, "only if this is the schedule's revision; default the one that is read before")
	cmd.RunE = a.does(func(ctx context.Context, args []string) error {
		return a.withClient(ctx, func(ctx context.Context, c *client.Client) error {
			s, err := c.Schedule(ctx, args[0], client.Linearizable)
			if err != nil {
				return err
			}
			if err := f.change(a, cmd, &s.Spec); err != nil {
				return err
			}
			if revision == 0 {
				revision = s.Revision
			}
			if s, err = c.UpdateSchedule(ctx, args[0], revision, s.Spec); err != nil {
				return err
			}
			return a.writeScheduleChanged(s, fmt.Sprintf("schedule %s, revision %d", printable(s.Name), s.Revision))
		})
	})
	return cmd
}
