//go:build !unix

package managers

import (
	"os"
	"syscall"
)

// Without groups, only the process itself can be ended, and not gently.
func groupAttributes() *syscall.SysProcAttr { return nil }

func signalGroup(p *os.Process, _ syscall.Signal) { _ = p.Kill() }
