package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
)

func (a *app) requestSendCommand() *cobra.Command {
	var f requestFlags
	cmd := &cobra.Command{
		Use:   "send --type TYPE",
		Short: "Send a request and print its id, without waiting for the response",
		Long: `Send a request and print its id, by which anyone may attach to it from any node
until one hour after its timeout. It waits for a subscription that receives it.`,
		Example: `  edri request send --type price.asked --data '{"article":7}' --within 1h`,
		Args:    cobra.NoArgs,
	}
	f.register(cmd)
	cmd.RunE = a.does(func(ctx context.Context, _ []string) error {
		e, o, err := f.parse(a, cmd)
		if err != nil {
			return err
		}
		return a.openRequest(o.Timeout, func(c *client.Client) error {
			id, err := c.Send(ctx, f.stream, e, o)
			if err != nil {
				return unknownRequest(err, e)
			}
			if a.output != outputText {
				return a.writeJSON(struct {
					Request event.Position `json:"request,string"`
					ID      string         `json:"id"`
					Source  string         `json:"source"`
				}{id, e.ID, e.Source})
			}
			_, err = fmt.Fprintln(a.stdout, id)
			return wrapWrite(err)
		})
	})
	return cmd
}
