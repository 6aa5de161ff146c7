package managers_test

import (
	"bufio"
	"os"
	"os/exec"
	"strconv"
	"testing"
)

func TestNoWorkerProcessOutlivesAKilledHost(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), modeEnv+"=host")
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := 0
	for lines := bufio.NewScanner(log); pid == 0 && lines.Scan(); {
		if match := pidLine.FindStringSubmatch(lines.Text()); match != nil {
			pid, _ = strconv.Atoi(match[1]) // digits
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	if pid == 0 {
		t.Fatal("no worker process was started")
	}
	(&office{T: t}).until("the worker process is gone", func() bool { return !alive(pid) })
}
