package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
)

func (a *app) scheduleTriggerCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "trigger NAME",
		Short: "Fire a schedule now, also a paused one",
		Long: `Fire a schedule now, also a paused one, and print the position of what that made, or why
there is nothing. A fire that fails ends with exit code 1; one that --overlap leaves out or
makes wait does not.`,
		Example: `  edri schedule trigger report`,
		Args:    cobra.ExactArgs(1),
		RunE: a.does(func(ctx context.Context, args []string) error {
			return a.withClient(ctx, func(ctx context.Context, c *client.Client) error {
				f, err := c.Trigger(ctx, args[0])
				if err != nil {
					return err
				}
				if err := a.writeFired(f); err != nil {
					return err
				}
				if f.Failed() {
					return fmt.Errorf("not fired: %s", f.Reason)
				}
				return nil
			})
		}),
	}
}

// writeFired writes what came of a fire; for people nothing of one that failed, which is an
// error.
func (a *app) writeFired(f client.Fired) error {
	if a.output != outputText {
		return a.writeJSON(struct {
			ID       string         `json:"id"`
			Position event.Position `json:"position,omitempty,string"`
			Reason   string         `json:"reason,omitempty"`
		}{f.ID, f.Position, f.Reason})
	}
	text := fmt.Sprintf("position %d", f.Position)
	switch {
	case f.Failed():
		return nil
	case f.Reason == client.ReasonConditions && f.Position == 0:
		text = "the " + f.Reason
	case f.Reason == client.ReasonConditions:
		text = fmt.Sprintf("position %d: the %s", f.Position, f.Reason)
	case f.Reason != "":
		text = "not fired: " + f.Reason
	}
	_, err := fmt.Fprintln(a.stdout, text)
	return wrapWrite(err)
}
