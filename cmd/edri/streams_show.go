package main

import (
	"context"
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
)

func (a *app) streamsShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "show STREAM",
		Short:   "Show where a stream stands, with its first and last event",
		Example: `  edri streams show order/1`,
		Args:    cobra.ExactArgs(1),
		RunE:    a.does(func(ctx context.Context, args []string) error { return a.showStream(ctx, args[0]) }),
	}
}

func (a *app) showStream(ctx context.Context, name string) error {
	c, err := a.connect(a.timeout)
	if err != nil {
		return err
	}
	defer c.Close()
	s, err := c.Stream(ctx, name, client.ReadOptions{})
	if err != nil {
		return err
	}
	// A node that knows the stream's last event; another may lag.
	fresh := client.Query{Stream: name, Limit: 1, MinPosition: s.Position}
	first, err := readOne(ctx, c, fresh)
	if event.CodeOf(err) == event.CodeNotFound {
		return a.showEmptyStream(s)
	}
	if err != nil {
		return err
	}
	last, err := c.Get(ctx, s.Position, client.ReadOptions{MinPosition: s.Position})
	if err != nil {
		return err
	}
	if a.output != outputText {
		return a.writeJSON(struct {
			streamInfo
			FirstRevision event.Revision  `json:"first_revision,string"`
			First         json.RawMessage `json:"first"`
			Last          json.RawMessage `json:"last"`
		}{streamInfo(s), first.Revision, first.AppendJSON(nil), last.AppendJSON(nil)})
	}
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "stream\t%s\n", printable(s.Name))
	fmt.Fprintf(table, "revision\t%d\n", s.Revision)
	fmt.Fprintf(table, "position\t%d\n", s.Position)
	fmt.Fprintf(table, "first revision\t%d\n", first.Revision)
	fmt.Fprintf(table, "first\t%s\n", appendEventLine(nil, &first))
	fmt.Fprintf(table, "last\t%s\n", appendEventLine(nil, &last))
	return wrapWrite(table.Flush())
}

// showEmptyStream shows a stream of which retention and purges have left nothing:
// the first revision to come is one after its last.
func (a *app) showEmptyStream(s client.Stream) error {
	if a.output != outputText {
		return a.writeJSON(struct {
			streamInfo
			FirstRevision event.Revision `json:"first_revision,string"`
		}{streamInfo(s), s.Revision + 1})
	}
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "stream\t%s\n", printable(s.Name))
	fmt.Fprintf(table, "revision\t%d\n", s.Revision)
	fmt.Fprintf(table, "position\t%d\n", s.Position)
	fmt.Fprintf(table, "first revision\t%d (no event is left)\n", s.Revision+1)
	return wrapWrite(table.Flush())
}

func readOne(ctx context.Context, c *client.Client, q client.Query) (event.Recorded, error) {
	for e, err := range c.Read(ctx, q) {
		return e, err
	}
	return event.Recorded{}, event.Errorf(event.CodeNotFound, "stream %q has no event", q.Stream)
}
