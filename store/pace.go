package store

import (
	"context"
)

// Pace is asked before a number of bytes is read and returns when they may be:
// what reads in the background leaves the disk and the CPU to those who wait.
// Its error ends the reading and comes back as it is. Nil does not wait.
type Pace func(ctx context.Context, bytes int) error

// walkAtPace visits all pages and rows at a pace.
func (f *boltFile) walkAtPace(ctx context.Context, pace Pace, row RowFunc) error {
	if pace != nil {
		f.wait = func(bytes int) error { return pace(ctx, bytes) }
	}
	return f.walk(ctx, true, row)
}

// waited returns when bytes may be read.
func (f *boltFile) waited(bytes int64) error {
	if f.wait == nil {
		return nil
	}
	return f.wait(int(bytes))
}
