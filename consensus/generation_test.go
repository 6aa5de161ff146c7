package consensus

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/edri-io/edri/internal/fault"
	"github.com/edri-io/edri/store"
)

func writeState(t *testing.T, generation string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(generation, StateFile), []byte("state"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSwitchOfGenerationsIsOneStep(t *testing.T) {
	t.Parallel()
	for n, reached := 1, true; reached; n++ {
		g := generations{dir: t.TempDir()}
		old, err := g.current()
		if err != nil {
			t.Fatal(err)
		}
		writeState(t, old)
		next, err := g.fresh()
		if err != nil {
			t.Fatal(err)
		}
		writeState(t, next)
		injector := fault.CrashAt(n)
		failed := generations{g.dir, injector.Seam()}.switchTo(next)
		reached = injector.Fired()
		if reached && failed == nil {
			t.Fatalf("crash at step %d was not reported", n)
		}
		got, err := g.current()
		if err != nil || got != old && got != next {
			t.Fatalf("crash at step %d: in force is %q, %v", n, got, err)
		}
		if !reached && got != next {
			t.Errorf("without a crash: in force is %q, want %q", got, next)
		}
		all, err := filepath.Glob(filepath.Join(g.dir, generationPrefix+"*"))
		if err != nil || len(all) != 1 || all[0] != got {
			t.Errorf("crash at step %d: left behind are %v, %v", n, all, err)
		}
	}
}

func TestDamagedCurrentIsNotAnEmptyDirectory(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(path string) error{
		"removed": os.Remove,
		"garbage": func(path string) error { return os.WriteFile(path, []byte("data-00000x\n"), 0o600) },
		"dangling": func(path string) error {
			return os.WriteFile(path, []byte("data-000007\n"), 0o600)
		},
	} {
		g := generations{dir: t.TempDir()}
		dir, err := g.current()
		if err != nil {
			t.Fatal(err)
		}
		writeState(t, dir)
		if err := damage(g.currentPath()); err != nil {
			t.Fatal(err)
		}
		if _, err := g.current(); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("%s: got %v, want corruption", name, err)
		}
		if _, err := os.Stat(filepath.Join(dir, StateFile)); err != nil {
			t.Errorf("%s: the state is gone: %v", name, err)
		}
	}
}

func TestIdentityBelongsToOneDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := loadIdentity(nil, dir, "n.1")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := loadIdentity(nil, dir, "n.1"); err != nil || again != first {
		t.Errorf("second start: got %v, %v; want %v", again, err, first)
	}
	if got := nodeName(first.ServerID()); got != "n.1" {
		t.Errorf("name in %s: got %q", first.ServerID(), got)
	}
	if _, err := loadIdentity(nil, dir, "n2"); err == nil {
		t.Error("another name was accepted")
	}
	if other, err := loadIdentity(nil, t.TempDir(), "n.1"); err != nil || other.Random == first.Random {
		t.Errorf("another disk: got %v, %v; want another random part", other, err)
	}
	if err := os.WriteFile(filepath.Join(dir, identityFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := loadIdentity(nil, dir, "n.1"); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("damaged: got %v, want corruption", err)
	}
}
