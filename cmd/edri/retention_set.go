package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
)

// retentionFlags are bounds as they were typed; empty: not given.
type retentionFlags struct {
	age, bytes, events string
}

func (a *app) retentionSetCommand() *cobra.Command {
	var flags retentionFlags
	cmd := &cobra.Command{
		Use:   "set",
		Short: "Set how much of the history stays",
		Long: `Set how much of the history stays, on all nodes. What is not given stays as it is;
off takes a bound away. An event goes as soon as one of the bounds says so, and
for good: a read of it is answered with compacted.

--age and --events end events one by one; their disk space is freed when the
whole segment file is below the first position. --bytes ends whole segments,
and counts their records without the indexes.`,
		Example: `  edri retention set --age 30d --bytes 100GiB
  edri retention set --events 1000000
  edri retention set --age off`,
		Args: cobra.NoArgs,
		RunE: a.does(func(ctx context.Context, _ []string) error { return a.setRetention(ctx, flags) }),
	}
	cmd.Flags().StringVar(&flags.age, "age", "", "how old an event may become, such as 30d or 36h, or off")
	cmd.Flags().StringVar(&flags.bytes, "bytes", "", "how much the segments may hold, such as 100GiB, or off")
	cmd.Flags().StringVar(&flags.events, "events", "", "how many events stay, or off")
	return cmd
}

func (f retentionFlags) parse() (change client.RetentionChange, err error) {
	if f == (retentionFlags{}) {
		return change, usagef("which? --age, --bytes or --events")
	}
	if f.age != "" {
		age, err := parseAge(f.age)
		if err != nil {
			return change, err
		}
		change.Age = &age
	}
	if f.bytes != "" {
		bytes, err := parseSize(f.bytes)
		if err != nil {
			return change, err
		}
		change.Bytes = &bytes
	}
	if f.events != "" {
		events, err := parseEvents(f.events)
		if err != nil {
			return change, err
		}
		change.Events = &events
	}
	return change, nil
}

func (a *app) setRetention(ctx context.Context, flags retentionFlags) error {
	change, err := flags.parse()
	if err != nil {
		return err
	}
	c, err := a.connect(a.timeout)
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, stop := a.waitFirst(ctx, client.Linearizable, 0)
	defer stop()
	r, err := c.SetRetention(ctx, change)
	if err != nil {
		return err
	}
	return a.writeRetention(r)
}
