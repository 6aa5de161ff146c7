package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/bench"
)

func (a *app) benchWorkflowCommand() *cobra.Command {
	var cfg bench.WorkflowConfig
	cmd := &cobra.Command{
		Use:   "workflow",
		Short: "Measure runs of three steps, beside durable appends",
		Long: `Measure k runs at a time of a workflow of three steps that do next to nothing, each from
its start to its end, by a worker in this process; and as many producers that append, in
turns. The events stay, the runs are forgotten after a minute.`,
		Example: `  edri bench workflow
  edri bench workflow --in-flight 1,64 --duration 5s`,
		Args: cobra.NoArgs,
		RunE: a.does(func(ctx context.Context, _ []string) error {
			cfg.Servers, cfg.GiveUpAfter, cfg.Progress, cfg.Logger = a.urls(), a.timeout, a.note, a.logger()
			report, err := bench.Workflow(ctx, cfg)
			if err != nil {
				return err
			}
			return a.writeReport(report)
		}),
	}
	flags := cmd.Flags()
	flags.IntSliceVar(&cfg.InFlight, "in-flight", []int{1, 16, 64}, "numbers of runs at a time to measure")
	flags.IntVar(&cfg.Rounds, "rounds", 3, "how often to measure each; the median counts")
	flags.IntVar(&cfg.EventBytes, "event-bytes", 256, "bytes of each event of the appends")
	flags.DurationVar(&cfg.Duration, "duration", 3*time.Second, "length of each measurement")
	flags.DurationVar(&cfg.Warmup, "warmup", 500*time.Millisecond, "time before each measurement that is not counted")
	return cmd
}
