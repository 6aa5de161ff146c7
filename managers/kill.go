package managers

import (
	"errors"
	"sync"
	"syscall"
)

// living has the worker processes of this program, each at the head of a group. Where
// the program is killed, the kernel ends them at most, and not what they have started:
// a program that can still act before its end kills the groups.
var living = struct {
	mu    sync.Mutex
	group map[*instance]struct{}
	over  bool // no more are started
}{group: make(map[*instance]struct{})}

var errKilled = errors.New("the workers were killed")

// KillProcesses kills the processes of all managers of this program, with all that they
// have started, and lets no other start. It is for a program that is about to exit and
// does not wait for Run.
func KillProcesses() { kill(nil) }

// Kill kills the manager's processes, with all that they have started, and lets no other
// start. It is for a Run whose context has ended and that takes too long to return.
func (m *Manager) Kill() { kill(m) }

// kill kills the processes of a manager; nil: of all.
func kill(m *Manager) {
	living.mu.Lock()
	defer living.mu.Unlock()
	if m == nil {
		living.over = true
	} else {
		m.killed = true
	}
	for i := range living.group {
		if m == nil || i.pool.manager == m {
			signalGroup(i.cmd.Process, syscall.SIGKILL)
		}
	}
}

// begin starts the process as one of the living.
func (i *instance) begin() error {
	living.mu.Lock()
	defer living.mu.Unlock()
	if living.over || i.pool.manager.killed {
		return errKilled
	}
	if err := i.cmd.Start(); err != nil {
		return err
	}
	living.group[i] = struct{}{}
	return nil
}

// killRest kills what the process has left behind in its group. That the group's id is
// another's by now would take all other process ids to have been used in between.
func (i *instance) killRest() {
	living.mu.Lock()
	defer living.mu.Unlock()
	signalGroup(i.cmd.Process, syscall.SIGKILL)
	delete(living.group, i)
}
