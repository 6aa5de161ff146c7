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

// tellReplayed tells what came of each history in a folder. The error says how many runs
// could not go on.
func (a *app) tellReplayed(dir string, replayed map[string]string, runs map[string]client.RunID) error {
	good, bad := uint64(0), uint64(0)
	walk := func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".jsonl" {
			return err
		}
		file, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		failed, known := replayed[file]
		switch {
		case !known:
			failed = "the program has no code for it"
		case failed == "":
			good++
			return nil
		}
		bad++
		name := printable(file)
		if run, ok := runs[file]; ok {
			name = runName(run)
		}
		_, err = fmt.Fprintf(a.stdout, "%s: %s\n", name, printable(failed))
		return wrapWrite(err)
	}
	if err := filepath.WalkDir(dir, walk); err != nil {
		return err
	}
	if bad > 0 {
		return fmt.Errorf("%s could not go on, %d could", counted(bad, "run"), good)
	}
	_, err := fmt.Fprintf(a.stdout, "%s can go on\n", counted(good, "run"))
	return wrapWrite(err)
}
