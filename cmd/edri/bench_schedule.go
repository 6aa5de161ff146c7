package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/bench"
)

func (a *app) benchScheduleCommand() *cobra.Command {
	var cfg bench.SchedulesConfig
	cmd := &cobra.Command{
		Use:   "schedule",
		Short: "Measure how late schedules fire",
		Long: `Measure how long after its time the event of a schedule is with a reader: with schedules
that are spread over a time, as many in each second, and with all of them in the same
second. This machine's clock must agree with the cluster's. The schedules are deleted; their
events stay.`,
		Example: `  edri bench schedule
  edri bench schedule --schedules 1000 --spread 10s --lead 5s`,
		Args: cobra.NoArgs,
		RunE: a.does(func(ctx context.Context, _ []string) error {
			cfg.Servers, cfg.GiveUpAfter, cfg.Progress, cfg.Logger = a.urls(), a.timeout, a.note, a.logger()
			report, err := bench.Schedules(ctx, cfg)
			if err != nil {
				return err
			}
			return a.writeReport(report)
		}),
	}
	flags := cmd.Flags()
	flags.IntVar(&cfg.Schedules, "schedules", 10_000, "how many schedules")
	flags.DurationVar(&cfg.Spread, "spread", time.Minute, "over how long they are spread, in whole seconds")
	flags.DurationVar(&cfg.Lead, "lead", 30*time.Second, "how much time there is to make them before the first is due")
	return cmd
}
