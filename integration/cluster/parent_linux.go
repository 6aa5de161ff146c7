package cluster

import "syscall"

// dieWithParent lets the kernel kill a node whose parent ends without Close, as a
// test does at its time limit.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
