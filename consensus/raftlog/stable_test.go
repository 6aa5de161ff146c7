package raftlog

import (
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
)

func TestEveryByteOfTheStableStoreIsWatched(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fatal := func(err error) error { return err }
	s, err := openStable(dir, true, nil, new(atomic.Bool), fatal)
	if err != nil {
		t.Fatal(err)
	}
	for term := range uint64(9) { // leaves old pages with old rows
		if err := s.SetUint64([]byte("CurrentTerm"), term); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	undamaged, err := os.ReadFile(filepath.Join(dir, stableName))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), stableName)
	noticed := 0
	for at, b := range undamaged {
		if b == 0 && at%campaignStride() != 0 {
			continue
		}
		for _, bit := range []int{at % 8, (at + 3) % 8} {
			damaged := append([]byte(nil), undamaged...)
			damaged[at] ^= 1 << bit
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			values, err := readStable(path)
			switch {
			case errors.Is(err, ErrCorrupt):
				noticed++
			case err != nil:
				t.Fatalf("byte %d bit %d: %v", at, bit, err)
			case len(values) != 1 || string(values["CurrentTerm"]) != "\x00\x00\x00\x00\x00\x00\x00\x08":
				t.Fatalf("byte %d bit %d: not noticed, and the values are %q", at, bit, values)
			}
		}
	}
	if noticed == 0 {
		t.Fatal("nothing was noticed")
	}
	t.Logf("%d noticed in %d bytes, the others harmless", noticed, len(undamaged))
}

// campaignStride is how many zero bytes the campaign steps over.
func campaignStride() int {
	if os.Getenv("EDRI_SOAK") != "" {
		return 1
	}
	return 61
}

func TestUnfinishedStableStoreIsMadeAnew(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, stableName+".tmp"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := mustOpen(t, dir, Config{SegmentBytes: minSegmentBytes})
	if err := l.Stable().SetUint64([]byte("k"), 1); err != nil {
		t.Fatal(err)
	}
}

// A whole row of an earlier transaction, as a pointer with a flipped bit may find it.
func TestOldRowOfTheStableStoreIsNotServed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := openStable(dir, true, nil, new(atomic.Bool), func(err error) error { return err })
	if err != nil {
		t.Fatal(err)
	}
	for term := range uint64(5) {
		if err := s.SetUint64([]byte("CurrentTerm"), term); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.db.Set(stableKey, encodeStable(s.tx, s.values)); err != nil { // of the transaction before
		t.Fatal(err)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	if _, err := readStable(filepath.Join(dir, stableName)); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("got %v, want ErrCorrupt", err)
	}
}
