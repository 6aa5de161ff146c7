package managers

import "syscall"

// groupAttributes puts a process at the head of a group of its own, and has the kernel
// kill it when the thread that started it ends: no worker outlives a killed server.
func groupAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
