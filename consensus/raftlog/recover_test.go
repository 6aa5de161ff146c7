package raftlog

import (
	"path/filepath"
	"testing"

	"github.com/edri-io/edri/internal/fault"
)

// A tail that was created just before a crash may have its name only in memory, and
// raft-wal does not sync the directory of a file that it reopens: appends to it would
// be lost with the name.
func TestDirectoryIsSyncedBeforeTheTailIsAppendedTo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mustStore(t, mustOpen(t, dir, Config{SegmentBytes: minSegmentBytes}), 1, 1, 10)
	dir = copyDir(t, dir)
	record := fault.Record()
	l := mustOpen(t, dir, Config{SegmentBytes: minSegmentBytes, Seam: record.Seam()})
	mustStore(t, l, 2, 1, 10)
	for _, s := range record.Steps() {
		if s.Op == fault.OpSyncDir && s.After && s.Path == dir {
			return
		}
		if s.Op == fault.OpWrite || filepath.Ext(s.Path) != "" {
			t.Fatalf("%s comes before the directory is synced", s)
		}
	}
	t.Fatal("the directory is never synced")
}
