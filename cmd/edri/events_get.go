package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
)

func (a *app) getCommand() *cobra.Command {
	var consistency string
	var minPosition uint64
	cmd := &cobra.Command{
		Use:     "get POSITION",
		Short:   "Show one event with all its attributes and data",
		Example: `  edri events get 42`,
		Args:    cobra.ExactArgs(1),
		RunE: a.does(func(ctx context.Context, args []string) error {
			position, err := parsePosition("position", args[0])
			if err != nil {
				return err
			}
			fresh, err := parseConsistency(consistency)
			if err != nil {
				return err
			}
			return a.get(ctx, position, client.ReadOptions{Consistency: fresh, MinPosition: event.Position(minPosition)})
		}),
	}
	cmd.Flags().StringVar(&consistency, "consistency", "stale", "linearizable or stale")
	cmd.Flags().Uint64Var(&minPosition, "min-position", 0, "wait until the node has this position")
	return cmd
}

func (a *app) get(ctx context.Context, position event.Position, o client.ReadOptions) error {
	c, err := a.connect(a.timeout)
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, answered := a.waitFirst(ctx, o.Consistency, o.MinPosition)
	e, err := c.Get(ctx, position, o)
	answered()
	if err != nil {
		return tooLong(ctx, err)
	}
	if a.output == outputText {
		return writeEvent(a.stdout, &e)
	}
	_, err = a.stdout.Write(append(e.AppendJSON(nil), '\n'))
	return wrapWrite(err)
}
