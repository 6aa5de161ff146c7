package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
)

// Node is one edri-server process and the folder that it comes back to.
type Node struct {
	Name      string // n1, n2, ...
	API, Raft string // host:port
	DataDir   string
	LogPath   string // what the process writes on both outputs, over all its lives

	binary    string
	args, env []string

	mu       sync.Mutex // guards what follows
	cmd      *exec.Cmd
	finished chan struct{} // closed when cmd has ended
	code     int           // then its exit code, -1 after a signal
	paused   bool
}

// ErrNotRunning is returned where a running process is needed.
var ErrNotRunning = errors.New("node does not run")

func closedSignal() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// URL is the node's API URL.
func (n *Node) URL() string { return "http://" + n.API }

// Start starts the process. Its output is appended to LogPath.
func (n *Node) Start() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	select {
	case <-n.finished:
	default:
		return fmt.Errorf("start node %s: it runs already", n.Name)
	}
	output, err := os.OpenFile(n.LogPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("start node %s: %w", n.Name, err)
	}
	defer output.Close() // the process has its own
	cmd := exec.Command(n.binary, n.args...)
	cmd.Stdout, cmd.Stderr, cmd.Env = output, output, n.env
	cmd.SysProcAttr = dieWithParent()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start node %s: %w", n.Name, err)
	}
	finished := make(chan struct{})
	n.cmd, n.finished, n.paused = cmd, finished, false
	go func() {
		defer close(finished)
		// The exit code says all that Wait's error does.
		_ = cmd.Wait()
		n.mu.Lock()
		n.code = cmd.ProcessState.ExitCode()
		n.mu.Unlock()
	}()
	return nil
}

// SetArgs replaces the arguments for the next Start by what change makes of them.
func (n *Node) SetArgs(change func(args []string) []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.args = change(append([]string(nil), n.args...))
}

// SetProgram makes the next Start run another program of Config.Binaries, as trial,
// or edri-server again.
func (n *Node) SetProgram(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.binary = filepath.Join(filepath.Dir(n.binary), name)
}

// Running reports whether the process lives, paused or not.
func (n *Node) Running() bool {
	select {
	case <-n.exited():
		return false
	default:
		return true
	}
}

// Paused reports whether the process was stopped by Pause.
func (n *Node) Paused() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.paused
}

// Pid returns the process id; 0 if the node was never started.
func (n *Node) Pid() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cmd == nil {
		return 0
	}
	return n.cmd.Process.Pid
}

func (n *Node) exited() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.finished
}

func (n *Node) signal(s os.Signal) error {
	if !n.Running() {
		return fmt.Errorf("signal node %s: %w", n.Name, ErrNotRunning)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("signal node %s: %w", n.Name, err)
	}
	return nil
}

func (n *Node) signalKill() error { return n.signal(syscall.SIGKILL) }

// Kill ends the process with SIGKILL and waits for its end. It is an error if it
// had ended by itself.
func (n *Node) Kill() error {
	if err := n.signalKill(); err != nil {
		return err
	}
	<-n.exited()
	return nil
}

// Terminate asks the process to stop with SIGTERM and waits for its exit code.
func (n *Node) Terminate(ctx context.Context) (int, error) {
	if err := n.signal(syscall.SIGTERM); err != nil {
		return 0, err
	}
	return n.WaitExit(ctx)
}

// WaitExit waits until the process ends and returns its exit code, -1 if a signal
// ended it.
func (n *Node) WaitExit(ctx context.Context) (int, error) {
	select {
	case <-ctx.Done():
		return 0, fmt.Errorf("wait for node %s to end: %w", n.Name, context.Cause(ctx))
	case <-n.exited():
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.code, nil
}

// Pause stops the process where it stands (SIGSTOP): its connections stay open
// and, when Pause has returned, nobody answers on them.
func (n *Node) Pause() error {
	if err := n.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	n.mu.Lock()
	n.paused = true
	n.mu.Unlock()
	if err := awaitStopped(n.Pid()); err != nil {
		return fmt.Errorf("pause node %s: %w", n.Name, err)
	}
	return nil
}

// Resume lets a paused process go on (SIGCONT).
func (n *Node) Resume() error {
	if err := n.signal(syscall.SIGCONT); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.paused = false
	return nil
}
