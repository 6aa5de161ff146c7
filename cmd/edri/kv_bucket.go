package main

import (
	"context"
	"fmt"
	"iter"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/edri-io/edri/client"
)

func (a *app) kvBucketCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "bucket", Short: "Make and change buckets"}
	a.group(cmd)
	cmd.AddCommand(
		a.bucketCreateCommand(), a.bucketListCommand(), a.bucketShowCommand(), a.bucketUpdateCommand(), a.bucketRemoveCommand(),
	)
	return cmd
}

func registerBucketConfig(flags *pflag.FlagSet, c *client.BucketConfig) {
	flags.IntVar(&c.History, "history", 1, "changes of a key that are kept, the last included; at most 1000")
	flags.DurationVar(&c.TTL, "ttl", 0, "after how long a key expires that is put without one; 0 for never")
	flags.IntVar(&c.MaxValueBytes, "max-value-bytes", 1<<20, "most bytes of one value")
	flags.Uint64Var(&c.MaxKeys, "max-keys", 0, "most keys; 0 for no bound")
	flags.DurationVar(&c.KeepDeleted, "keep-deleted", 24*time.Hour, "how long the history of a key stays that is not there any more")
}

func (a *app) bucketCreateCommand() *cobra.Command {
	var config client.BucketConfig
	var ensure bool
	cmd := &cobra.Command{
		Use:     "create NAME",
		Short:   "Make a bucket",
		Example: `  edri kv bucket create sessions --ttl 30m --history 5`,
		Args:    cobra.ExactArgs(1),
		RunE: a.does(func(ctx context.Context, args []string) error {
			return a.withClient(ctx, func(ctx context.Context, c *client.Client) error {
				create := c.CreateBucket
				if ensure {
					create = c.EnsureBucket
				}
				b, err := create(ctx, args[0], config)
				if err != nil {
					return err
				}
				return a.writeBucketChanged(b, fmt.Sprintf("bucket %s is there", printable(b.Name)))
			})
		}),
	}
	registerBucketConfig(cmd.Flags(), &config)
	cmd.Flags().BoolVar(&ensure, "ensure", false, "if it is there already, change its limits")
	return cmd
}

func (a *app) bucketUpdateCommand() *cobra.Command {
	var given client.BucketConfig
	cmd := &cobra.Command{
		Use:   "update NAME",
		Short: "Change a bucket's limits",
		Long: `Change the limits that are given; the others stay. They hold for changes from then
on: a key's history is cut at its next change, and no time to live that runs changes.`,
		Example: `  edri kv bucket update sessions --ttl 1h`,
		Args:    cobra.ExactArgs(1),
	}
	flags := cmd.Flags()
	registerBucketConfig(flags, &given)
	cmd.RunE = a.does(func(ctx context.Context, args []string) error {
		return a.withClient(ctx, func(ctx context.Context, c *client.Client) error {
			was, err := c.BucketInfo(ctx, args[0], client.KeyReadOptions{})
			if err != nil {
				return err
			}
			config := was.BucketConfig
			for flag, set := range map[string]func(){
				"history":         func() { config.History = given.History },
				"ttl":             func() { config.TTL = given.TTL },
				"max-value-bytes": func() { config.MaxValueBytes = given.MaxValueBytes },
				"max-keys":        func() { config.MaxKeys = given.MaxKeys },
				"keep-deleted":    func() { config.KeepDeleted = given.KeepDeleted },
			} {
				if flags.Changed(flag) {
					set()
				}
			}
			b, err := c.UpdateBucket(ctx, args[0], config)
			if err != nil {
				return err
			}
			return a.writeBucketChanged(b, fmt.Sprintf("bucket %s is changed", printable(b.Name)))
		})
	})
	return cmd
}

func (a *app) bucketRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "rm NAME",
		Short:   "Delete a bucket with all its keys",
		Example: `  edri kv bucket rm sessions`,
		Args:    cobra.ExactArgs(1),
		RunE: a.does(func(ctx context.Context, args []string) error {
			return a.withClient(ctx, func(ctx context.Context, c *client.Client) error {
				if err := c.DeleteBucket(ctx, args[0]); err != nil {
					return err
				}
				if a.output != outputText {
					return a.writeJSON(struct {
						Name string `json:"name"`
					}{args[0]})
				}
				_, err := fmt.Fprintf(a.stdout, "bucket %s is deleted\n", printable(args[0]))
				return wrapWrite(err)
			})
		}),
	}
}

