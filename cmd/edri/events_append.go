package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/event"
)

type appendFlags struct {
	eventFlags
	expected  string
	deliverAt string
}

func (a *app) appendCommand() *cobra.Command {
	var f appendFlags
	cmd := &cobra.Command{
		Use:   "append --type TYPE",
		Short: "Append one event",
		Long: `Append one event and wait until the cluster has it. An event whose source and
id are there already, with the same content, is a duplicate and a success.`,
		Example: `  edri events append --stream order/1 --type order.placed --data '{"total":7}'
  edri events append --stream order/1 --type order.paid --expected 1
  edri events append --stream order/1 --type order.expired --deliver-at 24h`,
		Args: cobra.NoArgs,
	}
	flags := cmd.Flags()
	f.register(cmd)
	flags.StringVar(&f.expected, "expected", "any", "what the stream must be before: any, exists, or its revision, 0 if it must not exist")
	flags.StringVar(&f.deliverAt, "deliver-at", "", "append it at this time, in RFC 3339 or as a duration from now")
	cmd.MarkFlagsMutuallyExclusive("expected", "deliver-at")
	cmd.RunE = a.does(func(ctx context.Context, _ []string) error {
		f.hasData = flags.Changed("data")
		return a.append(ctx, f)
	})
	return cmd
}

func (a *app) append(ctx context.Context, f appendFlags) error {
	e, err := a.eventFrom(f.eventFlags)
	if err != nil {
		return err
	}
	if f.deliverAt != "" {
		return a.appendLater(ctx, f, e)
	}
	expected, err := event.ParseExpected(f.expected)
	if err != nil {
		return usagef("--expected: %w", err)
	}
	c, err := a.connect(a.timeout)
	if err != nil {
		return err
	}
	defer c.Close()
	done, err := c.Append(ctx, f.stream, expected, e)
	if event.CodeOf(err) == event.CodeOutcomeUnknown {
		return fmt.Errorf("%w; the event may be stored or not: the same command with --source %s --id %s finds out", err, e.Source, e.ID)
	}
	if err != nil {
		return err
	}
	if a.output != outputText {
		return a.writeJSON(struct {
			Position  event.Position `json:"position,string"`
			Revision  event.Revision `json:"revision,string"`
			Duplicate bool           `json:"duplicate"`
			ID        string         `json:"id"`
			Source    string         `json:"source"`
		}{done.Position, done.Revision, done.Duplicate, e.ID, e.Source})
	}
	text := fmt.Sprintf("position %d, revision %d", done.Position, done.Revision)
	if done.Duplicate {
		text = fmt.Sprintf("duplicate of position %d", done.Position)
	}
	_, err = fmt.Fprintln(a.stdout, text)
	return wrapWrite(err)
}
