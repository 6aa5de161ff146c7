package log

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/fault/trace"
	"github.com/edri-io/edri/store"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// Tests run themselves as another process, to look at its system calls.
const (
	helperDir   = "EDRI_LOG_TEST_DIR"
	helperState = "EDRI_LOG_TEST_STATE" // records that the state has

	exitStorage = 10
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperDir); dir != "" {
		os.Exit(helper(dir))
	}
	os.Exit(m.Run())
}

// tracedHistory has a boundary between 5 and 20, and one only.
func tracedHistory() *history { return newHistory(25, 1500) }

// helper lives a life that flushes at 5 and at 20 and says so.
func helper(dir string) int {
	runtime.LockOSThread() // strace counts by thread
	state, err := strconv.Atoi(os.Getenv(helperState))
	if err != nil {
		return 1
	}
	h := tracedHistory()
	j, err := Open(dir, h.mark(state), Config{RunBytes: 700})
	for _, to := range []int{5, 20} {
		if err != nil || to <= state {
			continue
		}
		j.Append(h.records[state:to], h.mark(to))
		if err = j.Flush(event.Position(to)); err == nil {
			_, _ = fmt.Fprintf(os.Stdout, "acknowledged %d\n", to)
			state = to
			_, err = j.Settle()
		}
	}
	if err == nil {
		err = j.Close()
	}
	switch {
	case errors.Is(err, store.ErrIO):
		return exitStorage
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func requireTrace(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skipf("traces are of Linux, this is %s", runtime.GOOS)
	}
	if err := trace.Available(); err != nil {
		t.Skipf("cannot trace: %v", err)
	}
}

// TestOrderOfSyncsOfARoll compares the system calls of a flush that crosses into
// a new segment with a golden trace. What it proves: the old segment is complete,
// synced, before the new file is made; that has its name durably before records go
// to it; they are synced before the flush returns; and then the old one is sealed.
func TestOrderOfSyncsOfARoll(t *testing.T) {
	t.Parallel()
	requireTrace(t)
	p := &play{history: tracedHistory(), dir: filepath.Join(t.TempDir(), "journal"), cfg: Config{RunBytes: 700}}
	if err := p.live(nil, 5); err != nil {
		t.Fatal(err)
	}
	calls, result, err := trace.Run(context.Background(), nil, os.Args[0],
		[]string{helperDir + "=" + p.dir, helperState + "=5", "GOMAXPROCS=1"})
	if err != nil || result.Code != 0 {
		t.Fatalf("got %+v, %v", result, err)
	}
	got := trace.Story(calls, p.dir, pageBytes)
	golden := filepath.Join("testdata", "roll.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestAnyFailedSystemCallLosesNothing kills the process before each call that
// changes files, or makes the call fail once: inside bbolt's commits too, which
// the seam does not reach.
func TestAnyFailedSystemCallLosesNothing(t *testing.T) {
	t.Parallel()
	requireTrace(t)
	for call, atLeast := range map[string]int{
		"pwrite64": 15, "fdatasync": 10, "fsync": 2, "ftruncate": 1, "renameat": 0, "rename": 0, "renameat2": 0,
	} {
		for _, kill := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s kill %t", call, kill), func(t *testing.T) {
				t.Parallel()
				n := 1
				for injectCall(t, trace.Injection{Call: call, Nth: n, Kill: kill}) {
					n++
				}
				if n-1 < atLeast {
					t.Errorf("got %d calls, want at least %d", n-1, atLeast)
				}
			})
		}
	}
}

// injectCall runs the helper with a fault and reports whether it came so far.
func injectCall(t *testing.T, inject trace.Injection) bool {
	p := &play{history: tracedHistory(), dir: filepath.Join(t.TempDir(), "journal"), cfg: Config{RunBytes: 700}}
	_, result, err := trace.Run(context.Background(), &inject, os.Args[0],
		[]string{helperDir + "=" + p.dir, helperState + "=0", "GOMAXPROCS=1"})
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(result.Stdout) {
		if _, err := fmt.Sscanf(line, "acknowledged %d\n", &p.state); err != nil {
			t.Fatalf("the helper said %q", line)
		}
	}
	if result.Code == 0 {
		if p.state != 20 {
			t.Fatalf("%+v: ended well at %d", inject, p.state)
		}
		return false
	}
	want := exitStorage
	if inject.Kill {
		want = -1
	}
	if result.Code != want {
		t.Errorf("%+v: exit %d, want %d: %s", inject, result.Code, want, result.Stderr)
	}
	p.requireConsistent(t)
	return true
}
