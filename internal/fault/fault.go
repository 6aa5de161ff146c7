package fault

import (
	"errors"
	"fmt"
	"sync"
)

// Op names a kind of file operation.
type Op string

// The operations that production code announces.
const (
	OpOpen     Op = "open"     // opening an existing file
	OpCreate   Op = "create"   // creating a file, also a temporary one
	OpWrite    Op = "write"    // writing a file's content
	OpSync     Op = "sync"     // fsync of a file
	OpRename   Op = "rename"   // renaming; Path is the new name
	OpSyncDir  Op = "syncdir"  // fsync of a directory
	OpRemove   Op = "remove"   // removing a file or directory
	OpTruncate Op = "truncate" // changing a file's length
	OpCommit   Op = "commit"   // a bbolt commit: its writes, both syncs, the meta page
)

// ErrInjected is wrapped by every error that an Injector returns.
var ErrInjected = errors.New("injected fault")

// Step is one side of one operation.
type Step struct {
	Op    Op
	Path  string
	After bool // false: about to be done; true: done
}

// String returns a step as "before sync /path".
func (s Step) String() string {
	side := "before"
	if s.After {
		side = "after"
	}
	return fmt.Sprintf("%s %s %s", side, s.Op, s.Path)
}

// Seam decides whether a step goes wrong. A nil Seam injects nothing.
type Seam func(Step) error

// Before announces an operation. If it returns an error, the caller must not
// do the operation and must return the error.
func (s Seam) Before(op Op, path string) error {
	if s == nil {
		return nil
	}
	return s(Step{Op: op, Path: path})
}

// After reports an operation that succeeded. If it returns an error, the
// caller must act as if the operation had failed.
func (s Seam) After(op Op, path string) error {
	if s == nil {
		return nil
	}
	return s(Step{Op: op, Path: path, After: true})
}

// Do runs one operation between its two steps.
func (s Seam) Do(op Op, path string, operation func() error) error {
	if err := s.Before(op, path); err != nil {
		return err
	}
	if err := operation(); err != nil {
		return err
	}
	return s.After(op, path)
}

// Injector is a Seam for tests that counts steps and fails at a chosen one.
// Steps are numbered from 1. It may be used by several goroutines.
type Injector struct {
	at    int  // 0: never
	crash bool // every step from at on fails, not only that one

	mu    sync.Mutex
	steps []Step // guarded by mu
}

// Record returns an Injector that lets everything pass and remembers it.
func Record() *Injector { return &Injector{} }

// CrashAt returns an Injector that fails at the nth step and at all later
// ones, as if the process had died there.
func CrashAt(n int) *Injector { return &Injector{at: n, crash: true} }

// FailAt returns an Injector that fails at the nth step only.
func FailAt(n int) *Injector { return &Injector{at: n} }

// Seam returns the seam to hand to the code under test.
func (i *Injector) Seam() Seam { return i.step }

func (i *Injector) step(s Step) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.steps = append(i.steps, s)
	n := len(i.steps)
	if i.at == 0 || n < i.at || (n > i.at && !i.crash) {
		return nil
	}
	return fmt.Errorf("step %d, %s: %w", n, s, ErrInjected)
}

// Steps returns the steps so far, those that failed included.
func (i *Injector) Steps() []Step {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]Step(nil), i.steps...)
}

// Fired reports whether the chosen step was reached. A test that counts n up
// until Fired is false has seen every step.
func (i *Injector) Fired() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.at > 0 && len(i.steps) >= i.at
}
