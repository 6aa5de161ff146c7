package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
)

func (a *app) workflowCheckCommand() *cobra.Command {
	var filter, dir string
	var limit uint64
	cmd := &cobra.Command{
		Use:   "check --dir DIR",
		Short: "Write the histories of open runs to files, to replay them with new code before it is deployed",
		Long: `Write the histories of runs, by default of all that are under way, to files
DIR/TYPE/NUMBER.jsonl. The code of a workflow is in a program of yours; a test of it replays
them, and fails where the new code asks for something other than what was recorded:

  func TestRunsUnderWayCanGoOn(t *testing.T) {
      files, err := workflows.CheckRecorded("testdata/histories", fulfil, fulfilV2)
      if err != nil || files == 0 {
          t.Fatal(files, err)
      }
  }

A history is taken as it is when it is read; files of earlier checks stay. ` + filterHelp,
		Example: `  edri workflow check --dir testdata/histories
  edri workflow check --dir testdata/histories --filter 'type = "fulfil"' --limit 100`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().StringVar(&dir, "dir", "", "folder of the files (required)")
	cmd.Flags().StringVar(&filter, "filter", `status = "running"`, "only runs that match")
	cmd.Flags().Uint64Var(&limit, "limit", 0, "at most so many; 0 for all")
	cmd.RunE = a.does(func(ctx context.Context, _ []string) error {
		if dir == "" {
			return usagef("--dir is required")
		}
		c, err := a.connect(a.timeout)
		if err != nil {
			return err
		}
		defer c.Close()
		n := uint64(0)
		for r, err := range c.ListRuns(ctx, filter, client.ListOptions{Consistency: client.Linearizable}) {
			if err != nil {
				return err
			}
			err := a.exportRun(ctx, c, r, dir)
			if event.CodeOf(err) == event.CodeNotFound {
				continue // forgotten meanwhile
			}
			if err != nil {
				return err
			}
			if n++; n == limit {
				break
			}
		}
		_, err = fmt.Fprintf(a.stdout, "%d histories\n", n)
		return wrapWrite(err)
	})
	return cmd
}

// exportRun writes a run's history to its file, whole or not at all.
func (a *app) exportRun(ctx context.Context, c *client.Client, r client.Run, dir string) error {
	name := url.PathEscape(r.Type)
	if rest, ok := strings.CutPrefix(name, "."); ok {
		name = "%2E" + rest // neither hidden nor the folder above
	}
	folder := filepath.Join(dir, name)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	f, err := os.CreateTemp(folder, ".history-*")
	if err != nil {
		return fmt.Errorf("write history: %w", err)
	}
	defer os.Remove(f.Name()) // gone when all went well
	err = errors.Join(a.writeHistory(ctx, c, r.RunID, f, outputJSONL), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(folder, fmt.Sprintf("%d.jsonl", r.Number)))
	}
	if err != nil {
		return fmt.Errorf("write history of run %s: %w", runName(r.RunID), err)
	}
	return nil
}
