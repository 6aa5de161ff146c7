package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) clusterRemoveCommand() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "remove MEMBER",
		Short: "Take a node out of the cluster for good",
		Long: `Take a node, called by its name or server id, out of the cluster. It stops by
itself with exit code 14, and its server id never comes back: to join again it
needs an empty data directory. The leader hands leadership over before it goes.

Refused is the removal of the last voter, and one that would leave the cluster
without a quorum of nodes that answer (--force does it all the same). While
another change is under way it waits its turn, up to --timeout.`,
		Example: `  edri cluster remove n3`,
		Args:    cobra.ExactArgs(1),
		RunE: a.does(func(ctx context.Context, args []string) error {
			c, err := a.connect(a.timeout)
			if err != nil {
				return err
			}
			defer c.Close()
			id, err := c.RemoveMember(ctx, args[0], force)
			if err != nil {
				return err
			}
			return a.writeMember(id, "removed", fmt.Sprintf("%s is removed.", id))
		}),
	}
	cmd.Flags().BoolVar(&force, "force", false, "even if the cluster loses its quorum by it")
	return cmd
}

// memberResult is what a command did to a member, as JSON.
type memberResult struct {
	ServerID string `json:"server_id"`
	Done     string `json:"done"`
}

func (a *app) writeMember(id, done, sentence string) error {
	if a.output != outputText {
		return a.writeJSON(memberResult{ServerID: id, Done: done})
	}
	_, err := fmt.Fprintln(a.stdout, printable(sentence))
	return wrapWrite(err)
}
