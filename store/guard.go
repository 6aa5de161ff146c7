package store

import (
	"fmt"
	"runtime/debug"
)

// Reading a bbolt file means following page numbers, offsets and lengths in a
// memory map. Where they are damaged, bbolt's own code panics (its assertions),
// indexes out of range, or touches memory that no file backs, which the kernel
// answers with SIGBUS or SIGSEGV; a file that is cut short or a disk that fails
// makes our own reads fault the same. Every function that touches a file's
// pages therefore begins with
//
//	defer recoverCorrupt(&err, path, debug.SetPanicOnFault(true))
//
// which turns all of these into ErrCorrupt. Two things cannot be recovered: the
// exhaustion of the stack and a panic on one of bbolt's own goroutines. The
// check of the skeleton at open (CheckBolt) rules out the damage that leads to
// either, and our own reads (cursor.go) cannot do either. What is left is a branch
// page that comes to point at itself while its file is open, and is met by bbolt's
// own code in package log: the process ends by Go's limit of the stack instead of
// with exit code 11, which the next start then gives.

// Guarded runs what touches the pages of the bbolt file at path; damage comes out
// as ErrCorrupt. What fn returned in slices may be touched outside once it was
// read inside, as checking a row's CRC does.
func Guarded(path string, fn func() error) (err error) {
	defer recoverCorrupt(&err, path, debug.SetPanicOnFault(true))
	return fn()
}

// recoverCorrupt, when deferred, turns a panic into a CorruptError in *err and
// restores the goroutine's panic-on-fault setting to old.
func recoverCorrupt(err *error, path string, old bool) {
	debug.SetPanicOnFault(old)
	r := recover()
	if r == nil {
		return
	}
	detail := fmt.Sprintf("reading pages panicked: %v", r)
	if fault, ok := r.(interface{ Addr() uintptr }); ok {
		detail = fmt.Sprintf("reading pages faulted at address %#x: %v", fault.Addr(), r)
	}
	*err = &CorruptError{Path: path, Detail: detail}
}
