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
		Use:   "check [--dir DIR] [-- PROGRAM [ARGUMENT...]]",
		Short: "Replay the histories of open runs with new code before it is deployed",
		Long: `Replay the histories of runs, by default of all that are under way, with a program that has
the new code: a worker of yours, which instead of working replays them as soon as it calls
Runner.Run, and ends. The exit code is 1 where a run could not go on with it: where it asks
for something other than what was recorded, panics, or has no code for the run.

With --dir the histories are kept, as files DIR/TYPE/NUMBER.jsonl; without a program that is
all. A test can replay them too:

  func TestRunsUnderWayCanGoOn(t *testing.T) {
      files, err := workflows.CheckRecorded("testdata/histories", fulfil, fulfilV2)
      if err != nil || files == 0 {
          t.Fatal(files, err)
      }
  }

A history is taken as it is when it is read; files of earlier checks stay. JSON has each
history with its run and its file, and an error where the run could not go on.

` + filterHelp,
		Example: `  edri workflow check -- ./orders --server http://127.0.0.1:7420
  edri workflow check --dir testdata/histories
  edri workflow check --dir testdata/histories --filter 'type = "fulfil"' --limit 100`,
		Args: cobra.ArbitraryArgs,
	}
	cmd.Flags().StringVar(&dir, "dir", "", "folder in which the histories are kept")
	cmd.Flags().StringVar(&filter, "filter", `status = "running"`, "only runs that match")
	cmd.Flags().Uint64Var(&limit, "limit", 0, "at most so many; 0 for all")
	cmd.RunE = a.does(func(ctx context.Context, program []string) error {
		if dir == "" && len(program) == 0 {
			return usagef("a program, behind --, or --dir is required")
		}
		into := dir
		if dir == "" {
			var err error
			if into, err = os.MkdirTemp("", "edri-check-*"); err != nil {
				return err
			}
			defer os.RemoveAll(into)
		}
		runs, err := a.exportRuns(ctx, into, filter, limit)
		if err != nil {
			return err
		}
		if len(program) == 0 {
			return a.tellKept(runs)
		}
		return a.replayWith(ctx, into, program, runs)
	})
	return cmd
}

// exportRuns writes the histories of runs to files, and returns the runs by the files' names
// within the folder.
func (a *app) exportRuns(ctx context.Context, dir, filter string, limit uint64) (map[string]client.RunID, error) {
	c, err := a.connect(a.timeout)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	runs := map[string]client.RunID{}
	for r, err := range c.ListRuns(ctx, filter, client.ListOptions{Consistency: client.Linearizable}) {
		if err != nil {
			return runs, err
		}
		file, err := a.exportRun(ctx, c, r, dir)
		if event.CodeOf(err) == event.CodeNotFound {
			continue // forgotten meanwhile
		}
		if err != nil {
			return runs, err
		}
		runs[file] = r.RunID
		if uint64(len(runs)) == limit {
			break
		}
	}
	return runs, nil
}

// exportRun writes a run's history to its file, whole or not at all, and returns the name of
// that within the folder.
func (a *app) exportRun(ctx context.Context, c *client.Client, r client.Run, dir string) (file string, err error) {
	name := url.PathEscape(r.Type)
	if rest, ok := strings.CutPrefix(name, "."); ok {
		name = "%2E" + rest // neither hidden nor the folder above
	}
	folder := filepath.Join(dir, name)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", fmt.Errorf("make folder: %w", err)
	}
	f, err := os.CreateTemp(folder, ".history-*")
	if err != nil {
		return "", fmt.Errorf("write history: %w", err)
	}
	defer os.Remove(f.Name()) // gone when all went well
	file = filepath.Join(name, fmt.Sprintf("%d.jsonl", r.Number))
	err = errors.Join(a.writeHistory(ctx, c, r.RunID, f, outputJSONL), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, file))
	}
	if err != nil {
		return "", fmt.Errorf("write history of run %s: %w", runName(r.RunID), err)
	}
	return file, nil
}
