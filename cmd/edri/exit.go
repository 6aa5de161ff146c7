package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/server"
)

// Exit codes.
const (
	exitOK          = 0
	exitError       = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitConflict    = 4
	exitUnavailable = 5
	exitRunFailed   = 6
	exitDamage      = 11 // as of edri-server
	exitInterrupted = 130
)

// damagedParts are what an error names as damaged.
func damagedParts(err error) []server.Damage {
	var damage *server.DamageError
	if errors.As(err, &damage) {
		return damage.Parts
	}
	return nil
}

// errInterrupted is the cause of the context's end after a signal.
var errInterrupted = errors.New("interrupted")

// usageError is about what stands on the command line.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}

// exitCode is what the process ends with after err.
//
// An outcome that is not known is an error like others: a script that takes 5 for
// "try again" could otherwise append twice.
func exitCode(ctx context.Context, err error) int {
	if err == nil {
		return exitOK
	}
	if errors.Is(context.Cause(ctx), errInterrupted) {
		return exitInterrupted
	}
	if usage := (*usageError)(nil); errors.As(err, &usage) {
		return exitUsage
	}
	if failed := (*runFailed)(nil); errors.As(err, &failed) {
		return exitRunFailed
	}
	switch {
	case errors.Is(err, server.ErrDamaged):
		return exitDamage
	case errors.Is(err, server.ErrExists), errors.Is(err, server.ErrNotEmpty):
		return exitConflict
	}
	switch event.CodeOf(err) {
	case event.CodeNotFound:
		return exitNotFound
	case event.CodeRevisionConflict, event.CodeIDConflict, event.CodeCheckFailed, event.CodeExists,
		event.CodeStaleToken, event.CodeAlreadyAcked, event.CodeAlreadyAnswered, event.CodeRunEnded:
		return exitConflict
	case event.CodeUnavailable, event.CodeDeadlineExceeded, event.CodeOverloaded, event.CodeNotLeader,
		event.CodeNoResponder:
		return exitUnavailable
	}
	return exitError
}
