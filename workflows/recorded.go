package workflows

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/edri-io/edri/event"
)

// ReadHistory reads a history as `edri workflow history ID -o jsonl` writes it: events in
// JSON, one after the other, or an array of them.
func ReadHistory(r io.Reader) ([]event.Recorded, error) {
	in := bufio.NewReader(r)
	d := json.NewDecoder(in)
	for {
		c, err := in.ReadByte()
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read history: %w", err)
		}
		if strings.IndexByte(" \t\r\n", c) >= 0 {
			continue
		}
		if err := in.UnreadByte(); err != nil {
			return nil, fmt.Errorf("read history: %w", err)
		}
		if c == '[' {
			var history []event.Recorded
			if err := d.Decode(&history); err != nil {
				return nil, fmt.Errorf("read history: %w", err)
			}
			return history, nil
		}
		break
	}
	var history []event.Recorded
	for {
		var e event.Recorded
		switch err := d.Decode(&e); {
		case errors.Is(err, io.EOF):
			return history, nil
		case err != nil:
			return nil, fmt.Errorf("read history: event %d: %w", len(history)+1, err)
		}
		history = append(history, e)
	}
}

// CheckRecorded is Check for all histories in a folder and those below it, files *.jsonl as
// `edri workflow check --dir` writes them, each with the code of its type and version. The
// error joins those of all files that cannot go on; a file without code for it is one. It
// returns how many files there were, since none would prove nothing.
func CheckRecorded(dir string, code ...Defined) (files int, err error) {
	var errs []error
	walk := func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".jsonl" {
			return err
		}
		files++
		if err := checkFile(path, code); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", path, err))
		}
		return nil
	}
	if err := filepath.WalkDir(dir, walk); err != nil {
		return files, fmt.Errorf("read histories: %w", err)
	}
	return files, errors.Join(errs...)
}

func checkFile(path string, code []Defined) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	history, err := ReadHistory(f)
	if err != nil {
		return err
	}
	var began Started
	if len(history) == 0 || history[0].Type != HistoryPrefix+KindStarted || json.Unmarshal(history[0].Data, &began) != nil {
		return errors.New("is no history of a run")
	}
	for _, d := range code {
		if def := d.definition(); def.name == began.Type && def.version == began.Version {
			return Check(d, history)
		}
	}
	return fmt.Errorf("%w for workflow %s, version %d", errNoCode, began.Type, began.Version)
}

var errNoCode = errors.New("there is no code")

// CheckEnv names the folder of histories that Runner.Run replays instead of working, where
// it is set in the environment, as `edri workflow check -- PROGRAM` does.
const CheckEnv = "EDRI_WORKFLOW_CHECK"

// CheckResults is the file in that folder to which each Runner adds a CheckResult, as a
// line of JSON, for each history that it has the code of.
const CheckResults = "results"

// CheckResult is what came of a history.
type CheckResult struct {
	File  string `json:"file"`            // within the folder
	Error string `json:"error,omitempty"` // why a run with it cannot go on
}

// checkInstead replays the histories in a folder. What came of each is in CheckResults, and
// the error says only how many cannot go on: who checks tells the rest.
func (r *Runner) checkInstead(dir string) error {
	code := make([]Defined, len(r.defs))
	for i, d := range r.defs {
		code[i] = d
	}
	var results []byte
	var replayed, bad int
	walk := func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".jsonl" {
			return err
		}
		failed := checkFile(path, code)
		if errors.Is(failed, errNoCode) {
			return nil // another runner of the program may have it
		}
		file, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		replayed++
		result := CheckResult{File: file}
		if failed != nil {
			result.Error = failed.Error()
			bad++
		}
		results = append(append(results, mustMarshal(result)...), '\n')
		return nil
	}
	if err := filepath.WalkDir(dir, walk); err != nil {
		return fmt.Errorf("read histories: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, CheckResults), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("write results of a check: %w", err)
	}
	_, err = f.Write(results)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write results of a check: %w", err)
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d histories cannot go on with this code", bad, replayed)
	}
	return nil
}
