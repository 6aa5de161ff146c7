package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/server"
)

type restoreFlags struct {
	options server.RestoreOptions
	quiet   bool
}

func (a *app) restoreCommand() *cobra.Command {
	var f restoreFlags
	cmd := &cobra.Command{
		Use:   "restore FILE [EARLIER...]",
		Short: "Make a node's data directory from a backup, without a server",
		Long: `Make the data directory of one node from the backup FILE and the earlier ones that
it was made since. The directory must be empty. The node is then a cluster of its
own, with all of the history and a new epoch; start it, and let empty nodes join.

History, keys of (source, id), settings and named producers go on, so that an
import continues at its line. Sessions are ended; cursors and commits of the
cluster that was backed up are refused with epoch_changed, and its nodes are
strangers to the new one.

A restore that was interrupted leaves a directory on which no node starts: empty it
and restore again.`,
		Example: `  edri restore monday.edri sunday.edri --data-dir /var/lib/edri --node-id n1 --raft-advertise 10.0.0.1:7421
  edri-server run --node-id n1 --data-dir /var/lib/edri --peers n1=10.0.0.1:7421 --raft-listen 10.0.0.1:7421 --insecure`,
		Args: cobra.MinimumNArgs(1),
		RunE: a.does(func(ctx context.Context, args []string) error {
			f.options.Path, f.options.Earlier = args[0], args[1:]
			return a.restore(ctx, f)
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&f.options.DataDir, "data-dir", "", "the directory to make; empty, or not there (required)")
	flags.StringVar(&f.options.NodeID, "node-id", "", "the node's name (required)")
	flags.StringVar(&f.options.RaftAdvertise, "raft-advertise", "", "host:port where other nodes will dial this one (required)")
	flags.BoolVar(&f.quiet, "quiet", false, "show no progress")
	return cmd
}

func (a *app) restore(ctx context.Context, f restoreFlags) error {
	p := newByteProgress(a.stderr, f.quiet)
	f.options.Logger = a.logger()
	f.options.Progress = func(written, _ int64) { p.received.Store(written) }
	info, err := server.Restore(ctx, f.options)
	p.stop()
	if errors.Is(err, server.ErrConfig) {
		return usagef("%w", err)
	}
	if err != nil {
		return err
	}
	if a.output != outputText {
		return a.writeJSON(info)
	}
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "restored\t%s\n", printable(info.DataDir))
	fmt.Fprintf(table, "server\t%s\n", printable(info.ServerID))
	fmt.Fprintf(table, "epoch\t%s, before %s\n", info.Epoch, info.Before)
	fmt.Fprintf(table, "positions\t%d to %d, applied index %d\n", info.First, info.Last, info.Index)
	fmt.Fprintf(table, "sessions\t%d ended, %d producers go on\n", info.Sessions, info.Producers)
	return wrapWrite(table.Flush())
}
