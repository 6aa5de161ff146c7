package main

import (
	"context"
	"fmt"
	"iter"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
)

func (a *app) subscriptionsListCommand() *cobra.Command {
	var prefix string
	var limit uint64
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "List subscriptions in the order of their names",
		Long: `List subscriptions: where each stands, how many positions of the history are behind
that, what is pending, in flight and dead, and its members. What only the leader
knows is 0 where the leader is not asked.`,
		Example: `  edri subscriptions ls --prefix order`,
		Args:    cobra.NoArgs,
		RunE:    a.does(func(ctx context.Context, _ []string) error { return a.listSubscriptions(ctx, prefix, limit) }),
	}
	cmd.Flags().StringVar(&prefix, "prefix", "", "only names that begin so")
	cmd.Flags().Uint64Var(&limit, "limit", 0, "at most so many; 0 for all")
	return cmd
}

func (a *app) listSubscriptions(ctx context.Context, prefix string, limit uint64) error {
	return writeList(ctx, a, limit,
		func(ctx context.Context, c *client.Client) iter.Seq2[client.SubscriptionInfo, error] {
			return c.Subscriptions(ctx, prefix, client.Linearizable)
		},
		fmt.Sprintf("%-7s  %10s  %10s  %8s  %9s  %8s  %7s  %s", "STATE", "CURSOR", "BEHIND", "PENDING", "IN FLIGHT", "DEAD", "MEMBERS", "NAME"),
		func(b []byte, s client.SubscriptionInfo) []byte {
			return fmt.Appendf(b, "%-7s  %10d  %10d  %8d  %9d  %8d  %7d  %s",
				state(s), s.Cursor, s.Behind, s.Pending, s.InFlight, s.Dead, s.Members, printable(s.Name))
		},
		func(s client.SubscriptionInfo) any { return newSubscriptionJSON(s) },
	)
}
