package store

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/edri-io/edri/internal/fault/trace"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// TestOrderOfWritesAndSyncs compares the system calls of a process that creates
// a database and flushes once, or only flushes, with a golden trace. What it
// proves: data pages are synced before the meta page that points at them, the
// meta page is synced before the flush is acknowledged, a new file is synced
// before it gets its name, and the name before the file is used.
func TestOrderOfWritesAndSyncs(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skipf("golden traces are of Linux, this is %s", runtime.GOOS)
	}
	if err := trace.Available(); err != nil {
		t.Skipf("cannot trace: %v", err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "state.db")
	for _, golden := range []string{"create.golden", "flush.golden"} { // in this order, of one file
		calls, result, err := trace.Run(context.Background(), nil, os.Args[0],
			[]string{helperPath + "=" + path, helperMode + "=flush", "GOMAXPROCS=1"})
		if err != nil || result.Code != 0 {
			t.Fatalf("got %+v, %v", result, err)
		}
		got := trace.Story(calls, dir, int64(os.Getpagesize()))
		file := filepath.Join("testdata", golden)
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s: got\n%s\nwant\n%s", golden, got, want)
		}
	}
}
