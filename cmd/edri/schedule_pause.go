package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
)

func (a *app) schedulePauseCommand() *cobra.Command {
	var note string
	cmd := &cobra.Command{
		Use:     "pause NAME",
		Short:   "Stop a schedule; times that pass meanwhile are not made up for",
		Example: `  edri schedule pause report --note 'until the move is done'`,
		Args:    cobra.ExactArgs(1),
		RunE: a.does(func(ctx context.Context, args []string) error {
			return a.withClient(ctx, func(ctx context.Context, c *client.Client) error {
				s, err := c.PauseSchedule(ctx, args[0], note)
				if err != nil {
					return err
				}
				return a.writeScheduleChanged(s, "schedule "+printable(s.Name)+" is paused")
			})
		}),
	}
	cmd.Flags().StringVar(&note, "note", "", "why, for whoever looks")
	return cmd
}

func (a *app) scheduleResumeCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "resume NAME",
		Short:   "Let a schedule go on, with the times after now",
		Example: `  edri schedule resume report`,
		Args:    cobra.ExactArgs(1),
		RunE: a.does(func(ctx context.Context, args []string) error {
			return a.withClient(ctx, func(ctx context.Context, c *client.Client) error {
				s, err := c.ResumeSchedule(ctx, args[0])
				if err != nil {
					return err
				}
				return a.writeScheduleChanged(s, "schedule "+printable(s.Name)+" goes on")
			})
		}),
	}
}
