package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/integration/cluster"
	"github.com/edri-io/edri/integration/ledger"
)

// sample is one line of the file of sample events.
type sample struct {
	line  []byte // with its end
	event event.Event
	key   ledger.Key
}

func readSamples(path string) ([]sample, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read sample events: %w", err)
	}
	defer f.Close()
	var samples []sample
	scanner := bufio.NewScanner(f)
	scanner.Buffer(nil, 2<<20)
	for scanner.Scan() {
		s := sample{line: append([]byte(nil), append(scanner.Bytes(), '\n')...)}
		if err := json.Unmarshal(s.line, &s.event); err != nil {
			return nil, fmt.Errorf("read sample events: line %d: %w", len(samples)+1, err)
		}
		s.key = ledger.Key{Source: s.event.Source, ID: s.event.ID}
		samples = append(samples, s)
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("read sample events: %w", err)
	}
	return samples, nil
}

// importing is a run of edri events import that is fed line by line.
type importing struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	fed   int
}

// linesPerSecond keeps the import going long enough to be disturbed.
const linesPerSecond = 1000

func startImport(ctx context.Context, c *cluster.Cluster) (*importing, error) {
	cmd := exec.CommandContext(ctx, c.Edri(), "--server", strings.Join(c.URLs(), ","),
		"events", "import", "-", "--producer", "demo")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start import: %w", err)
	}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start import: %w", err)
	}
	return &importing{cmd: cmd, stdin: stdin}, nil
}

// feed hands lines to the import at its pace.
func (i *importing) feed(ctx context.Context, l *ledger.Ledger, lines []sample) error {
	const batches = 50 // a second
	ticker := time.NewTicker(time.Second / batches)
	defer ticker.Stop()
	for n, s := range lines {
		if n%(linesPerSecond/batches) == 0 {
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-ticker.C:
			}
		}
		l.Sent(s.event)
		if _, err := i.stdin.Write(s.line); err != nil {
			return fmt.Errorf("feed import: %w", errors.Join(err, i.cmd.Wait()))
		}
		i.fed++
	}
	return nil
}

// finish ends the input and waits for the import's own verdict.
func (i *importing) finish() error {
	if err := i.stdin.Close(); err != nil {
		return fmt.Errorf("end import: %w", err)
	}
	if err := i.cmd.Wait(); err != nil {
		return fmt.Errorf("end import: %w", err)
	}
	return nil
}

// kill ends an import that was not finished.
func (i *importing) kill() {
	if i.cmd.ProcessState == nil {
		_ = i.cmd.Process.Kill() // it may have ended by itself
		_ = i.cmd.Wait()
	}
}
