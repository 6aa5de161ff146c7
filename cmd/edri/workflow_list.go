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
3339 or a date. The status is running, completed, failed, canceled, terminated, timed_out or
continued; paused is true or false.`

func (a *app) workflowListCommand() *cobra.Command {
	var filter, consistency string
	var o client.ListOptions
	var limit uint64
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List runs, the last started first",
		Long: `List runs, the last started first; where only a range or prefix of an attribute says where
to look, those with the highest value first. With --limit the cursor to go on with is
written to standard error.

` + filterHelp,
		Example: `  edri workflow ls --filter 'status = "running" and type = "fulfil"'
  edri workflow ls --filter 'total >= 100 and not (customer prefix "test")' -o jsonl
  edri workflow ls --filter 'status in ("failed", "timed_out") and started >= "2026-01-01"'`,
		Args: cobra.NoArgs,
		RunE: a.does(func(ctx context.Context, _ []string) error {
			var err error
			if o.Consistency, err = parseConsistency(consistency); err != nil {
				return err
			}
			return a.listRuns(ctx, filter, limit, o)
		}),
	}
	cmd.Flags().StringVar(&filter, "filter", "", "only runs that match")
	cmd.Flags().Uint64Var(&limit, "limit", 0, "at most so many; 0 for all")
	cmd.Flags().StringVar(&o.Cursor, "cursor", "", "where an earlier list with the same filter ended")
	cmd.Flags().StringVar(&consistency, "consistency", "linearizable", "linearizable, to see all that was acknowledged before, or stale")
	return cmd
}

func (a *app) listRuns(ctx context.Context, filter string, limit uint64, o client.ListOptions) error {
	var cursor string
	err := writeList(ctx, a, limit,
		func(ctx context.Context, c *client.Client) iter.Seq2[client.Run, error] {
			return runsUpTo(ctx, c, filter, limit, o, &cursor)
		},
		fmt.Sprintf("%-10s  %-24s  %-10s  %-20s  %s", "STATUS", "STARTED", "TOOK", "TYPE", "RUN"),
		func(b []byte, r client.Run) []byte {
			return fmt.Appendf(b, "%-10s  %-24s  %-10s  %-20s  %s",
				statusText(r), formatTime(r.Started), tookText(r), fmt.Sprintf("%s:%d", printable(r.Type), r.Version), runName(r.RunID))
		},
		func(r client.Run) any { return newRunJSON(r) },
	)
	if err == nil && cursor != "" {
		fmt.Fprintln(a.stderr, "go on with --cursor", cursor)
	}
	return err
}

// maxRunPage is how many runs one call returns at most.
const maxRunPage = 1000

// runsUpTo returns at most limit runs (0: all), and sets cursor where there may be more. No page
// is larger than what is left, so that the cursor of the last one is behind the last run.
func runsUpTo(ctx context.Context, c *client.Client, filter string, limit uint64, o client.ListOptions, cursor *string) iter.Seq2[client.Run, error] {
	return func(yield func(client.Run, error) bool) {
		for count := uint64(0); ; {
			o.Page = maxRunPage
			if limit > 0 {
				o.Page = int(min(limit-count, maxRunPage))
			}
			page, err := runPage(ctx, c, filter, o)
			if err != nil {
				yield(client.Run{}, err)
				return
			}
			count += uint64(len(page.Runs))
			if limit > 0 && count == limit {
				*cursor = page.Cursor // before the last is yielded, behind which nobody asks for more
			}
			for _, r := range page.Runs {
				if !yield(r, nil) {
					return
				}
			}
			if o.Cursor = page.Cursor; o.Cursor == "" || limit > 0 && count == limit {
				return
			}
		}
	}
}

// runPage returns one page of runs.
func runPage(ctx context.Context, c *client.Client, filter string, o client.ListOptions) (client.RunPage, error) {
	next, stop := iter.Pull2(c.RunPages(ctx, filter, o))
	defer stop()
	page, err, _ := next() // there is always a first
	return page, err
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
