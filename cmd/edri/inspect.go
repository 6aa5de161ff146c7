package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/server"
)

func (a *app) inspectCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "inspect PATH",
		Short: "Show and check what a data directory or a backup holds, without a server",
		Long: `Read all of a data directory, or of a backup file, and check it: every page, row,
record and digest. Nothing is changed. A directory that a node has open is refused:
stop the node, or ask it with 'edri cluster status'. If anything is damaged, each
damaged file or part is named and the exit code is 11.

Positions and index are those of the last flush; what a node had only in memory when
it was killed comes again from its raft log when it starts.`,
		Example: `  edri inspect /var/lib/edri
  edri inspect monday.edri --output json`,
		Args: cobra.ExactArgs(1),
		RunE: a.does(func(ctx context.Context, args []string) error { return a.inspect(ctx, args[0]) }),
	}
}

func (a *app) inspect(ctx context.Context, path string) error {
	i, err := server.Inspect(ctx, path)
	if err != nil && !errors.Is(err, server.ErrDamaged) || i.Kind == "" {
		return err
	}
	if a.output != outputText {
		return errors.Join(a.writeJSON(i), err)
	}
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "%s\t%s\n", i.Kind, printable(i.Path))
	if i.Created != nil {
		fmt.Fprintf(table, "id\t%s, taken %s\n", i.ID, i.Created.Format(time.RFC3339))
	}
	fmt.Fprintf(table, "node\t%s\n", printable(i.Node))
	fmt.Fprintf(table, "epoch\t%s\n", i.Epoch)
	fmt.Fprintf(table, "applied\tindex %d, term %d\n", i.Index, i.Term)
	fmt.Fprintf(table, "positions\t%d to %d, %s\n", i.First, i.Last, counted(i.Events, "event"))
	if l := i.RaftLog; l != nil {
		fmt.Fprintf(table, "raft log\tindex %d to %d, current term %d, %s in %s%s\n",
			l.First, l.Last, l.Term, mebibytes(l.Bytes), counted(l.Segments, "segment"), map[bool]string{true: ", torn at its end"}[l.Torn])
	}
	for _, m := range i.Members {
		fmt.Fprintf(table, "member\t%s at %s%s\n", printable(m.ServerID), printable(m.RaftAddress), map[bool]string{false: ", no voter"}[m.Voter])
	}
	if len(i.Rows) > 0 {
		fmt.Fprintf(table, "state\t%s\n", tablesLine(i.Rows))
	}
	if len(i.Since) > 0 {
		fmt.Fprintf(table, "needs\t%s\n", printable(strings.Join(i.Since, ", ")))
	}
	for _, d := range i.Damaged {
		fmt.Fprintf(table, "damaged\t%s: %s\n", printable(d.Part), printable(d.Reason))
	}
	fmt.Fprintf(table, "integrity\t%s\n", map[bool]string{true: "sound", false: "damaged"}[i.Sound])
	if werr := table.Flush(); werr != nil {
		return wrapWrite(werr)
	}
	return errors.Join(a.writeSegments(i.Segments), err)
}

// tablesLine says how many rows the tables have.
func tablesLine(rows map[string]int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		if !strings.HasPrefix(name, "~") {
			parts = append(parts, fmt.Sprintf("%s %d", name, rows[name]))
		}
	}
	return strings.Join(parts, ", ") + " rows"
}

func (a *app) writeSegments(segments []server.InspectedSegment) error {
	if len(segments) == 0 {
		return nil
	}
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\nFIRST\tLAST\tRECORDS\tSEALED\tDIGEST\tIN\tNOTE")
	for _, s := range segments {
		fmt.Fprintf(table, "%d\t%d\t%s\t%v\t%.16s\t%s\t%s\n", s.First, s.Last, mebibytes(s.Bytes), s.Sealed, s.Digest, printable(s.In), s.Note)
	}
	return wrapWrite(table.Flush())
}
