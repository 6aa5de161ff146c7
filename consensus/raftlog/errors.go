package raftlog

import (
	"errors"
	"fmt"

	"github.com/edri-io/edri/store"
)

// Exit codes of the node that this package asks for through Config.Fatal.
const (
	ExitStorage = 10 // a write or sync failed
	ExitCorrupt = 11 // stored bytes are not what was written
	ExitStall   = 13 // a write of a leader's log did not end
)

var (
	// ErrCorrupt is what every detected damage wraps. Nothing of a damaged log is
	// served and nothing is repaired here.
	ErrCorrupt = fmt.Errorf("raft log: %w", store.ErrCorrupt)

	// ErrClosed is returned by every method after Close, and after a fatal error.
	ErrClosed = errors.New("raft log is closed")

	// ErrStalled is what Fatal is given with ExitStall.
	ErrStalled = errors.New("raft log write is stalled")

	// ErrTooLarge is returned, before anything is written, for a record that
	// raft-wal could not read back.
	ErrTooLarge = errors.New("raft log record is too large")
)

// CorruptError says where the damage is.
type CorruptError struct {
	File   string // path of the file
	Offset int64  // first byte that is known to be wrong, or where its frame begins
	Reason string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("%s: %s at offset %d: %s", ErrCorrupt, e.File, e.Offset, e.Reason)
}

// Unwrap makes errors.Is(err, ErrCorrupt) true.
func (e *CorruptError) Unwrap() error { return ErrCorrupt }

func corruptf(file string, offset int64, format string, args ...any) error {
	return &CorruptError{File: file, Offset: offset, Reason: fmt.Sprintf(format, args...)}
}

// ExitCode is the exit code that an error of this package calls for.
func ExitCode(err error) int {
	switch {
	case errors.Is(err, ErrCorrupt):
		return ExitCorrupt
	case errors.Is(err, ErrStalled):
		return ExitStall
	default:
		return ExitStorage
	}
}
