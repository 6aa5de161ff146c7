package store

import (
	"errors"
	"strings"
	"testing"
)

func TestLockDirRefusesASecondOwner(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := LockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := LockDir(dir); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), dir) {
		t.Fatalf("got %v, want ErrLocked naming %s", err, dir)
	}
	if err := errors.Join(first.Unlock(), first.Unlock()); err != nil {
		t.Fatalf("unlocking twice: %v", err)
	}
	second, err := LockDir(dir)
	if err != nil {
		t.Fatalf("after unlock: %v", err)
	}
	if err := second.Unlock(); err != nil {
		t.Fatal(err)
	}
}

func TestLockDirNeedsTheDirectory(t *testing.T) {
	t.Parallel()
	if _, err := LockDir(t.TempDir() + "/none"); err == nil || errors.Is(err, ErrLocked) {
		t.Fatalf("got %v, want an error other than ErrLocked", err)
	}
}
