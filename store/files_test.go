package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/edri-io/edri/internal/fault"
)

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWriteFileAtomicReplacesWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	older, newer := []byte("older content"), []byte("newer")
	for n := 1; ; n++ {
		for _, inj := range []*fault.Injector{fault.CrashAt(n), fault.FailAt(n)} {
			path := filepath.Join(t.TempDir(), "f")
			if err := WriteFileAtomic(nil, path, older); err != nil {
				t.Fatal(err)
			}
			err := WriteFileAtomic(inj.Seam(), path, newer)
			if !inj.Fired() {
				if err != nil || !bytes.Equal(readFile(t, path), newer) {
					t.Fatalf("without a fault: got %v, %q", err, readFile(t, path))
				}
				if n < 11 {
					t.Fatalf("only %d steps; want each operation on both sides", n-1)
				}
				return
			}
			got := readFile(t, path)
			if !errors.Is(err, ErrIO) || !errors.Is(err, fault.ErrInjected) {
				t.Errorf("step %d: got error %v, want ErrIO and ErrInjected", n, err)
			}
			if !bytes.Equal(got, older) && !bytes.Equal(got, newer) {
				t.Errorf("step %d: got content %q, want one of the two", n, got)
			}
			// What is left does not stand in the way of the next start.
			if err := WriteFileAtomic(nil, path, newer); err != nil {
				t.Errorf("step %d: writing again: %v", n, err)
			}
		}
	}
}

func TestWriteFileAtomicSyncsBeforeItRenames(t *testing.T) {
	t.Parallel()
	rec := fault.Record()
	path := filepath.Join(t.TempDir(), "f")
	if err := WriteFileAtomic(rec.Seam(), path, nil); err != nil {
		t.Fatal(err)
	}
	var got []fault.Op
	for _, s := range rec.Steps() {
		if s.After {
			got = append(got, s.Op)
		}
	}
	want := []fault.Op{fault.OpCreate, fault.OpWrite, fault.OpSync, fault.OpRename, fault.OpSyncDir}
	if !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func TestRemoveOfAMissingFileIsNoError(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "f")
	if err := Remove(nil, path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Remove(nil, path); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("got %v, want the file gone", err)
	}
}
