package managers_test

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strconv"
	"testing"
)

func TestNoWorkerProcessOutlivesAKilledHost(t *testing.T) {
	t.Parallel()
	cmd, _, pids := startHost(t, "host", 1)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	(&office{T: t}).until("the worker process is gone", func() bool { return !alive(pids[0]) })
}

// A host that exits without waiting for its manager kills what its workers started too,
// which the kernel would not.
func TestNothingOutlivesAHostThatExits(t *testing.T) {
	t.Parallel()
	cmd, stdin, pids := startHost(t, "host that exits", 2)
	if err := stdin.Close(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // whatever it says
	for _, pid := range pids {
		(&office{T: t}).until("the processes are gone", func() bool { return !alive(pid) })
	}
}

// startHost runs this binary in a mode, and returns the first processes that it starts.
func startHost(t *testing.T, mode string, count int) (cmd *exec.Cmd, stdin io.Closer, pids []int) {
	t.Helper()
	cmd = exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), modeEnv+"="+mode)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(log); len(pids) < count && lines.Scan(); {
		if match := pidLine.FindStringSubmatch(lines.Text()); match != nil {
			pid, _ := strconv.Atoi(match[1]) // digits
			pids = append(pids, pid)
		}
	}
	if len(pids) < count {
		t.Fatalf("%d processes were started, want %d", len(pids), count)
	}
	return cmd, stdin, pids
}
