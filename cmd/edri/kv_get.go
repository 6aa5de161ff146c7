package main

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
)

func (a *app) kvGetCommand() *cobra.Command {
	var bucket string
	var fresh keyFreshness
	var at uint64
	cmd := &cobra.Command{
		Use:   "get KEY",
		Short: "Write the value of a key",
		Long: `Write the value of a key as it is; to text without a line feed at its end one is
added. With --at as it was when that position was the last, as far back as the bucket
keeps its history.`,
		Example: `  edri kv get greeting
  edri kv get greeting --at 42 --output json`,
		Args: cobra.ExactArgs(1),
	}
	registerBucket(cmd.Flags(), &bucket)
	fresh.register(cmd.Flags())
	cmd.Flags().Uint64Var(&at, "at", 0, "as it was when this position was the last")
	cmd.RunE = a.does(func(ctx context.Context, args []string) error {
		o, err := fresh.parse()
		if err != nil {
			return err
		}
		o.At = event.Position(at)
		return a.withClient(ctx, func(ctx context.Context, c *client.Client) error {
			e, err := c.Bucket(bucket).Get(ctx, args[0], o)
			if err != nil {
				return err
			}
			if a.output != outputText {
				return a.writeJSON(newEntryJSON(e))
			}
			if utf8.Valid(e.Value) && !bytes.HasSuffix(e.Value, []byte("\n")) {
				e.Value = append(e.Value, '\n')
			}
			_, err = a.stdout.Write(e.Value)
			return wrapWrite(err)
		})
	})
	return cmd
}

func (a *app) kvListCommand() *cobra.Command {
	var bucket string
	var fresh keyFreshness
	var limit uint64
	cmd := &cobra.Command{
		Use:   "ls [PREFIX]",
		Short: "List keys in the order of their bytes",
		Example: `  edri kv ls config/
  edri kv ls --output jsonl`,
		Args: cobra.MaximumNArgs(1),
	}
	registerBucket(cmd.Flags(), &bucket)
	fresh.register(cmd.Flags())
	cmd.Flags().Uint64Var(&limit, "limit", 0, "at most so many; 0 for all")
	cmd.RunE = a.does(func(ctx context.Context, args []string) error {
		o, err := fresh.parse()
		if err != nil {
			return err
		}
		prefix := ""
		if len(args) > 0 {
			prefix = args[0]
		}
		return writeList(ctx, a, limit,
			func(ctx context.Context, c *client.Client) iter.Seq2[client.KeyEntry, error] {
				return c.Bucket(bucket).List(ctx, prefix, o)
			}, "", appendEntryLine, func(e client.KeyEntry) any { return newEntryJSON(e) })
	})
	return cmd
}

func (a *app) kvHistoryCommand() *cobra.Command {
	var bucket string
	var fresh keyFreshness
	cmd := &cobra.Command{
		Use:   "history KEY",
		Short: "List what is kept of a key, oldest first",
		Long: `List what is kept of a key, deletions among it. How much that is the bucket says; in
the stream kv/BUCKET are all changes that retention has left.`,
		Example: `  edri kv history greeting`,
		Args:    cobra.ExactArgs(1),
	}
	registerBucket(cmd.Flags(), &bucket)
	fresh.register(cmd.Flags())
	cmd.RunE = a.does(func(ctx context.Context, args []string) error {
		o, err := fresh.parse()
		if err != nil {
			return err
		}
		return a.withClient(ctx, func(ctx context.Context, c *client.Client) error {
			list, cut, err := c.Bucket(bucket).History(ctx, args[0], o)
			switch {
			case err != nil:
				return err
			case len(list) == 0:
				return event.Errorf(event.CodeNotFound, "nothing is kept of key %q", args[0])
			case cut:
				a.note(fmt.Sprintf("what was before revision %d is not kept", list[0].Revision))
			}
			return a.writeEntries(list)
		})
	})
	return cmd
}
