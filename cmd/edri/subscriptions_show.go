package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
)

func (a *app) subscriptionsShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "show NAME",
		Short:   "Show a subscription's settings and where it stands",
		Example: `  edri subscriptions show orders`,
		Args:    cobra.ExactArgs(1),
		RunE: a.does(func(ctx context.Context, args []string) error {
			return a.withClient(ctx, func(ctx context.Context, c *client.Client) error {
				s, err := c.Subscription(ctx, args[0], client.Linearizable)
				if err != nil {
					return err
				}
				if a.output != outputText {
					return a.writeJSON(newSubscriptionJSON(s))
				}
				return a.writeSubscription(s)
			})
		}),
	}
}

func (a *app) writeSubscription(s client.SubscriptionInfo) error {
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	row := func(name string, value any) {
		if value != "" {
			fmt.Fprintf(table, "%s\t%s\n", name, printable(fmt.Sprint(value)))
		}
	}
	row("name", s.Name)
	row("description", s.Description)
	row("state", state(s))
	row("note", s.Note)
	row("filter", formatFilter(s.Filter))
	row("ordering key", s.OrderingKey)
	row("ack wait", s.AckWait)
	row("max deliver", s.MaxDeliver)
	row("backoff", strings.Join(formatDurations(s.Backoff), ", "))
	row("max in flight", s.MaxInFlight)
	row("max pending", s.MaxPending)
	row("max hold", formatAge(s.MaxHoldAge)+", "+formatSize(uint64(s.MaxHoldBytes)))
	row("priority", s.Priority)
	row("dead letters", s.DeadLetterStream)
	if s.Version > 0 {
		row("version", s.Version)
	}
	row("generation", s.Generation)
	row("cursor", s.Cursor)
	row("behind", s.Behind)
	row("pending", s.Pending)
	if s.OldestPosition > 0 {
		row("oldest pending", fmt.Sprintf("%d of %s", s.OldestPosition, formatTime(s.OldestStamp)))
	}
	row("in flight", s.InFlight)
	row("dead", s.Dead)
	row("members", s.Members)
	row("blocking key", s.BlockingKey)
	return wrapWrite(table.Flush())
}
