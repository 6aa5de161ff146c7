package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
)

func (a *app) kvPutCommand() *cobra.Command {
	var bucket, file, contentType string
	var ttl time.Duration
	var revision uint64
	cmd := &cobra.Command{
		Use:   "put KEY [VALUE]",
		Short: "Set a key",
		Long: `Set a key to a value, once, however often it has to be sent. With --revision only
if that is the key's; 0: only if it is not there.`,
		Example: `  edri kv put greeting hello
  edri kv put config/a --file a.json --content-type application/json --revision 7
  date | edri kv put now - --ttl 1m`,
		Args: cobra.RangeArgs(1, 2),
	}
	flags := cmd.Flags()
	registerBucket(flags, &bucket)
	flags.StringVar(&file, "file", "", "read the value from this file")
	flags.StringVar(&contentType, "content-type", "", "the value's media type")
	flags.DurationVar(&ttl, "ttl", 0, "after how long it expires; 0 for never; by default as the bucket says")
	flags.Uint64Var(&revision, "revision", 0, "only if this is the key's revision; 0: if it is not there")
	cmd.RunE = a.does(func(ctx context.Context, args []string) error {
		value, err := a.valueFrom(args[1:], file)
		if err != nil {
			return err
		}
		o := client.PutOptions{ContentType: contentType, TTL: ttl}
		switch {
		case flags.Changed("ttl") && ttl == 0:
			o.TTL = client.NoTTL
		case ttl < 0:
			return usagef("--ttl %v: must not be negative", ttl)
		}
		if flags.Changed("revision") {
			o.Expected = (*event.Position)(&revision)
		}
		return a.withClient(ctx, func(ctx context.Context, c *client.Client) error {
			made, err := c.Bucket(bucket).Put(ctx, args[0], value, o)
			if err != nil {
				return err
			}
			return a.writeRevision(args[0], made, fmt.Sprintf("revision %d", made))
		})
	})
	return cmd
}

func (a *app) kvDeleteCommand() *cobra.Command {
	var bucket string
	var revision uint64
	var purge bool
	cmd := &cobra.Command{
		Use:     "del KEY",
		Aliases: []string{"rm"},
		Short:   "Delete a key",
		Long:    `Delete a key. One that is not there is no failure, unless --revision is given.`,
		Example: `  edri kv del greeting`,
		Args:    cobra.ExactArgs(1),
	}
	flags := cmd.Flags()
	registerBucket(flags, &bucket)
	flags.Uint64Var(&revision, "revision", 0, "only if this is the key's revision")
	flags.BoolVar(&purge, "purge", false, "delete the key's history too")
	cmd.RunE = a.does(func(ctx context.Context, args []string) error {
		o := client.DeleteOptions{Purge: purge}
		if flags.Changed("revision") {
			o.Expected = (*event.Position)(&revision)
		}
		return a.withClient(ctx, func(ctx context.Context, c *client.Client) error {
			made, err := c.Bucket(bucket).Delete(ctx, args[0], o)
			if err != nil {
				return err
			}
			text := fmt.Sprintf("deleted with revision %d", made)
			if made == 0 {
				text = "it was not there"
			}
			return a.writeRevision(args[0], made, text)
		})
	})
	return cmd
}
