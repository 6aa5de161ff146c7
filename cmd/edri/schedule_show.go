package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
)

func (a *app) scheduleShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "show NAME",
		Short:   "Show a schedule, its next time, and what became of its times",
		Example: `  edri schedule show report`,
		Args:    cobra.ExactArgs(1),
		RunE: a.does(func(ctx context.Context, args []string) error {
			return a.withClient(ctx, func(ctx context.Context, c *client.Client) error {
				s, err := c.Schedule(ctx, args[0], client.Linearizable)
				if err != nil {
					return err
				}
				if a.output != outputText {
					return a.writeJSON(newScheduleJSON(s))
				}
				return a.writeSchedule(s)
			})
		}),
	}
}

// overlapText is the policy that holds for what has an end.
func overlapText(o client.Overlap) string { return cmp.Or(o, client.OverlapSkip).String() }

func (a *app) writeSchedule(s client.Schedule) error {
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	row := func(name string, value any) {
		if value != "" {
			fmt.Fprintf(table, "%s\t%s\n", name, printable(fmt.Sprint(value)))
		}
	}
	spec, e := s.Spec, s.Spec.Action.Event
	row("name", s.Name)
	row("description", spec.Description)
	row("state", scheduleState(s))
	row("note", s.Note)
	row("when", timesText(spec))
	row("not on", strings.Join(spec.ExcludeDates, ", "))
	row("not at", strings.Join(spec.ExcludeCron, ", "))
	row("jitter", durationText(spec.Jitter))
	if !spec.Start.IsZero() {
		row("start", formatTime(spec.Start))
	}
	if !spec.End.IsZero() {
		row("end", formatTime(spec.End))
	}
	row("does", strings.TrimSpace(fmt.Sprintf("%s %s %s", actionText(spec.Action), e.Type, spec.Action.Stream)))
	if r := spec.Action.Start; r != nil {
		row("workflow", r.Type)
		row("run", r.ID)
		row("input", string(r.Input))
	}
	if t := spec.Action.Keys; t != nil {
		row("if", strings.Join(texts(t.If), ", "))
		row("then", strings.Join(texts(t.Then), ", "))
		row("else", strings.Join(texts(t.Otherwise), ", "))
	}
	if spec.Action.Request {
		row("within", spec.Action.Timeout)
	}
	if spec.Action.Request || spec.Action.Start != nil {
		row("overlap", overlapText(spec.Overlap))
	}
	row("catch-up", spec.CatchUp)
	row("catch-up window", durationText(spec.CatchUpWindow))
	row("next", nextText(s))
	if !s.Due.Equal(s.Next) {
		row("due", formatTime(s.Due))
	}
	if spec.Limit > 0 {
		row("left", s.Left)
	}
	row("fired", s.Fired)
	row("skipped", s.Skipped)
	row("missed", s.Missed)
	row("late", s.Late)
	row("failed", s.Failed)
	row("running", s.Running)
	row("buffered", s.Buffered)
	row("created", formatTime(s.Created))
	row("incarnation", s.Incarnation)
	row("revision", s.Revision)
	return wrapWrite(table.Flush())
}
