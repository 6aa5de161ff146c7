package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
)

func (a *app) scheduleBackfillCommand() *cobra.Command {
	var from, to string
	cmd := &cobra.Command{
		Use:   "backfill NAME --from TIME",
		Short: "Fire a schedule for its times in a range that has passed",
		Long: `Fire a schedule for its times in a range that has passed, both ends included, also for
times for which it fired. It begins and does not wait for the end.`,
		Example: `  edri schedule backfill report --from 2026-03-01T00:00:00Z --to 2026-03-31T23:59:59Z
  edri schedule backfill report --from 48h`,
		Args: cobra.ExactArgs(1),
		RunE: a.does(func(ctx context.Context, args []string) error {
			now := time.Now()
			if from == "" {
				return usagef("--from is required")
			}
			first, err := parseWhen("from", from, now)
			if err != nil {
				return err
			}
			last, err := parseWhen("to", to, now)
			if err != nil {
				return err
			}
			return a.withClient(ctx, func(ctx context.Context, c *client.Client) error {
				batch, err := c.Backfill(ctx, args[0], first, last)
				if err != nil {
					return err
				}
				if a.output != outputText {
					return a.writeJSON(struct {
						Batch uint64 `json:"batch,string"`
					}{batch})
				}
				_, err = fmt.Fprintf(a.stdout, "batch %d\n", batch)
				return wrapWrite(err)
			})
		}),
	}
	cmd.Flags().StringVar(&from, "from", "", "the first time, in RFC 3339 or as how long ago (required)")
	cmd.Flags().StringVar(&to, "to", "0s", "the last time, in RFC 3339 or as how long ago")
	return cmd
}
