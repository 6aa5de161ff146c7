package raftlog

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/raft"
)

// Whatever is damaged, what is salvaged is right, ends where the log ended, and
// begins at the entry after the state's last or before; or nothing is.
func TestSalvageIsRightOrRefused(t *testing.T) {
	t.Parallel()
	for name, d := range damageDirs(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(9, 10))
			salvaged, refused := 0, 0
			for range campaign(150) {
				dir := copyDir(t, d.dir)
				files := listDir(t, dir)
				path := filepath.Join(dir, files[rnd.IntN(len(files))])
				damageFile(t, rnd, path)
				if l, err := Open(copyDir(t, dir), Config{SegmentBytes: minSegmentBytes}); err == nil {
					_ = l.Close()
					continue
				}
				applied := uint64(rnd.IntN(int(d.last) + 1))
				if trySalvage(t, d, dir, applied) {
					salvaged++
				} else {
					refused++
				}
				if err := os.RemoveAll(dir); err != nil {
					t.Fatal(err)
				}
			}
			t.Logf("%d salvaged, %d refused", salvaged, refused)
			if salvaged == 0 || refused == 0 {
				t.Errorf("%d salvaged, %d refused", salvaged, refused)
			}
		})
	}
}

func damageFile(t *testing.T, rnd *rand.Rand, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for range 1 + rnd.IntN(3) {
		b[rnd.IntN(len(b))] ^= 1 << rnd.IntN(8)
	}
	if rnd.IntN(10) == 0 {
		b = b[:rnd.IntN(len(b))]
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func trySalvage(t *testing.T, d damageDir, dir string, applied uint64) bool {
	t.Helper()
	into := filepath.Join(t.TempDir(), "new")
	first, last, err := Salvage(dir, into, applied, Config{SegmentBytes: minSegmentBytes})
	if err != nil {
		if !errors.Is(err, ErrAbove) {
			t.Fatalf("got %v, want ErrAbove", err)
		}
		return false
	}
	if first > applied+1 || last != d.last {
		t.Fatalf("salvaged %d to %d, the state has %d, the log went to %d", first, last, applied, d.last)
	}
	f := &fatals{}
	l := mustOpen(t, into, Config{SegmentBytes: minSegmentBytes, Fatal: f.record})
	defer l.Close()
	for i := first; i <= last; i++ {
		var got raft.Log
		if err := l.GetLog(i, &got); err != nil || !equalEntries(&got, entry(i, damageEntryBytes)) {
			t.Fatalf("entry %d is %v, %v", i, got, err)
		}
	}
	if got, err := l.FirstIndex(); err != nil || got != first {
		t.Fatalf("begins at %d (%v), not %d", got, err, first)
	}
	term, err := l.Stable().GetUint64([]byte("CurrentTerm"))
	vote, err2 := l.Stable().Get([]byte("LastVoteCand"))
	if err != nil || err2 != nil || term != 7 || string(vote) != "n2" {
		t.Fatalf("the term is %d, the vote %q (%v, %v)", term, vote, err, err2)
	}
	mustStore(t, l, last+1, 1, damageEntryBytes)
	return true
}

func TestSalvageKeepsWhatTheStateLacks(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		damaged, applied uint64
		salvaged         bool
	}{
		{damaged: 20, applied: 180, salvaged: true},
		{damaged: 20, applied: 21, salvaged: true}, // the batch of 19 to 21
		{damaged: 20, applied: 20, salvaged: false},
		{damaged: 20, applied: 19, salvaged: false},
		{damaged: 175, applied: 180, salvaged: true},
		{damaged: 179, applied: 180, salvaged: false}, // nothing behind it tells where the log ended
	} {
		dir := t.TempDir()
		l := mustOpen(t, dir, Config{SegmentBytes: minSegmentBytes})
		for i := range uint64(60) {
			mustStore(t, l, 1+3*i, 3, damageEntryBytes)
		}
		dir = copyDir(t, dir)
		flipInFiles(t, dir, entry(test.damaged, damageEntryBytes).Data[100:140])
		_, _, err := Salvage(dir, filepath.Join(t.TempDir(), "new"), test.applied, Config{SegmentBytes: minSegmentBytes})
		if test.salvaged != (err == nil) {
			t.Errorf("damage at %d, state at %d: got %v", test.damaged, test.applied, err)
		}
		if err != nil && !strings.Contains(err.Error(), "damaged above") {
			t.Errorf("got %v", err)
		}
	}
}
