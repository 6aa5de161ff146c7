package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

func (a *app) workflowQueryCommand() *cobra.Command {
	var input string
	cmd := &cobra.Command{
		Use:   "query RUN NAME",
		Short: "Ask a run's code, which changes nothing; unavailable (5) where no worker has it",
		Long: `Ask a run's code, also when the run has ended. It changes nothing. Where within --timeout
no worker has the code, in the run's version, the exit code is 5 (unavailable). An error of
the code is exit code 1; JSON has it as {"error":...}, with its type and details.`,
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
				return a.writeRefusal(err)
			}
			return a.writeAnswer(result)
		})
	})
	return cmd
}

func (a *app) workflowUpdateCommand() *cobra.Command {
	var input, id string
	cmd := &cobra.Command{
		Use:   "update RUN NAME",
		Short: "Ask a run's code to change something, and wait for its answer",
		Long: `Ask a run's code to change something, and wait for its answer, up to --timeout. An update
that has no answer by then is kept until a worker has the run; the same command with its
--id waits for the answer again. The exit code is then 5. An error of the code is exit code
1; JSON has it as {"error":...}, with its type and details.`,
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
		if id == "" {
			id = uuid.Must(uuid.NewV7()).String()
		}
		return a.withRun(ctx, args[0], func(ctx context.Context, c *client.Client, run client.RunID) error {
			ctx, stop := a.waitFirst(ctx, client.Linearizable, 0)
			defer stop()
			result, err := c.UpdateRun(ctx, run, id, args[1], in)
			if err != nil {
				return a.writeRefusal(unansweredUpdate(ctx, err, id))
			}
			return a.writeAnswer(result)
		})
	})
	return cmd
}

// refusalJSON is the error of the run's code in the place of its answer, as JSON.
type refusalJSON struct {
	Error *workflows.Error `json:"error"`
}

// writeRefusal writes an error that is the answer of the run's code, for programs: with its
// type and details. It returns the error.
func (a *app) writeRefusal(err error) error {
	if refusal := (*workflows.Error)(nil); a.output != outputText && errors.As(err, &refusal) {
		return errors.Join(err, a.writeJSON(refusalJSON{refusal}))
	}
	return err
}

// unansweredUpdate tells how to ask again for the answer to an update. It may be repeated,
// so that an outcome that is not known is no more than an answer that did not come.
func unansweredUpdate(ctx context.Context, err error, id string) error {
	if event.CodeOf(err) != event.CodeOutcomeUnknown {
		return tooLong(ctx, err)
	}
	again := fmt.Sprintf("the same command with --id %s asks for its answer", id)
	if errors.Is(context.Cause(ctx), errTookTooLong) && client.LastTry(err) == nil {
		return event.Errorf(event.CodeDeadlineExceeded, "no worker has answered within --timeout; update %s is kept: %s", id, again)
	}
	return event.Errorf(event.CodeDeadlineExceeded, "update %s may have been made: %s; %v", id, again, err)
}
