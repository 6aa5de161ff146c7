package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
)

func (a *app) kvWatchCommand() *cobra.Command {
	var bucket string
	var o client.WatchOptions
	var limit uint64
	var cursors bool
	cmd := &cobra.Command{
		Use:   "watch [KEY]",
		Short: "Follow the changes of a key, or of all",
		Long: `Show each change as it is committed, until interrupted; those of one commit together.
It goes on where it was when a node is lost: nothing is left out and nothing comes
twice. With --from the changes from that position on come first, as far as retention has
left them.

A cursor stands for all changes up to it, so that another watch of the same keys can go on
behind it. With --cursors there is one after the changes that it covers, and every few
seconds where there are none. What a watch that was interrupted is to go on with is written
to standard error; with --limit only if nothing was left out that the node had sent.`,
		Example: `  edri kv watch greeting
  edri kv watch --prefix config/ --from 1 --output jsonl
  edri kv watch --prefix config/ --cursors --output jsonl
  edri kv watch --prefix config/ --cursor CURSOR`,
		Args: cobra.MaximumNArgs(1),
	}
	flags := cmd.Flags()
	registerBucket(flags, &bucket)
	flags.StringVar(&o.Prefix, "prefix", "", "keys that begin so")
	flags.Uint64Var((*uint64)(&o.From), "from", 0, "first position; 0 for what comes from now on")
	flags.StringVar(&o.Cursor, "cursor", "", "where an earlier watch of the same keys was")
	flags.BoolVar(&cursors, "cursors", false, "write cursors too, of which each covers what is before it")
	flags.Uint64Var(&limit, "limit", 0, "end after so many changes; 0 for never")
	cmd.MarkFlagsMutuallyExclusive("from", "cursor")
	cmd.RunE = a.does(func(ctx context.Context, args []string) error {
		if len(args) > 0 {
			if o.Key = args[0]; o.Prefix != "" {
				return usagef("KEY and --prefix exclude each other")
			}
		}
		return a.watchKeys(ctx, bucket, o, limit, cursors)
	})
	return cmd
}

func (a *app) watchKeys(ctx context.Context, bucket string, o client.WatchOptions, limit uint64, cursors bool) error {
	c, err := a.connect(a.timeout)
	if err != nil {
		return err
	}
	defer c.Close()
	w := c.Bucket(bucket).Watch(ctx, o)
	defer w.Close()
	out := newListWriter(a.stdout, a.output)
	whole, err := writeChanges(out, w, limit, cursors)
	if err == nil {
		err = w.Err()
	}
	interrupted := errors.Is(context.Cause(ctx), errInterrupted)
	if err != nil && out.count == 0 && !interrupted {
		return err // nothing of a list was begun
	}
	if whole && w.Cursor() != "" {
		defer fmt.Fprintln(a.stderr, "go on with --cursor", w.Cursor())
	}
	return errors.Join(err, out.close())
}

// writeChanges writes what a watch tells, up to a limit of changes. whole: the watch's
// cursor covers nothing that was not written.
func writeChanges(out *listWriter, w *client.KeyWatch, limit uint64, cursors bool) (whole bool, err error) {
	left := limit
	for w.Next() {
		changes := w.Changes()
		for i, e := range changes {
			if err := writeEntry(out, e); err != nil {
				return false, err
			}
			if left--; left == 0 && limit > 0 && i < len(changes)-1 {
				return false, nil
			}
		}
		if cursors {
			if err := writeCursor(out, w); err != nil {
				return false, err
			}
		}
		if left == 0 && limit > 0 {
			return true, nil
		}
		if err := out.flush(); err != nil {
			return false, err
		}
	}
	return true, nil
}

// cursorJSON is a cursor beside changes.
type cursorJSON struct {
	Cursor   string         `json:"cursor"`
	Position event.Position `json:"position,string"`
}

func writeCursor(out *listWriter, w *client.KeyWatch) error {
	return out.item(
		func(b []byte) ([]byte, error) { return fmt.Append(b, "cursor ", w.Cursor()), nil },
		func(b []byte) ([]byte, error) { return appendJSONLine(b, cursorJSON{w.Cursor(), w.Position()}) },
	)
}
