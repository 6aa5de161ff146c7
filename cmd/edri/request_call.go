package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
)

func (a *app) requestCallCommand() *cobra.Command {
	var f requestFlags
	var gather int
	cmd := &cobra.Command{
		Use:   "call --type TYPE",
		Short: "Send a request and print the data of its response",
		Long: `Send a request and print the data of its response; JSON has the whole event. Where no
subscription would receive the request it is no_responder, at once. A response that is
a problem (RFC 9457) is an error; so a request that was given up is too. With --gather it waits for many responses, or for
the time of --within, and prints those that came.`,
		Example: `  edri request call --type price.asked --data '{"article":7}' --within 5s`,
		Args:    cobra.NoArgs,
	}
	f.register(cmd)
	cmd.Flags().IntVar(&gather, "gather", 0, "how many responses to wait for, each of which is printed on a line")
	cmd.RunE = a.does(func(ctx context.Context, _ []string) error {
		e, o, err := f.parse(a, cmd)
		if err != nil {
			return err
		}
		if gather < 0 {
			return usagef("--gather %d: must be at least 1", gather)
		}
		return a.openRequest(o.Timeout, func(c *client.Client) error {
			if gather > 0 {
				responses, err := c.Gather(ctx, f.stream, e, gather, o.Timeout)
				if err != nil {
					return unknownRequest(err, e)
				}
				return a.gathered(responses)
			}
			response, err := c.Call(ctx, f.stream, e, o)
			if err != nil {
				return unknownRequest(err, e)
			}
			return a.writeResponse(&response)
		})
	})
	return cmd
}
