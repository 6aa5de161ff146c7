package main

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
)

func (a *app) streamsPurgeCommand() *cobra.Command {
	var before string
	cmd := &cobra.Command{
		Use:   "purge STREAM --before REVISION",
		Short: "End the beginning of a stream, for good",
		Long: `End the events of a stream before a revision: from then on no read on any node
returns them, a read of the stream from below is answered with compacted, and
its revisions go on as before. To purge all of it, give one more than its last
revision. It cannot be undone.

The history of a workflow's run, in the stream run/ID, stays for as long as the run
is known: forget it first, with edri workflow rm.

The bytes stay in the journal's files, and in earlier backups and snapshots of the
disks, until retention passes them (edri retention): without retention for ever.`,
		Example: `  edri streams purge order/1 --before 100`,
		Args:    cobra.ExactArgs(1),
		RunE: a.does(func(ctx context.Context, args []string) error {
			revision, err := strconv.ParseUint(before, 10, 64)
			if err != nil || revision == 0 {
				return usagef("--before %q: is not a revision: 1, 2, 3 and so on", before)
			}
			return a.purgeStream(ctx, args[0], event.Revision(revision))
		}),
	}
	cmd.Flags().StringVar(&before, "before", "", "the first revision that stays (required)")
	_ = cmd.MarkFlagRequired("before") // the flag is there
	return cmd
}

func (a *app) purgeStream(ctx context.Context, name string, before event.Revision) error {
	c, err := a.connect(a.timeout)
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, stop := a.waitFirst(ctx, client.Linearizable, 0)
	defer stop()
	return c.PurgeStream(ctx, name, before)
}
