package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
)

const defaultLast = 10

func (a *app) tailCommand() *cobra.Command {
	var f filterFlags
	var last uint64
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Follow the history as it grows",
		Long: `Show the last events that match, then every new one as it is committed, until
interrupted. It goes on where it was when a node is lost: nothing is left out and
nothing comes twice. With --from, --since or --cursor it begins there instead.`,
		Example: `  edri events tail --type-prefix order.
  edri events tail --from 1 --output jsonl`,
		Args: cobra.NoArgs,
	}
	flags := cmd.Flags()
	f.register(flags)
	flags.Uint64VarP(&last, "last", "n", defaultLast, "how many of the events that are there to show first")
	cmd.MarkFlagsMutuallyExclusive("last", "from")
	cmd.MarkFlagsMutuallyExclusive("last", "since")
	cmd.MarkFlagsMutuallyExclusive("last", "cursor")
	cmd.RunE = a.does(func(ctx context.Context, _ []string) error {
		q, err := f.parse()
		if err != nil {
			return err
		}
		if flags.Changed("from") || flags.Changed("since") || flags.Changed("cursor") {
			return a.tail(ctx, q, nil)
		}
		return a.tail(ctx, q, &last)
	})
	return cmd
}

// tail follows; last, if not nil, is how many events to show from before.
func (a *app) tail(ctx context.Context, q client.Query, last *uint64) error {
	c, err := a.connect(a.timeout)
	if err != nil {
		return err
	}
	defer c.Close()
	out := newListWriter(a.stdout, a.output)
	err = a.follow(ctx, c, q, last, out)
	if err != nil && out.count == 0 && !errors.Is(context.Cause(ctx), errInterrupted) {
		return err // nothing of a list was begun
	}
	return errors.Join(err, out.close())
}

func (a *app) follow(ctx context.Context, c *client.Client, q client.Query, last *uint64, out *listWriter) error {
	if last != nil {
		done, err := a.showLast(ctx, c, &q, *last, out)
		if err != nil || done {
			return err
		}
	}
	r := c.OpenTail(ctx, q)
	defer r.Close()
	for r.Next() {
		e := r.Event()
		if err := out.event(&e); err != nil {
			return err
		}
		if err := out.flush(); err != nil {
			return err
		}
	}
	return r.Err()
}

// showLast shows the last events before now and moves the query behind them.
// done: the limit is reached with them.
func (a *app) showLast(ctx context.Context, c *client.Client, q *client.Query, last uint64, out *listWriter) (done bool, err error) {
	status, err := c.Status(ctx)
	if err != nil {
		return false, fmt.Errorf("find the end of the history: %w", err)
	}
	// What is behind this position now is new; other nodes may not have it yet.
	end := status.LastPosition
	if q.To > 0 && q.To < end {
		end = q.To
	}
	if last > 0 && end > 0 {
		before := *q
		before.Reverse, before.To, before.MinPosition = true, end, max(end, q.MinPosition)
		before.Limit = last
		if q.Limit > 0 {
			before.Limit = min(last, q.Limit)
		}
		var found []event.Recorded
		for e, err := range c.Read(ctx, before) {
			if err != nil {
				return false, err
			}
			found = append(found, e)
		}
		for _, e := range slices.Backward(found) {
			if err := out.event(&e); err != nil {
				return false, err
			}
		}
		if err := out.flush(); err != nil {
			return false, err
		}
		if q.Limit > 0 {
			if q.Limit -= uint64(len(found)); q.Limit == 0 {
				return true, nil
			}
		}
	}
	q.From = end + 1
	return q.To > 0 && q.To < q.From, nil
}
