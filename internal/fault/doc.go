// Package fault is the seam where tests make file operations fail.
//
// Code that touches the disk calls its Seam before and after every operation
// of its own: creating, writing, syncing, renaming or removing a file, syncing
// a directory, committing a bbolt transaction. In production the Seam is nil
// and costs one comparison. A test passes a Seam that returns an error, which
// stands for one of three things:
//
//   - an error before the operation: the operation failed and had no effect;
//   - an error after the operation: it took effect, but its caller was told
//     that it failed (bbolt can leave a failed commit visible, so callers must
//     survive this one too);
//   - an error at one step and at every later one: the process died there.
//     What is in the files at that moment is what the next start finds.
//
// Injector provides all three by step number, so that a test can run through
// every step of an operation: count the steps of a clean run with Record, then
// repeat it with CrashAt(n) and FailAt(n) for every n.
//
// A Seam may be called by several goroutines at once.
package fault
