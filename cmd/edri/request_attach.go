package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
)

func (a *app) requestAttachCommand() *cobra.Command {
	var now bool
	cmd := &cobra.Command{
		Use:   "attach REQUEST",
		Short: "Wait for the response to a request that was sent before",
		Long: `Wait for the response to a request that was sent before, by whomever, and print its
data. It is known until one hour after the request's deadline. With --now it does not
wait, and says how far the request is.`,
		Example: `  edri request attach 4711
  edri request attach 4711 --now --output json`,
		Args: cobra.ExactArgs(1),
		RunE: a.does(func(ctx context.Context, args []string) error {
			id, err := parsePosition("request", args[0])
			if err != nil {
				return err
			}
			if now {
				return a.showRequest(ctx, id)
			}
			return a.openRequest(a.timeout, func(c *client.Client) error {
				response, err := c.Attach(ctx, id)
				if err != nil {
					return err
				}
				return a.writeResponse(&response)
			})
		}),
	}
	cmd.Flags().BoolVar(&now, "now", false, "do not wait")
	return cmd
}

func (a *app) showRequest(ctx context.Context, id event.Position) error {
	return a.withClient(ctx, func(ctx context.Context, c *client.Client) error {
		o, err := c.RequestOutcome(ctx, id)
		if err != nil {
			return err
		}
		if a.output == outputText {
			_, err := fmt.Fprintf(a.stdout, "%s, %s, until %s\n", o.State, counted(len(o.Responses), "response"), formatTime(o.Deadline))
			return wrapWrite(err)
		}
		responses := []json.RawMessage{}
		for i := range o.Responses {
			responses = append(responses, o.Responses[i].AppendJSON(nil))
		}
		return a.writeJSON(struct {
			Request   event.Position    `json:"request,string"`
			State     string            `json:"state"`
			Deadline  time.Time         `json:"deadline"`
			Responses []json.RawMessage `json:"responses"`
		}{o.Request, o.State.String(), o.Deadline, responses})
	})
}
