package integration

import (
	"bufio"
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/edri-io/edri/integration/cluster"
	"github.com/edri-io/edri/integration/workload"
	"github.com/edri-io/edri/internal/fault/trace"
)

const exitStorage = 10

// A write or sync that fails says that nothing in the page cache can be trusted any
// more. The node must stop at once, say so with its own exit code, and neither
// acknowledge nor lose anything by it; what is on its disk serves it again.
func TestNodeStopsWhenItsDiskFails(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skipf("system calls are made to fail on Linux, this is %s", runtime.GOOS)
	}
	if err := trace.Available(); err != nil {
		t.Skipf("cannot make system calls fail: %v", err)
	}
	underLoad(t, 2*time.Minute, func(ctx context.Context, c *cluster.Cluster, w *workload.Writers) {
		for _, file := range []string{"*.wal", "*.seg", "state.db"} {
			for _, calls := range []string{"fsync,fdatasync", "write,pwrite64"} {
				must(t, w.WaitFor(ctx, 200))
				victim := leader(t, c)
				injectCalls(ctx, t, victim, file, calls, "error=EIO")
				code, err := victim.WaitExit(ctx)
				must(t, err)
				if code != exitStorage {
					t.Errorf("%s of %s fails: exit code %d, want %d", calls, file, code, exitStorage)
				}
				must(t, w.WaitFor(ctx, 200)) // the others go on
				must(t, victim.Start())
				must(t, victim.WaitReady(ctx))
			}
		}
	})
}

// injectCalls makes something happen at system calls of a running node on some of
// its files, or on any if pattern is empty, until the node ends or the function that
// it returns is called.
func injectCalls(ctx context.Context, t *testing.T, n *cluster.Node, pattern, calls, what string) (end func()) {
	t.Helper()
	args := []string{"-f", "-p", strconv.Itoa(n.Pid()), "-o", os.DevNull, "-e", "trace=" + calls, "-e", "inject=" + calls + ":" + what}
	if pattern != "" {
		for _, path := range filesLike(t, n.DataDir, pattern) {
			args = append(args, "-P", path)
		}
	}
	cmd := exec.CommandContext(ctx, "strace", args...)
	said, err := cmd.StderrPipe()
	must(t, err)
	must(t, cmd.Start())
	// It ends with the node. What it says is read to the end, so that it never waits.
	attached, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		seen := false
		for lines := bufio.NewScanner(said); lines.Scan(); {
			if !seen && strings.Contains(lines.Text(), "attached") {
				seen = true
				close(attached)
			}
		}
		_ = cmd.Wait()
	}()
	t.Cleanup(func() { <-ended })
	select {
	case <-attached:
	case <-ended:
		t.Fatalf("strace ended before it was attached to %s", n.Name)
	}
	return func() {
		_ = cmd.Process.Kill() // or it ended with the node
		<-ended
	}
}

// filesLike finds the files in a data directory whose names match a pattern.
func filesLike(t *testing.T, dir, pattern string) []string {
	t.Helper()
	var found []string
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if ok, err := filepath.Match(pattern, d.Name()); err != nil || !ok {
			return err
		}
		found = append(found, path)
		return nil
	}))
	if len(found) == 0 {
		t.Fatalf("no %s in %s", pattern, dir)
	}
	return found
}
