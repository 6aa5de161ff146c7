package store

import (
	"errors"
	"fmt"
)

// What a caller branches on. Test with errors.Is.
var (
	// ErrCorrupt: bytes in a file are not what was written. The node must stop
	// (exit code 11); nothing of the file may be served, cut or replicated.
	ErrCorrupt = errors.New("data is corrupt")

	// ErrIO: a write, sync or rename failed. What is in the page cache may lie
	// from here on, so the node must stop (exit code 10) and not try again.
	ErrIO = errors.New("storage failed")

	// ErrLocked: another process holds the directory or file.
	ErrLocked = errors.New("locked by another process")

	// ErrFormat: the file was written by a version that this one does not know.
	ErrFormat = errors.New("unknown format version")

	// ErrClosed: the database was closed.
	ErrClosed = errors.New("database is closed")
)

// CorruptError says where damage was met. It matches ErrCorrupt.
type CorruptError struct {
	Path   string // the file
	Table  string // empty: not in a table
	Key    []byte // nil: not in a row
	Detail string // what disagrees with what
}

// Error names file, table and key.
func (e *CorruptError) Error() string {
	where := e.Path
	if e.Table != "" {
		where += fmt.Sprintf(" table %q", e.Table)
	}
	if e.Key != nil {
		where += fmt.Sprintf(" key %q", e.Key)
	}
	return fmt.Sprintf("%s: %v: %s", where, ErrCorrupt, e.Detail)
}

// Is makes errors.Is(err, ErrCorrupt) true.
func (e *CorruptError) Is(target error) bool { return target == ErrCorrupt }

// ioError wraps the failure of a file operation so that it matches both ErrIO
// and its cause. A nil cause stays nil.
func ioError(verb, path string, cause error) error {
	if cause == nil {
		return nil
	}
	if errors.Is(cause, ErrIO) || errors.Is(cause, ErrCorrupt) {
		return fmt.Errorf("%s %s: %w", verb, path, cause)
	}
	return fmt.Errorf("%s %s: %w: %w", verb, path, ErrIO, cause)
}
