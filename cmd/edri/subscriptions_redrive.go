package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
)

// maxRedrive is how many dead letters one call takes.
const maxRedrive = 1000

func (a *app) subscriptionsRedriveCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "redrive NAME [POSITION...]",
		Short: "Deliver dead letters again",
		Long: `Put dead letters back among the pending, with no attempts behind them and outside
the order of their keys: those at the positions that are given, or all.`,
		Example: `  edri subscriptions redrive orders 17 23
  edri subscriptions redrive orders --all`,
		Args: cobra.MinimumNArgs(1),
		RunE: a.does(func(ctx context.Context, args []string) error {
			positions, err := parsePositions(args[1:])
			if err != nil {
				return err
			}
			if all == (len(positions) > 0) {
				return usagef("which? positions, or --all")
			}
			return a.withClient(ctx, func(ctx context.Context, c *client.Client) error {
				count, err := redrive(ctx, c, args[0], positions)
				if err != nil {
					return err
				}
				return a.writeRedriven(count)
			})
		}),
	}
	cmd.Flags().BoolVar(&all, "all", false, "all that are dead")
	return cmd
}

func parsePositions(args []string) (positions []event.Position, err error) {
	for _, arg := range args {
		p, err := parsePosition("position", arg)
		if err != nil {
			return nil, err
		}
		positions = append(positions, p)
	}
	return positions, nil
}

// redrive calls until none is left, where none is named.
func redrive(ctx context.Context, c *client.Client, name string, positions []event.Position) (count int, err error) {
	for {
		n, err := c.Redrive(ctx, name, positions...)
		count += n
		if err != nil && count > 0 {
			err = fmt.Errorf("after %d dead letters: %w", count, err)
		}
		if err != nil || len(positions) > 0 || n < maxRedrive {
			return count, err
		}
	}
}

func (a *app) writeRedriven(count int) error {
	if a.output != outputText {
		return a.writeJSON(struct {
			Redriven int `json:"redriven"`
		}{count})
	}
	_, err := fmt.Fprintf(a.stdout, "redriven %d\n", count)
	return wrapWrite(err)
}