func (a *app) bucketShowCommand() *cobra.Command {
	var fresh keyFreshness
	cmd := &cobra.Command{
		Use:     "show NAME",
		Short:   "Show a bucket's limits and what is in it",
		Example: `  edri kv bucket show sessions`,
		Args:    cobra.ExactArgs(1),
		RunE: a.does(func(ctx context.Context, args []string) error {
			o, err := fresh.parse()
			if err != nil {
				return err
			}
			return a.withClient(ctx, func(ctx context.Context, c *client.Client) error {
				b, err := c.BucketInfo(ctx, args[0], o)
				if err != nil {
					return err
				}
				if a.output != outputText {
					return a.writeJSON(newBucketJSON(b))
				}
				return a.writeBucket(b)
			})
		}),
	}
	fresh.register(cmd.Flags())
	return cmd
}

func (a *app) bucketListCommand() *cobra.Command {
	var fresh keyFreshness
	var prefix string
	cmd := &cobra.Command{
		Use:     "ls",
		Short:   "List buckets in the order of their names",
		Example: `  edri kv bucket ls`,
		Args:    cobra.NoArgs,
		RunE: a.does(func(ctx context.Context, _ []string) error {
			o, err := fresh.parse()
			if err != nil {
				return err
			}
			return writeList(ctx, a, 0,
				func(ctx context.Context, c *client.Client) iter.Seq2[client.BucketInfo, error] {
					return c.Buckets(ctx, prefix, o)
				},
				fmt.Sprintf("%10s  %12s  %7s  %10s  %s", "KEYS", "BYTES", "HISTORY", "TTL", "NAME"),
				func(b []byte, i client.BucketInfo) []byte {
					return fmt.Appendf(b, "%10d  %12d  %7d  %10s  %s", i.Keys, i.ValueBytes, i.History, i.TTL, printable(i.Name))
				},
				func(i client.BucketInfo) any { return newBucketJSON(i) })
		}),
	}
	cmd.Flags().StringVar(&prefix, "prefix", "", "only names that begin so")
	fresh.register(cmd.Flags())
	return cmd
}

// bucketJSON is a bucket as JSON; durations as Go writes them.
type bucketJSON struct {
	Name          string `json:"name"`
	ID            uint64 `json:"id,string"`
	Keys          uint64 `json:"keys"`
	ValueBytes    uint64 `json:"value_bytes"`
	History       int    `json:"history"`
	TTL           string `json:"ttl"`
	MaxValueBytes int    `json:"max_value_bytes"`
	MaxKeys       uint64 `json:"max_keys"`
	KeepDeleted   string `json:"keep_deleted"`
}

func newBucketJSON(b client.BucketInfo) bucketJSON {
	return bucketJSON{
		Name: b.Name, ID: b.ID, Keys: b.Keys, ValueBytes: b.ValueBytes, History: b.History, TTL: b.TTL.String(),
		MaxValueBytes: b.MaxValueBytes, MaxKeys: b.MaxKeys, KeepDeleted: b.KeepDeleted.String(),
	}
}

func (a *app) writeBucketChanged(b client.BucketInfo, text string) error {
	if a.output != outputText {
		return a.writeJSON(newBucketJSON(b))
	}
	_, err := fmt.Fprintln(a.stdout, text)
	return wrapWrite(err)
}

func (a *app) writeBucket(b client.BucketInfo) error {
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, row := range []struct {
		name  string
		value any
	}{
		{"name", printable(b.Name)}, {"id", b.ID}, {"keys", b.Keys}, {"value bytes", b.ValueBytes}, {"history", b.History}, {"ttl", b.TTL},
		{"max value bytes", b.MaxValueBytes}, {"max keys", b.MaxKeys}, {"keep deleted", b.KeepDeleted},
	} {
		fmt.Fprintf(table, "%s\t%v\n", row.name, row.value)
	}
	return wrapWrite(table.Flush())
}
