package log

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/edri-io/edri/internal/fault"
	"github.com/edri-io/edri/store"
)

// Damage that comes while a segment is open meets bbolt's writer, which panics
// with its locks held. The flush says so, and the journal closes all the same:
// the node must get to its exit code.
func TestDamageThatTheWriterMeetsStopsTheFlush(t *testing.T) {
	t.Parallel()
	const count = 3000
	records := func(n *node, i int) []Record {
		return n.records(1, spec{stream: "s", correlation: fmt.Sprintf("c%04d", i)})
	}
	intact, n := t.TempDir(), newNode(0)
	j := mustOpen(t, intact, Mark{}, Config{RunBytes: 1})
	for i := range count {
		j.Append(records(n, i), n.mark)
	}
	mustFlush(t, j)
	name := segmentFiles(t, intact)[0]
	content, used := readUsed(t, filepath.Join(intact, name))
	mark := n.mark
	found := 0
	for i, id := range used {
		branch := binary.NativeEndian.Uint16(content[id*pageBytes+8:]) == 1
		if i < 2 || !branch && i%8 != 0 {
			continue // a meta page, or one of the many leaves
		}
		for kind, page := range damagedPages(content[id*pageBytes : (id+1)*pageBytes]) {
			dir, n := t.TempDir(), newNode(0)
			n.mark = mark
			n.revisions["s"] = count
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
				t.Fatal(err)
			}
			j, err := Open(dir, mark, Config{RunBytes: 1})
			if err != nil {
				t.Fatal(err)
			}
			damage(t, filepath.Join(dir, name), id, page)
			for i := range 5 {
				j.Append(records(n, count+i), n.mark)
				if err = j.Flush(n.mark.Last); err != nil {
					break
				}
			}
			if err != nil {
				if found++; !errors.Is(err, store.ErrCorrupt) {
					t.Errorf("page %d, %s: got %v, want ErrCorrupt", id, kind, err)
				}
			}
			requireCloses(t, j, fmt.Sprintf("page %d, %s", id, kind))
		}
	}
	if found < 3 {
		t.Errorf("the writer met %d damaged pages only", found)
	}
}

// A panic in the middle of a commit leaves bbolt's locks held.
func TestAPanicInACommitDoesNotHoldBackClose(t *testing.T) {
	t.Parallel()
	panics := false
	seam := func(s fault.Step) error {
		if panics && s.Op == fault.OpCommit && !s.After {
			panic("assertion failed")
		}
		return nil
	}
	n := newNode(0)
	j, err := Open(t.TempDir(), Mark{}, Config{Seam: seam})
	if err != nil {
		t.Fatal(err)
	}
	j.Append(n.records(1, spec{}), n.mark)
	mustFlush(t, j)
	panics = true
	j.Append(n.records(1, spec{}), n.mark)
	if err := j.Flush(n.mark.Last); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("got %v, want ErrCorrupt", err)
	}
	requireCloses(t, j, "after a panic")
}

// What a failed Open has opened is closed: the node that starts again, or the
// tool that looks what is wrong, can lock every file.
func TestAFailedOpenLeavesNoFileOpen(t *testing.T) {
	t.Parallel()
	p := newPlay(t)
	if err := p.live(nil, 20, 50, 85); err != nil {
		t.Fatal(err)
	}
	mark := p.mark(p.state)
	mark.SegmentBytes++
	if _, err := Open(p.dir, mark, p.cfg); !errors.Is(err, store.ErrCorrupt) {
		t.Fatalf("got %v, want ErrCorrupt", err)
	}
	names := segmentFiles(t, p.dir)
	if len(names) < 2 {
		t.Fatalf("the journal has the files %v only", names)
	}
	for _, name := range names {
		f, err := os.Open(filepath.Join(p.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			t.Errorf("%s is locked: %v", name, err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

// damagedPages returns what may have become of a page, by what happened to it.
func damagedPages(page []byte) map[string][]byte {
	flags, counts := bytes.Clone(page), bytes.Clone(page)
	binary.NativeEndian.PutUint16(flags[8:], 0x40)
	binary.NativeEndian.PutUint16(counts[10:], 0xffff)
	return map[string][]byte{
		"zeroed": make([]byte, pageBytes), "ones": bytes.Repeat([]byte{0xff}, pageBytes),
		"flags": flags, "count": counts,
	}
}

func damage(t *testing.T, path string, id int, page []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if _, err := f.WriteAt(page, int64(id)*pageBytes); err != nil {
		t.Fatal(err)
	}
}

func requireCloses(t *testing.T, j *Journal, what string) {
	t.Helper()
	closed := make(chan error, 1)
	go func() { closed <- j.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			t.Errorf("%s: close: %v", what, err)
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("%s: Close does not return", what)
	}
}
