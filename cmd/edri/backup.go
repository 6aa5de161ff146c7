package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/server"
)

// defaultRate costs a cluster under full load about 7% of its appends (ADR 12).
const defaultRate = "32MiB"

type backupFlags struct {
	since string
	rate  string
	quiet bool
	stale bool
}

func (a *app) backupCommand() *cobra.Command {
	var f backupFlags
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Write a backup of the cluster, while it goes on",
		Long: `Have a node write a backup of state and history at one position into FILE, which
must not exist. Any node will do; a follower has the most time for it. Writes and
retention go on. The file appears under its name when it is whole, synced, and was
read back and checked.

With --since only those segments of the history are written that EARLIER, and the
backups that it was made since, do not have. To restore then needs all of them.`,
		Example: `  edri backup sunday.edri
  edri backup monday.edri --since sunday.edri
  edri backup verify monday.edri
  edri restore monday.edri sunday.edri --data-dir /var/lib/edri --node-id n1 --raft-advertise 10.0.0.1:7421`,
		Args: cobra.ExactArgs(1),
		RunE: a.does(func(ctx context.Context, args []string) error { return a.backup(ctx, args[0], f) }),
	}
	cmd.Flags().StringVar(&f.since, "since", "", "an earlier backup, to write only what it lacks")
	cmd.Flags().BoolVar(&f.stale, "stale", false, "take what the node has, also without a leader; else all that was acknowledged before is in it")
	f.register(cmd)
	cmd.AddCommand(a.backupVerifyCommand())
	return cmd
}

func (f *backupFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.rate, "rate", defaultRate, "bytes to read in a second, to leave the disk to others; 0 for no limit")
	cmd.Flags().BoolVar(&f.quiet, "quiet", false, "show no progress")
}

func (a *app) backupVerifyCommand() *cobra.Command {
	f := backupFlags{}
	cmd := &cobra.Command{
		Use:   "verify FILE...",
		Short: "Read backups and check all that is in them",
		Long: `Read each FILE and check its digests, and within its parts each page, the
checksum of each row, that no position is missing, and each segment's digest. It
needs no server. The exit code is 11 if anything is damaged. (A file that is itself
named verify is backed up to as ./verify.)`,
		Example: `  edri backup verify sunday.edri monday.edri`,
		Args:    cobra.MinimumNArgs(1),
		RunE:    a.does(func(ctx context.Context, args []string) error { return a.verifyBackups(ctx, args, f) }),
	}
	f.rate = "0"
	f.register(cmd)
	cmd.Flags().Lookup("rate").DefValue = "0"
	return cmd
}

func (f *backupFlags) parseRate() (int64, error) {
	rate, err := server.ParseRate(f.rate)
	if err != nil {
		return 0, usagef("--rate: %w", err)
	}
	return rate, nil
}

func (a *app) backup(ctx context.Context, path string, f backupFlags) error {
	rate, err := f.parseRate()
	if err != nil {
		return err
	}
	c, err := a.connect(a.timeout)
	if err != nil {
		return err
	}
	defer c.Close()
	p := newByteProgress(a.stderr, f.quiet)
	info, err := server.TakeBackup(ctx, c, server.BackupOptions{
		Path: path, Since: f.since, Rate: rate, Stale: f.stale,
		Progress: func(received, checked int64) { p.received.Store(received); p.checked.Store(checked) },
	})
	p.stop()
	if err != nil {
		return err
	}
	return a.writeBackup(info, nil)
}

func (a *app) verifyBackups(ctx context.Context, paths []string, f backupFlags) error {
	rate, err := f.parseRate()
	if err != nil {
		return err
	}
	var failed error
	for _, path := range paths {
		p := newByteProgress(a.stderr, f.quiet)
		info, err := server.VerifyBackup(ctx, path, server.VerifyOptions{Rate: rate, Progress: p.checked.Store})
		p.stop()
		if err != nil && info.ID == "" {
			return err
		}
		if err != nil && failed == nil {
			failed = err
		}
		if err := a.writeBackup(info, err); err != nil {
			return err
		}
	}
	return failed
}

// backupOutput is a backup as JSON.
type backupOutput struct {
	server.BackupInfo
	Sound   bool            `json:"sound"`
	Damaged []server.Damage `json:"damaged,omitempty"`
}

// writeBackup shows a backup that was checked, with what that found.
func (a *app) writeBackup(info server.BackupInfo, found error) error {
	if a.output != outputText {
		return a.writeJSON(backupOutput{info, found == nil, damagedParts(found)})
	}
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "backup\t%s\n", printable(info.Path))
	fmt.Fprintf(table, "id\t%s\n", info.ID)
	fmt.Fprintf(table, "taken\t%s of node %s\n", info.Created.Format(time.RFC3339), printable(info.Node))
	fmt.Fprintf(table, "epoch\t%s\n", info.Epoch)
	fmt.Fprintf(table, "positions\t%d to %d, applied index %d\n", info.First, info.Last, info.Index)
	fmt.Fprintf(table, "size\t%s, %d of %d segments\n", mebibytes(info.Bytes), info.Here, info.Segments)
	if len(info.Since) > 0 {
		fmt.Fprintf(table, "needs\t%s\n", printable(strings.Join(info.Since, ", ")))
	}
	for _, d := range damagedParts(found) {
		fmt.Fprintf(table, "damaged\t%s: %s\n", printable(d.Part), printable(d.Reason))
	}
	if found == nil {
		fmt.Fprintf(table, "checked\tsound\n")
	}
	return wrapWrite(table.Flush())
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// byteProgress shows how far bytes have come, on a line of its own.
type byteProgress struct {
	received, checked atomic.Int64
	lines             *progress
}

func newByteProgress(out io.Writer, quiet bool) *byteProgress {
	p := &byteProgress{}
	p.lines = newProgress(out, quiet, 0)
	p.lines.text = func(took time.Duration) string {
		n := p.received.Load() + p.checked.Load()
		return fmt.Sprintf("received %s, checked %s, %.1f MiB/s", mebibytes(p.received.Load()), mebibytes(p.checked.Load()),
			float64(n)/(1<<20)/max(took.Seconds(), 0.001))
	}
	p.lines.start()
	return p
}

func (p *byteProgress) stop() { p.lines.stop() }
