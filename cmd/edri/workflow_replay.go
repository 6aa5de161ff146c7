package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/workflows"
)

// replayWith has a program replay the histories in a folder, and tells what came of each. Of
// some files it is known of which runs they are.
// What the program itself says of it does not count: it may not have come to that.
func (a *app) replayWith(ctx context.Context, dir string, program []string, runs map[string]client.RunID) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	results := filepath.Join(dir, workflows.CheckResults)
	if err := os.Remove(results); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	cmd := exec.CommandContext(ctx, program[0], program[1:]...)
	cmd.Env = append(os.Environ(), workflows.CheckEnv+"="+dir)
	cmd.Stdout, cmd.Stderr = a.stderr, a.stderr
	ended := cmd.Run()
	if exit := (*exec.ExitError)(nil); ended != nil && !errors.As(ended, &exit) {
		return fmt.Errorf("run %s: %w", program[0], ended) // it never began
	}
	b, err := os.ReadFile(results)
	if errors.Is(err, fs.ErrNotExist) {
		how := "without an error"
		if ended != nil {
			how = "with " + ended.Error()
		}
		return fmt.Errorf("%s replayed nothing, and ended %s: a worker has to call Runner.Run", program[0], how)
	}
	if err != nil {
		return err
	}
	replayed := map[string]string{}
	for line := range bytes.Lines(b) {
		var r workflows.CheckResult
		if err := json.Unmarshal(line, &r); err != nil {
			return fmt.Errorf("read what %s says: %w", program[0], err)
		}
		replayed[r.File] = r.Error
	}
	return a.tellReplayed(dir, replayed, runs)
}

// checkedJSON is what came of a history, or that it is kept, as JSON.
type checkedJSON struct {
	ID     string `json:"id,omitempty"` // of the run, where it is known
	Number uint64 `json:"number,omitempty,string"`
	File   string `json:"file"`            // within the folder
	Error  string `json:"error,omitempty"` // why the run could not go on; empty: it could
}

func newCheckedJSON(file, failed string, runs map[string]client.RunID) checkedJSON {
	run := runs[file]
	return checkedJSON{ID: run.ID, Number: run.Number, File: file, Error: failed}
}

// tellReplayed tells what came of each history in a folder: people of those that cannot go on,
// programs of all. The error says how many runs could not go on.
func (a *app) tellReplayed(dir string, replayed map[string]string, runs map[string]client.RunID) error {
	good, bad := uint64(0), uint64(0)
	out := newListWriter(a.stdout, a.output)
	walk := func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".jsonl" {
			return err
		}
		file, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		failed, known := replayed[file]
		if !known {
			failed = "the program has no code for it"
		}
		if failed == "" {
			good++
		} else {
			bad++
		}
		if failed == "" && a.output == outputText {
			return nil
		}
		checked := newCheckedJSON(file, failed, runs)
		return out.item(
			func(b []byte) ([]byte, error) {
				name := printable(file)
				if checked.Number != 0 {
					name = runName(runs[file])
				}
				return fmt.Appendf(b, "%s: %s", name, printable(failed)), nil
			},
			func(b []byte) ([]byte, error) { return appendJSONLine(b, checked) },
		)
	}
	if err := errors.Join(filepath.WalkDir(dir, walk), out.close()); err != nil {
		return err
	}
	if bad > 0 {
		return fmt.Errorf("%s could not go on, %d could", counted(bad, "run"), good)
	}
	if a.output != outputText {
		return nil
	}
	_, err := fmt.Fprintf(a.stdout, "%s can go on\n", counted(good, "run"))
	return wrapWrite(err)
}

// tellKept tells which histories are kept: people how many.
func (a *app) tellKept(runs map[string]client.RunID) error {
	if a.output == outputText {
		_, err := fmt.Fprintf(a.stdout, "%s\n", counted(len(runs), "history", "histories"))
		return wrapWrite(err)
	}
	out := newListWriter(a.stdout, a.output)
	for _, file := range sortedKeys(runs) {
		err := out.item(nil, func(b []byte) ([]byte, error) { return appendJSONLine(b, newCheckedJSON(file, "", runs)) })
		if err != nil {
			return err
		}
	}
	return out.close()
}
