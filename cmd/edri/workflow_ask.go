package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
)

func (a *app) workflowQueryCommand() *cobra.Command {
	var input string
	cmd := &cobra.Command{
		Use:     "query RUN NAME",
		Short:   "Ask a run's code, which changes nothing; unavailable (5) where no worker has it",
		Example: `  edri workflow query order-7 progress`,
		Args:    cobra.ExactArgs(2),
	}
	cmd.Flags().StringVar(&input, "input", "", "input as JSON; @FILE or -")
	cmd.RunE = a.does(func(ctx context.Context, args []string) error {
		in, err := a.jsonFrom("input", input)
		if err != nil {
			return err
		}
		return a.withClient(ctx, func(ctx context.Context, c *client.Client) error {
			run, err := runAt(ctx, c, args[0])
			if err != nil {
				return err
			}
			result, err := c.QueryRun(ctx, run, args[1], in)
			if err != nil {
				return err
			}
			return a.writeAnswer(result)
		})
	})
	return cmd
}

func (a *app) workflowUpdateCommand() *cobra.Command {
	var input, id string
	cmd := &cobra.Command{
		Use:     "update RUN NAME",
		Short:   "Ask a run's code to change something, and wait for its answer",
		Example: `  edri workflow update order-7 add --input '{"item":"bulb"}' --id add-1`,
		Args:    cobra.ExactArgs(2),
	}
	cmd.Flags().StringVar(&input, "input", "", "input as JSON; @FILE or -")
	cmd.Flags().StringVar(&id, "id", "", "id of the update: the same again is answered as it was; default a new UUID")
	cmd.RunE = a.does(func(ctx context.Context, args []string) error {
		in, err := a.jsonFrom("input", input)
		if err != nil {
			return err
		}
		return a.withRun(ctx, args[0], func(ctx context.Context, c *client.Client, run client.RunID) error {
			result, err := c.UpdateRun(ctx, run, id, args[1], in)
			if err != nil {
				return err
			}
			return a.writeAnswer(result)
		})
	})
	return cmd
}
