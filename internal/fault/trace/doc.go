// Package trace runs a program of a test under strace: to see the system calls
// that it makes, in order, or to make one of them fail or kill the program. It
// reaches what a fault.Seam cannot: the writes and syncs inside bbolt.
//
// It is for tests only. They skip with its reason where Available says that
// there is no strace, or that it may not trace.
package trace
