package store

import (
	"fmt"
	"runtime/debug"
)

// Reading a bbolt file means following page numbers, offsets and lengths in a
// memory map. Where they are damaged, bbolt panics (its assertions), indexes
// out of range, or touches memory that no file backs, which the kernel answers
// with SIGBUS or SIGSEGV. Every function that lets bbolt touch a file's pages
// therefore begins with
//
//	defer recoverCorrupt(&err, path, debug.SetPanicOnFault(true))
//
// which turns all of these into ErrCorrupt. An error of the disk under the map
// is a SIGBUS too and comes out the same. Two things cannot be recovered: the
// exhaustion of the stack and a panic on one of bbolt's own goroutines. The
// check of the skeleton at open (CheckBolt) rules out the damage that leads to
// either.

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
