package store

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
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
		got := normalise(calls, dir)
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

// normalise keeps what concerns the directory and the acknowledgements, names
// pages by their role, and writes equal calls in a row once.
func normalise(calls []trace.Call, dir string) string {
	var lines []string
	for _, c := range calls {
		if s := normaliseCall(c, dir); s != "" && !strings.HasSuffix(c.Result, ")") {
			lines = append(lines, s)
		}
	}
	return strings.Join(slices.Compact(lines), "\n") + "\n"
}

func normaliseCall(c trace.Call, dir string) string {
	if c.Name == "write" && strings.HasPrefix(c.Data, "acknowledged") {
		return strings.ToUpper(strings.TrimSpace(c.Data))
	}
	if !strings.HasPrefix(c.Path, dir) {
		return ""
	}
	name := strings.TrimPrefix(strings.TrimPrefix(c.Path, dir), "/")
	if name == "" {
		name = "(directory)"
	}
	switch c.Name {
	case "openat":
		if !strings.Contains(c.Flags, "O_CREAT") || name == "state.db" {
			return ""
		}
		return "create " + name
	case "pwrite64":
		switch {
		case c.Offset == 0 && c.Size > 4096:
			return "write " + name + " first pages"
		case c.Offset < 2*int64(os.Getpagesize()):
			return "write " + name + " meta page"
		}
		return "write " + name + " data pages"
	case "rename", "renameat", "renameat2":
		return fmt.Sprintf("rename %s to %s", name, filepath.Base(c.To))
	case "fsync", "fdatasync":
		return "sync " + name
	}
	return c.Name + " " + name
}
