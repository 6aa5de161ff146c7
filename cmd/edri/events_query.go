package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
)

func (a *app) queryCommand() *cobra.Command {
	var f filterFlags
	var reverse bool
	cmd := &cobra.Command{
		Use:   "query",
		Short: "Read the history",
		Long: `Read the events that match all the flags given, oldest first. With --limit the
cursor to go on with is written to standard error.`,
		Example: `  edri events query --stream order/1
  edri events query --type-prefix order. --since 24h --reverse --limit 10
  edri events query --output jsonl > history.ndjson`,
		Args: cobra.NoArgs,
		RunE: a.does(func(ctx context.Context, _ []string) error {
			q, err := f.parse()
			if err != nil {
				return err
			}
			q.Reverse = reverse
			return a.query(ctx, q)
		}),
	}
	f.register(cmd.Flags())
	cmd.Flags().BoolVar(&reverse, "reverse", false, "newest first")
	return cmd
}

func (a *app) query(ctx context.Context, q client.Query) error {
	c, err := a.connect(a.timeout)
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, answered := a.waitFirst(ctx, q.Consistency, q.MinPosition)
	out := newListWriter(a.stdout, a.output)
	r := c.OpenRead(ctx, q)
	defer r.Close()
	for r.Next() {
		answered()
		e := r.Event()
		if err := out.event(&e); err != nil {
			return err
		}
	}
	answered()
	if err := r.Err(); err != nil {
		if out.count > 0 {
			err = errors.Join(err, out.close())
		}
		return tooLong(ctx, err)
	}
	if err := out.close(); err != nil {
		return err
	}
	if q.Limit > 0 && uint64(out.count) == q.Limit && r.Cursor() != "" {
		fmt.Fprintln(a.stderr, "go on with --cursor", r.Cursor())
	}
	return nil
}

// tooLong gives the error of a read that waitFirst ended its proper code.
func tooLong(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errTookTooLong) {
		why := ""
		if last := client.LastTry(err); last != nil {
			if own := (*event.Error)(nil); errors.As(err, &own) && own == last {
				return last // to this command it is an answer
			}
			why = fmt.Sprintf("; the last try: %v", last)
		}
		return event.Errorf(event.CodeDeadlineExceeded, "no node could answer within --timeout%s", why)
	}
	return err
}
