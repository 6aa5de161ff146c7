package store

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/edri-io/edri/internal/fault/trace"
)

// TestPowerLossAtEverySystemCall replays the system calls of a process against
// a model of a disk with a volatile cache. After each call it makes what a power
// failure could leave: of the writes since the file's last sync any subset, torn
// at sectors; of the renames since the directory's last sync any prefix. The
// database must open with the last acknowledged flush, or the one under way.
func TestPowerLossAtEverySystemCall(t *testing.T) {
	t.Parallel()
	if err := trace.Available(); err != nil {
		t.Skipf("cannot trace: %v", err)
	}
	dir := t.TempDir()
	calls, result, err := trace.RunFull(context.Background(), os.Args[0],
		[]string{helperPath + "=" + filepath.Join(dir, "state.db"), "GOMAXPROCS=1"})
	if err != nil || result.Code != 0 {
		t.Fatalf("got %+v, %v", result, err)
	}
	d := newDisk(dir)
	rnd := rand.New(rand.NewPCG(11, 11))
	acked, cuts := -1, 0
	for _, c := range calls {
		if strings.HasPrefix(c.Data, "acknowledged") {
			acked++
		}
		if !d.do(c) {
			continue
		}
		for range campaign(3, 100) {
			cuts++
			left := filepath.Join(dir, fmt.Sprint("left-", cuts))
			if err := d.fail(rnd, left); err != nil {
				t.Fatal(err)
			}
			crashScript.verify(t, filepath.Join(left, "state.db"), acked)
			if err := os.RemoveAll(left); err != nil {
				t.Fatal(err)
			}
			if t.Failed() {
				t.Fatalf("after %s %s at %d, acknowledged %d", c.Name, c.Path, c.Offset, acked)
			}
		}
	}
	if acked != crashScript.flushes || cuts < 200 {
		t.Errorf("got %d flushes, %d cuts; want %d and at least 200", acked, cuts, crashScript.flushes)
	}
}

// disk is the model: what is durable, and what is only in the cache.
type disk struct {
	dir     string
	files   map[string]*diskFile // by name, as the process sees it
	durable map[string]*diskFile // by name, as of the directory's last sync
	renames []map[string]*diskFile
}

type diskFile struct {
	data    []byte // as of the last sync
	pending []trace.Call
}

const sector = 512

func newDisk(dir string) *disk {
	return &disk{dir: dir, files: map[string]*diskFile{}, durable: map[string]*diskFile{}}
}

// do takes in a call and reports whether it changed anything.
func (d *disk) do(c trace.Call) bool {
	if !strings.HasPrefix(c.Path, d.dir) || strings.HasPrefix(c.Result, "-1") {
		return false
	}
	name := filepath.Base(c.Path)
	f := d.files[name]
	switch c.Name {
	case "openat":
		if !strings.Contains(c.Flags, "O_CREAT") || f != nil {
			return false
		}
		d.files[name] = &diskFile{}
		d.renames = append(d.renames, maps.Clone(d.files))
	case "rename", "renameat", "renameat2":
		d.files[filepath.Base(c.To)] = f
		delete(d.files, name)
		d.renames = append(d.renames, maps.Clone(d.files))
	case "pwrite64", "ftruncate":
		f.pending = append(f.pending, c)
	case "fsync", "fdatasync":
		if c.Path == d.dir {
			d.durable, d.renames = maps.Clone(d.files), nil
			return true
		}
		for _, p := range f.pending {
			f.data = apply1(f.data, p, nil)
		}
		f.pending = nil
	}
	return true
}

// fail writes what is left after a power failure to a new directory.
func (d *disk) fail(rnd *rand.Rand, to string) error {
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	names := d.durable
	if n := rnd.IntN(len(d.renames) + 1); n > 0 {
		names = d.renames[n-1]
	}
	for name, f := range names {
		data := slices.Clone(f.data)
		for _, p := range f.pending {
			switch rnd.IntN(4) {
			case 0: // lost
			case 1: // torn
				data = apply1(data, p, rnd)
			default:
				data = apply1(data, p, nil)
			}
		}
		if err := os.WriteFile(filepath.Join(to, name), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// apply1 applies one write or truncation to a file's content. With rnd only
// some of the sectors of a write are written.
func apply1(data []byte, c trace.Call, rnd *rand.Rand) []byte {
	grow := func(size int64) {
		if n := size - int64(len(data)); n > 0 {
			data = append(data, make([]byte, n)...)
		}
	}
	if c.Name == "ftruncate" {
		grow(c.Offset)
		return data[:c.Offset]
	}
	grow(c.Offset + c.Size)
	for i, part := range slices.Collect(slices.Chunk([]byte(c.Data), sector)) {
		if rnd == nil || rnd.IntN(2) == 0 {
			copy(data[c.Offset+int64(i)*sector:], part)
		}
	}
	return data
}

func TestDiskModelKeepsWhatWasSynced(t *testing.T) {
	t.Parallel()
	d := newDisk("/d")
	write := func(off int64, b string) trace.Call {
		return trace.Call{Name: "pwrite64", Path: "/d/f", Data: b, Size: int64(len(b)), Offset: off, Result: "1"}
	}
	d.do(trace.Call{Name: "openat", Path: "/d/f", Flags: "O_RDWR|O_CREAT", Result: "3"})
	d.do(write(0, "synced"))
	d.do(trace.Call{Name: "fdatasync", Path: "/d/f", Result: "0"})
	d.do(trace.Call{Name: "fsync", Path: "/d", Result: "0"})
	d.do(write(6, strings.Repeat("x", 3*sector)))
	rnd := rand.New(rand.NewPCG(1, 1))
	seen := map[int]bool{}
	for range 50 {
		to := filepath.Join(t.TempDir(), "left")
		if err := d.fail(rnd, to); err != nil {
			t.Fatal(err)
		}
		b := readFile(t, filepath.Join(to, "f"))
		if !bytes.HasPrefix(b, []byte("synced")) {
			t.Fatalf("got %.10q, want what was synced", b)
		}
		seen[bytes.Count(b, []byte("x"))] = true
	}
	if len(seen) < 3 {
		t.Errorf("got only %v bytes of the write that was not synced", seen)
	}
}
