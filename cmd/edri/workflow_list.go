package main

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/workflows"
)

// filterHelp says what a filter is.
const filterHelp = `A filter compares fields with =, !=, <, <=, >, >=, in (...) and prefix, joined by and, or,
not and parentheses. Fields are status, type, id, started, ended, version, paused and the
attributes that workflows declare. Texts stand in quotation marks, times among them, as RFC
3339 or a date.`

func (a *app) workflowListCommand() *cobra.Command {
	var filter, consistency string
	var limit uint64
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List runs, the last started first",
		Long: `List runs, the last started first; where only a range or prefix of an attribute says where
to look, those with the highest value first. ` + filterHelp,
		Example: `  edri workflow ls --filter 'status = "running" and type = "fulfil"'
  edri workflow ls --filter 'total >= 100 and not (customer prefix "test")' -o jsonl
  edri workflow ls --filter 'status in ("failed", "timed_out") and started >= "2026-01-01"'`,
		Args: cobra.NoArgs,
		RunE: a.does(func(ctx context.Context, _ []string) error {
			fresh, err := parseConsistency(consistency)
			if err != nil {
				return err
			}
			return a.listRuns(ctx, filter, limit, fresh)
		}),
	}
	cmd.Flags().StringVar(&filter, "filter", "", "only runs that match")
	cmd.Flags().Uint64Var(&limit, "limit", 0, "at most so many; 0 for all")
	cmd.Flags().StringVar(&consistency, "consistency", "linearizable", "linearizable, to see all that was acknowledged before, or stale")
	return cmd
}

func (a *app) listRuns(ctx context.Context, filter string, limit uint64, fresh client.Consistency) error {
	return writeList(ctx, a, limit,
		func(ctx context.Context, c *client.Client) iter.Seq2[client.Run, error] {
			page := 1000
			if limit > 0 {
				page = int(min(limit, 1000))
			}
			return c.ListRuns(ctx, filter, client.ListOptions{Page: page, Consistency: fresh})
		},
		fmt.Sprintf("%-10s  %-24s  %-10s  %-20s  %s", "STATUS", "STARTED", "TOOK", "TYPE", "RUN"),
		func(b []byte, r client.Run) []byte {
			return fmt.Appendf(b, "%-10s  %-24s  %-10s  %-20s  %s",
				statusText(r), formatTime(r.Started), tookText(r), fmt.Sprintf("%s:%d", printable(r.Type), r.Version), runName(r.RunID))
		},
		func(r client.Run) any { return newRunJSON(r) },
	)
}

// tookText is how long a run took, a dash for one that has not ended.
func tookText(r client.Run) string {
	if r.Status == workflows.Running {
		return "-"
	}
	return shortDuration(r.Ended.Sub(r.Started))
}

// shortDuration is a duration with some three digits.
func shortDuration(d time.Duration) string {
	switch {
	case d >= 10*time.Minute:
		d = d.Round(time.Second)
	case d >= 10*time.Second:
		d = d.Round(100 * time.Millisecond)
	case d >= time.Second:
		d = d.Round(10 * time.Millisecond)
	default:
		d = d.Round(100 * time.Microsecond)
	}
	return d.String()
}
