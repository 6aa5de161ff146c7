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

// Process is a program that can be started, killed, paused and started again.
type Process struct {
	Name    string
	LogPath string // what it writes on both outputs, over all its lives

	binary    string
	args, env []string

	mu       sync.Mutex // guards what follows
	cmd      *exec.Cmd
	finished chan struct{} // closed when cmd has ended
	code     int           // then its exit code, -1 after a signal
	paused   bool
}

// NewProcess returns a process that does not run yet. Its environment is this process's
// and env, as NAME=value.
func NewProcess(name, logPath, binary string, env []string, args ...string) *Process {
	return &Process{Name: name, LogPath: logPath, binary: binary, args: args, env: append(os.Environ(), env...), finished: closedSignal()}
}

// ErrNotRunning is returned where a running process is needed.
var ErrNotRunning = errors.New("process does not run")

func closedSignal() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// Start starts the process. Its output is appended to LogPath.
func (p *Process) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.finished:
	default:
		return fmt.Errorf("start %s: it runs already", p.Name)
	}
	output, err := os.OpenFile(p.LogPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	defer output.Close() // the process has its own
	cmd := exec.Command(p.binary, p.args...)
	cmd.Stdout, cmd.Stderr, cmd.Env = output, output, p.env
	cmd.SysProcAttr = dieWithParent()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	finished := make(chan struct{})
	p.cmd, p.finished, p.paused = cmd, finished, false
	go func() {
		defer close(finished)
		// The exit code says all that Wait's error does.
		_ = cmd.Wait()
		p.mu.Lock()
		p.code = cmd.ProcessState.ExitCode()
		p.mu.Unlock()
	}()
	return nil
}

// SetArgs replaces the arguments for the next Start by what change makes of them.
func (p *Process) SetArgs(change func(args []string) []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.args = change(append([]string(nil), p.args...))
}

// SetProgram makes the next Start run another program of Config.Binaries, as trial,
// or edri-server again.
func (p *Process) SetProgram(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.binary = filepath.Join(filepath.Dir(p.binary), name)
}

// Running reports whether the process lives, paused or not.
func (p *Process) Running() bool {
	select {
	case <-p.exited():
		return false
	default:
		return true
	}
}

// Paused reports whether the process was stopped by Pause.
func (p *Process) Paused() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.paused
}

// Pid returns the process id; 0 if the node was never started.
func (p *Process) Pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

func (p *Process) exited() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.finished
}

func (p *Process) signal(s os.Signal) error {
	if !p.Running() {
		return fmt.Errorf("signal %s: %w", p.Name, ErrNotRunning)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("signal %s: %w", p.Name, err)
	}
	return nil
}

func (p *Process) signalKill() error { return p.signal(syscall.SIGKILL) }

// Kill ends the process with SIGKILL and waits for its end. It is an error if it
// had ended by itself.
func (p *Process) Kill() error {
	if err := p.signalKill(); err != nil {
		return err
	}
	<-p.exited()
	return nil
}

// Terminate asks the process to stop with SIGTERM and waits for its exit code.
func (p *Process) Terminate(ctx context.Context) (int, error) {
	if err := p.signal(syscall.SIGTERM); err != nil {
		return 0, err
	}
	return p.WaitExit(ctx)
}

// WaitExit waits until the process ends and returns its exit code, -1 if a signal
// ended it.
func (p *Process) WaitExit(ctx context.Context) (int, error) {
	select {
	case <-ctx.Done():
		return 0, fmt.Errorf("wait for %s to end: %w", p.Name, context.Cause(ctx))
	case <-p.exited():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.code, nil
}

// Pause stops the process where it stands (SIGSTOP): its connections stay open
// and, when Pause has returned, nobody answers on them.
func (p *Process) Pause() error {
	if err := p.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	p.mu.Lock()
	p.paused = true
	p.mu.Unlock()
	if err := awaitStopped(p.Pid()); err != nil {
		return fmt.Errorf("pause %s: %w", p.Name, err)
	}
	return nil
}

// Resume lets a paused process go on (SIGCONT).
func (p *Process) Resume() error {
	if err := p.signal(syscall.SIGCONT); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.paused = false
	return nil
}
