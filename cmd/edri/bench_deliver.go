package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/bench"
)

func (a *app) benchDeliverCommand() *cobra.Command {
	var cfg bench.DeliverConfig
	cmd := &cobra.Command{
		Use:   "deliver",
		Short: "Measure deliveries, beside appends",
		Long: `Measure how fast a member with so many credits drains a backlog, deliveries with
confirmed acknowledgements a second, beside as many producers; how soon after its
append is acknowledged an event is with its handler; and how long a request takes,
beside a commit. What is appended stays, the subscriptions do not.`,
		Example: `  edri bench deliver
  edri bench deliver --credits 64,256 --duration 5s --output json`,
		Args: cobra.NoArgs,
		RunE: a.does(func(ctx context.Context, _ []string) error {
			cfg.Servers, cfg.GiveUpAfter, cfg.Progress, cfg.Logger = a.urls(), a.timeout, a.note, a.logger()
			report, err := bench.Deliver(ctx, cfg)
			if err != nil {
				return err
			}
			return a.writeReport(report)
		}),
	}
	flags := cmd.Flags()
	flags.IntSliceVar(&cfg.Credits, "credits", []int{1, 64, 256}, "numbers of credits to measure")
	flags.IntVar(&cfg.EventBytes, "event-bytes", 256, "bytes of each event's data")
	flags.IntVar(&cfg.Rounds, "rounds", 1, "how often to measure each; the median counts")
	flags.DurationVar(&cfg.Duration, "duration", 20*time.Second, "how long to drain a backlog at most")
	flags.DurationVar(&cfg.AppendDuration, "append-duration", 5*time.Second, "length of each measurement of appends and requests")
	flags.DurationVar(&cfg.Warmup, "warmup", 500*time.Millisecond, "time before these that is not counted")
	flags.IntVar(&cfg.MaxBacklog, "max-backlog", 500_000, "most events of a backlog")
	flags.IntVar(&cfg.LiveRate, "live-rate", 1000, "events a second of which the delay is measured")
	flags.DurationVar(&cfg.LiveDuration, "live-duration", 5*time.Second, "for how long")
	return cmd
}
