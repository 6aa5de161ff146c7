package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
)

func (a *app) clusterReplaceCommand() *cobra.Command {
	var cancel bool
	cmd := &cobra.Command{
		Use:   "replace OLD [NEW]",
		Short: "Let a new node take the place of one whose disk is gone",
		Long: `Let the next node that is named NEW, by default like OLD, take OLD's place: start
it with an empty data directory and the flags it always had, or with --join. It
catches up, OLD is taken out, and it votes, by itself. The cluster tolerates no
fewer failures on the way than before.

The same in one step, without this command: edri-server run --join URL
--replace OLD. See how it goes with edri cluster status.`,
		Example: `  edri cluster replace n3
  edri cluster replace n3 n4
  edri cluster replace n3 --cancel`,
		Args: cobra.RangeArgs(1, 2),
		RunE: a.does(func(ctx context.Context, args []string) error {
			c, err := a.connect(a.timeout)
			if err != nil {
				return err
			}
			defer c.Close()
			return a.clusterReplace(ctx, c, append(args, "")[:2], cancel)
		}),
	}
	cmd.Flags().BoolVar(&cancel, "cancel", false, "take it back; the node has not come yet")
	return cmd
}

// clusterReplace is given the member that goes and the name of the node that
// comes, which may be empty.
func (a *app) clusterReplace(ctx context.Context, c *client.Client, names []string, cancel bool) error {
	if cancel {
		id, err := c.CancelReplacement(ctx, names[0], names[1])
		if err != nil {
			return err
		}
		return a.writeMember(id, "cancelled", fmt.Sprintf("%s is not to be replaced any more.", id))
	}
	id, err := c.ReplaceMember(ctx, names[0], names[1])
	if err != nil {
		return err
	}
	name := names[1]
	if name == "" {
		name = id[:max(strings.LastIndexByte(id, '.'), 0)]
	}
	return a.writeMember(id, "expected", fmt.Sprintf("%s is replaced as soon as %s starts with an empty data directory.", id, name))
}
