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
		Use:     "trigger NAME",
		Short:   "Fire a schedule now, also a paused one",
		Example: `  edri schedule trigger report`,
		Args:    cobra.ExactArgs(1),
		RunE: a.does(func(ctx context.Context, args []string) error {
			return a.withClient(ctx, func(ctx context.Context, c *client.Client) error {
				f, err := c.Trigger(ctx, args[0])
				if err != nil {
					return err
				}
				if a.output != outputText {
					return a.writeJSON(struct {
						ID       string         `json:"id"`
						Position event.Position `json:"position,omitempty,string"`
						Reason   string         `json:"reason,omitempty"`
					}{f.ID, f.Position, f.Reason})
				}
				text := fmt.Sprintf("position %d", f.Position)
				switch {
				case f.Reason == client.ReasonConditions:
					text = fmt.Sprintf("position %d: the %s", f.Position, f.Reason)
				case f.Reason != "":
					text = "not fired: " + printable(f.Reason)
				}
				_, err = fmt.Fprintln(a.stdout, text)
				return wrapWrite(err)
			})
		}),
	}
}
