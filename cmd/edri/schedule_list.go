package main

import (
	"context"
	"fmt"
	"iter"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
)

func (a *app) scheduleListCommand() *cobra.Command {
	var prefix string
	var limit uint64
	cmd := &cobra.Command{
		Use:     "ls",
		Short:   "List schedules in the order of their names",
		Example: `  edri schedule ls --prefix report`,
		Args:    cobra.NoArgs,
		RunE:    a.does(func(ctx context.Context, _ []string) error { return a.listSchedules(ctx, prefix, limit) }),
	}
	cmd.Flags().StringVar(&prefix, "prefix", "", "only names that begin so")
	cmd.Flags().Uint64Var(&limit, "limit", 0, "at most so many; 0 for all")
	return cmd
}

func (a *app) listSchedules(ctx context.Context, prefix string, limit uint64) error {
	return writeList(ctx, a, limit,
		func(ctx context.Context, c *client.Client) iter.Seq2[client.Schedule, error] {
			return c.Schedules(ctx, prefix, client.Linearizable)
		},
		fmt.Sprintf("%-7s  %-24s  %8s  %8s  %8s  %8s  %-28s  %s", "STATE", "NEXT", "FIRED", "SKIPPED", "MISSED", "FAILED", "WHEN", "NAME"),
		func(b []byte, s client.Schedule) []byte {
			return fmt.Appendf(b, "%-7s  %-24s  %8d  %8d  %8d  %8d  %-28s  %s",
				scheduleState(s), nextText(s), s.Fired, s.Skipped, s.Missed, s.Failed, printable(timesText(s.Spec)), printable(s.Name))
		},
		func(s client.Schedule) any { return newScheduleJSON(s) },
	)
}
