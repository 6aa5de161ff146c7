package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/bench"
)

func (a *app) benchKeysCommand() *cobra.Command {
	var cfg bench.KeysConfig
	cmd := &cobra.Command{
		Use:   "kv",
		Short: "Measure linearizable reads of keys, beside durable puts",
		Long: `Measure closed-loop clients that get keys, all that was acknowledged before included,
and as many that put them, in turns. The bucket edri-bench is made for it and deleted;
its events stay.`,
		Example: `  edri bench kv
  edri bench kv --clients 1,64,256 --duration 5s`,
		Args: cobra.NoArgs,
		RunE: a.does(func(ctx context.Context, _ []string) error {
			cfg.Servers, cfg.GiveUpAfter, cfg.Progress, cfg.Logger = a.urls(), a.timeout, a.note, a.logger()
			report, err := bench.Keys(ctx, cfg)
			if err != nil {
				return err
			}
			return a.writeReport(report)
		}),
	}
	flags := cmd.Flags()
	flags.IntSliceVar(&cfg.Clients, "clients", []int{1, 64}, "numbers of clients to measure")
	flags.IntVar(&cfg.Keys, "keys", 1000, "how many keys there are")
	flags.IntVar(&cfg.ValueBytes, "value-bytes", 256, "bytes of each value")
	flags.IntVar(&cfg.Rounds, "rounds", 3, "how often to measure each; the median counts")
	flags.DurationVar(&cfg.Duration, "duration", 3*time.Second, "length of each measurement")
	flags.DurationVar(&cfg.Warmup, "warmup", 500*time.Millisecond, "time before each measurement that is not counted")
	return cmd
}
