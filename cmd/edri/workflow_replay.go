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

	"github.com/edri-io/edri/workflows"
)

// replayWith has a program replay the histories in a folder, and tells what came of each.
// What the program itself says of it does not count: it may not have come to that.
func (a *app) replayWith(ctx context.Context, dir string, program []string) error {
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
		return fmt.Errorf("%s replayed nothing: a worker has to call Runner.Run (it ended with: %v)", program[0], ended)
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
	return a.tellReplayed(dir, replayed)
}

// tellReplayed tells what came of each history in a folder. The error says how many runs
// could not go on.
func (a *app) tellReplayed(dir string, replayed map[string]string) error {
	good, bad := 0, 0
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
		_, err = fmt.Fprintf(a.stdout, "%s: %s\n", file, printable(failed))
		return wrapWrite(err)
	}
	if err := filepath.WalkDir(dir, walk); err != nil {
		return err
	}
	if bad > 0 {
		return fmt.Errorf("%d runs could not go on, %d could", bad, good)
	}
	_, err := fmt.Fprintf(a.stdout, "%d runs can go on\n", good)
	return wrapWrite(err)
}
