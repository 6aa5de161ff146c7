package main

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/edri-io/edri/managers"
)

// restartedVariable carries when the process began anew, from one life to the next.
const restartedVariable = "_EDRI_SERVER_RESTARTED"

// restartPause is the least time between two: damage that comes back sooner is not
// repaired by starting again.
const restartPause = 30 * time.Second

// restart puts a new process in place of this one, with the same id, arguments and
// environment: nothing of a memory that has seen damage is kept. Locks and ports
// are released by it, as by every end of a process. It returns only if it cannot.
func (p *program) restart() error {
	if before, ok := p.lookupEnv(restartedVariable); ok {
		at, err := strconv.ParseInt(before, 10, 64)
		if err == nil && time.Since(time.Unix(at, 0)) < restartPause {
			return fmt.Errorf("the node began anew %s ago already", time.Since(time.Unix(at, 0)).Round(time.Second))
		}
	}
	path, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the program: %w", err)
	}
	if err := os.Setenv(restartedVariable, strconv.FormatInt(time.Now().Unix(), 10)); err != nil {
		return fmt.Errorf("set %s: %w", restartedVariable, err)
	}
	managers.KillProcesses()
	return syscall.Exec(path, os.Args, os.Environ())
}
