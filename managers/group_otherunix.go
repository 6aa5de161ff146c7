//go:build unix && !linux

package managers

import "syscall"

// groupAttributes puts a process at the head of a group of its own. That its parent was
// killed it sees by the end of its input.
func groupAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
