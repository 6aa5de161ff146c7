//go:build unix

package managers

import (
	"os"
	"syscall"
)

// signalGroup sends a signal to all processes of the group that p heads. That none is
// left is fine.
func signalGroup(p *os.Process, s syscall.Signal) { _ = syscall.Kill(-p.Pid, s) }
