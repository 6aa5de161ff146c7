package consensus_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/fault"
)

// flipInLog flips a bit in the record of an entry that holds these bytes.
func flipInLog(t *testing.T, dir, needle string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "raft", "*.wal"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		at := strings.Index(string(content), needle)
		if at < 0 {
			continue
		}
		content[at] ^= 4
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatalf("no entry holds %q", needle)
}

func TestDamageInTheRaftLogBelowTheStateIsDropped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &simLedger{acked: map[string]event.Position{}}
		c := filled(t, l, false)
		defer c.endAll()
		flipInLog(t, filepath.Join(c.dir, "n3"), "e-20")
		c.start("n3")
		c.eventually("all are ready", c.allReady)
		c.verify(l)
		if kept := c.quarantined("n3"); len(kept) != 1 || !strings.HasPrefix(kept[0], "raft-") {
			t.Errorf("in quarantine: %v", kept)
		}
		c.end("n3", true)
		c.start("n3")
		c.verify(l)
	})
}

// Behind the last batch nothing tells that the log did not go on: what it held may
// have been acknowledged.
func TestDamageAtTheRaftLogsEndForbidsToVoteAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &simLedger{acked: map[string]event.Position{}}
		c := filled(t, l, false)
		defer c.endAll()
		flipInLog(t, filepath.Join(c.dir, "n3"), "e-60")
		err := c.tryStart("n3")
		if !errors.Is(err, consensus.ErrReplace) || consensus.ExitCode(err) != consensus.ExitCorruption ||
			!strings.Contains(err.Error(), "edri cluster replace") {
			t.Errorf("got %v, want ErrReplace and the exit code of corruption", err)
		}
	})
}

func TestDamageInStateAndRaftLogForbidsToVoteAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &simLedger{acked: map[string]event.Position{}}
		c := filled(t, l, false)
		defer c.endAll()
		flipInLog(t, filepath.Join(c.dir, "n3"), "e-20")
		cutFile(t, filepath.Join(c.dir, "n3", "data-000001/state.db"))
		if err := c.tryStart("n3"); !errors.Is(err, consensus.ErrReplace) {
			t.Errorf("got %v, want ErrReplace", err)
		}
	})
}

func TestReplacingTheRaftLogSurvivesACrashAtEveryStep(t *testing.T) {
	t.Parallel()
	stride := 1
	if testing.Short() {
		stride = 7
	}
	for n := 1; ; n += stride {
		reached := true
		synctest.Test(t, func(t *testing.T) {
			l := &simLedger{acked: map[string]event.Position{}}
			c := filled(t, l, false)
			defer c.endAll()
			flipInLog(t, filepath.Join(c.dir, "n3"), "e-20")
			injector := fault.CrashAt(n)
			c.tune = func(_ string, cfg *consensus.Config) {
				cfg.Seam, cfg.Fatal = injector.Seam(), func(int, error) { runtime.Goexit() }
			}
			reached = c.tryStart("n3") != nil
			c.tune = nil
			if !reached { // the log is open: a crash after that is the subject of other tests
				_ = c.node("n3").Abandon()
				c.forget("n3")
			}
			c.start("n3")
			c.verify(l)
			if kept := c.quarantined("n3"); len(kept) != 1 {
				t.Fatalf("in quarantine: %v", kept)
			}
		})
		if t.Failed() {
			t.Fatalf("crash at step %d", n)
		}
		if !reached {
			if n < 20 {
				t.Errorf("only %d steps", n)
			}
			return
		}
	}
}
