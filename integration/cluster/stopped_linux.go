package cluster

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// stopWait bounds how long a process may take to stand still.
const stopWait = 10 * time.Second

// awaitStopped returns once every thread of the process stands still. The kernel
// stops them one by one after the signal was sent, and one that still runs could
// answer a request.
func awaitStopped(pid int) error {
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for deadline := time.Now().Add(stopWait); time.Now().Before(deadline); <-again.C {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		if err != nil {
			return err
		}
		running := len(threads) == 0
		for _, path := range threads {
			running = running || !stopped(path)
		}
		if !running {
			return nil
		}
	}
	return fmt.Errorf("process %d still runs %v after SIGSTOP", pid, stopWait)
}

// stopped reports whether the thread of a stat file stands still, or is gone. The state
// stands behind the name, which may hold anything, in parentheses.
func stopped(path string) bool {
	stat, err := os.ReadFile(path)
	if err != nil {
		return true
	}
	_, state, _ := bytes.Cut(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" "))
	return len(state) > 0 && bytes.IndexByte([]byte("TtZX"), state[0]) >= 0
}
