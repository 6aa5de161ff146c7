package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
)

func (a *app) kvWatchCommand() *cobra.Command {
	var bucket string
	var o client.WatchOptions
	var limit uint64
	cmd := &cobra.Command{
		Use:   "watch [KEY]",
		Short: "Follow the changes of a key, or of all",
		Long: `Show each change as it is committed, until interrupted; those of one commit together.
It goes on where it was when a node is lost: nothing is left out and nothing comes
twice. With --from the changes from that position on come first, as far as retention has
left them.`,
		Example: `  edri kv watch greeting
  edri kv watch --prefix config/ --from 1 --output jsonl`,
		Args: cobra.MaximumNArgs(1),
	}
	flags := cmd.Flags()
	registerBucket(flags, &bucket)
	flags.StringVar(&o.Prefix, "prefix", "", "keys that begin so")
	flags.Uint64Var((*uint64)(&o.From), "from", 0, "first position; 0 for what comes from now on")
	flags.Uint64Var(&limit, "limit", 0, "end after so many changes; 0 for never")
	cmd.RunE = a.does(func(ctx context.Context, args []string) error {
		if len(args) > 0 {
			if o.Key = args[0]; o.Prefix != "" {
				return usagef("KEY and --prefix exclude each other")
			}
		}
		return a.watchKeys(ctx, bucket, o, limit)
	})
	return cmd
}

func (a *app) watchKeys(ctx context.Context, bucket string, o client.WatchOptions, limit uint64) error {
	c, err := a.connect(a.timeout)
	if err != nil {
		return err
	}
	defer c.Close()
	w := c.Bucket(bucket).Watch(ctx, o)
	defer w.Close()
	out := newListWriter(a.stdout, a.output)
	for w.Next() {
		for _, e := range w.Changes() {
			if err := writeEntry(out, e); err != nil {
				return err
			}
			if uint64(out.count) == limit && limit > 0 {
				return out.close()
			}
		}
		if err := out.flush(); err != nil {
			return err
		}
	}
	err = w.Err()
	if out.count == 0 && !errors.Is(context.Cause(ctx), errInterrupted) {
		return err // nothing of a list was begun
	}
	return errors.Join(err, out.close())
}
