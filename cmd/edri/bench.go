package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/bench"
)

func (a *app) benchCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "bench", Short: "Measure a running cluster"}
	a.group(cmd)
	cmd.AddCommand(a.benchAppendCommand(), a.benchReadCommand(), a.benchDeliverCommand(), a.benchKeysCommand(),
		a.benchScheduleCommand(), a.benchWorkflowCommand())
	return cmd
}

func (a *app) benchAppendCommand() *cobra.Command {
	var cfg bench.AppendConfig
	cmd := &cobra.Command{
		Use:   "append",
		Short: "Measure durable appends, beside the disk's own limit",
		Long: `Append from closed-loop producers, each of which waits for its answer. With
--limit-dir the disk's own limit is measured in the same run, on a folder of the
file system that holds the data directories. What is appended stays.`,
		Example: `  edri bench append --limit-dir ./data
  edri bench append --producers 64,256 --duration 5s`,
		Args: cobra.NoArgs,
		RunE: a.does(func(ctx context.Context, _ []string) error {
			cfg.Servers, cfg.GiveUpAfter, cfg.Progress, cfg.Logger = a.urls(), a.timeout, a.note, a.logger()
			report, err := bench.Append(ctx, cfg)
			if err != nil {
				return err
			}
			return a.writeReport(report)
		}),
	}
	flags := cmd.Flags()
	flags.IntSliceVar(&cfg.Producers, "producers", []int{1, 64, 256, 1024}, "numbers of producers to measure")
	flags.IntVar(&cfg.EventBytes, "event-bytes", 256, "bytes of each event's data")
	flags.IntVar(&cfg.Rounds, "rounds", 3, "how often to measure each; the median counts")
	flags.DurationVar(&cfg.Duration, "duration", 3*time.Second, "length of each measurement")
	flags.DurationVar(&cfg.Warmup, "warmup", 500*time.Millisecond, "time before each measurement that is not counted")
	flags.StringVar(&cfg.LimitDir, "limit-dir", "", "folder in which to measure the disk's own limit; none without it")
	flags.StringSliceVar(&cfg.LimitDirs, "limit-dirs", nil, "three folders instead, where the nodes have three disks")
	cmd.MarkFlagsMutuallyExclusive("limit-dir", "limit-dirs")
	return cmd
}

func (a *app) benchReadCommand() *cobra.Command {
	var cfg bench.ReadConfig
	cmd := &cobra.Command{
		Use:     "read",
		Short:   "Measure scans of the history",
		Example: `  edri bench read --limit 1000000`,
		Args:    cobra.NoArgs,
		RunE: a.does(func(ctx context.Context, _ []string) error {
			cfg.Servers, cfg.GiveUpAfter, cfg.Progress, cfg.Logger = a.urls(), a.timeout, a.note, a.logger()
			report, err := bench.Read(ctx, cfg)
			if err != nil {
				return err
			}
			return a.writeReport(report)
		}),
	}
	flags := cmd.Flags()
	flags.Uint64Var(&cfg.Limit, "limit", 0, "most events of a scan; 0 for all")
	flags.IntVar(&cfg.Rounds, "rounds", 3, "how often to scan; the median counts")
	flags.StringVar(&cfg.Stream, "stream", "", "only this stream")
	flags.StringVar(&cfg.Type, "type", "", "only this type")
	flags.StringVar(&cfg.Source, "source", "", "only this source")
	flags.BoolVar(&cfg.Reverse, "reverse", false, "from the last to the first")
	return cmd
}

// note writes a line about progress.
func (a *app) note(line string) { fmt.Fprintln(a.stderr, line) }

type report interface {
	WriteText(io.Writer) error
	WriteJSON(io.Writer) error
}

func (a *app) writeReport(r report) error {
	if a.output == outputText {
		return wrapWrite(r.WriteText(a.stdout))
	}
	return wrapWrite(r.WriteJSON(a.stdout))
}
