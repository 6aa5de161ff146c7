package log

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/store"
)

func segmentFiles(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// requireRightOrCorrupt opens the journal and reads it in several ways: each
// must give exactly what was written or an error that says what file is damaged.
func (p *play) requireRightOrCorrupt(t *testing.T, name string) (found bool) {
	t.Helper()
	fail := func(err error) bool {
		if !errors.Is(err, store.ErrCorrupt) && !errors.Is(err, store.ErrFormat) {
			t.Fatalf("got %v, want ErrCorrupt", err)
		}
		if !strings.Contains(err.Error(), name) {
			t.Fatalf("%v does not name the file %s", err, name)
		}
		return true
	}
	j, err := Open(p.dir, p.mark(p.state), p.cfg)
	if err != nil {
		return fail(err)
	}
	defer func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}()
	queries := []Query{{}, {Reverse: true}, {TypePrefix: "t"}, {Type: "t1"}, {Stream: "s0", Reverse: true}, {Source: "src"}}
	for i := range 10 {
		queries = append(queries, Query{Correlation: fmt.Sprint("c", i*8)})
	}
	for _, q := range queries {
		var want []Record
		for i := range p.records[:p.state] {
			if q.Matches(p.records[i]) {
				want = append(want, p.records[i])
			}
		}
		got, err := collectAll(j, q)
		if err != nil {
			found = fail(err)
			continue
		}
		if q.Reverse {
			got = reversed(got)
		}
		requireSame(t, got, want)
	}
	return found
}

func TestABitThatFlippedIsFoundOrDoesNotMatter(t *testing.T) {
	t.Parallel()
	p := newPlay(t)
	if err := p.live(nil, 20, 50, 85); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	found := 0
	for _, name := range segmentFiles(t, p.dir) {
		path := filepath.Join(p.dir, name)
		intact, used := readUsed(t, path)
		for range 150 {
			damaged := append([]byte(nil), intact...)
			at := used[rng.IntN(len(used))]*pageBytes + rng.IntN(pageBytes)
			if rng.IntN(2) == 0 {
				at = at/pageBytes*pageBytes + rng.IntN(400) // headers and elements
			}
			damaged[at] ^= 1 << rng.IntN(8)
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			if p.requireRightOrCorrupt(t, name) {
				found++
			}
		}
		if err := os.WriteFile(path, intact, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if found < 100 {
		t.Errorf("only %d flips were found", found)
	}
}

// A damaged branch page sends a search for a name to a leaf where it cannot be.
// Opening a file finds that; here the damage comes while the file is open.
func TestABranchPageThatChangesHidesNoName(t *testing.T) {
	t.Parallel()
	dir, n := t.TempDir(), newNode(0)
	j := mustOpen(t, dir, Mark{}, Config{RunBytes: 1})
	const count = 4000
	for i := range count {
		j.Append(n.records(1, spec{stream: "s", correlation: fmt.Sprintf("c%04d", i)}), n.mark)
	}
	mustFlush(t, j)
	path := filepath.Join(dir, segmentFiles(t, dir)[0])
	intact, used := readUsed(t, path)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	write := func(at int, b byte) {
		if _, err := f.WriteAt([]byte{b}, int64(at)); err != nil {
			t.Fatal(err)
		}
	}
	rng := rand.New(rand.NewPCG(11, 12))
	flips, found := 0, 0
	for _, id := range used {
		page := intact[id*pageBytes : (id+1)*pageBytes]
		if binary.NativeEndian.Uint16(page[8:]) != 1 || !bytes.Contains(page, []byte("nc0")) {
			continue // not a branch of the names
		}
		for in := bytes.Index(page, []byte("nc0")); in < len(bytes.TrimRight(page, "\x00")); in += 1 + rng.IntN(7) {
			at := id*pageBytes + in
			write(at, intact[at]^1<<rng.IntN(8))
			if flips++; searchAll(t, j, count) {
				found++
			}
			write(at, intact[at])
		}
	}
	if searchAll(t, j, count); flips < 20 || found == 0 {
		t.Errorf("of %d flips %d were found", flips, found)
	}
}

// searchAll looks for every seventh name: it must be found, or damage.
func searchAll(t *testing.T, j *Journal, count int) (found bool) {
	t.Helper()
	for i := 0; i < count; i += 7 {
		got, err := collectAll(j, Query{Correlation: fmt.Sprintf("c%04d", i)})
		switch {
		case errors.Is(err, store.ErrCorrupt):
			found = true
		case err != nil || len(got) != 1 || got[0].Position != event.Position(i+1):
			t.Fatalf("name %d: got %v, %v", i, positions(got), err)
		}
	}
	return found
}

// readUsed returns a file up to its last page that was ever written, and the
// numbers of its pages that are not all zero.
func readUsed(t *testing.T, path string) (content []byte, used []int) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	zero := make([]byte, pageBytes)
	for i := 0; i+pageBytes <= len(content); i += pageBytes {
		if !bytes.Equal(content[i:i+pageBytes], zero) {
			used = append(used, i/pageBytes)
		}
	}
	return content[:(used[len(used)-1]+1)*pageBytes], used
}

func TestATruncatedFileIsFound(t *testing.T) {
	t.Parallel()
	p := newPlay(t)
	if err := p.live(nil, 20, 50, 85); err != nil {
		t.Fatal(err)
	}
	for _, name := range segmentFiles(t, p.dir) {
		path := filepath.Join(p.dir, name)
		intact, _ := readUsed(t, path)
		for _, size := range []int{0, 100, pageBytes, 2 * pageBytes, len(intact) - pageBytes, len(intact) - 1} {
			if err := os.WriteFile(path, intact[:size], 0o600); err != nil {
				t.Fatal(err)
			}
			if !p.requireRightOrCorrupt(t, name) {
				t.Errorf("%s of %d bytes was not found out", name, size)
			}
		}
		if err := os.WriteFile(path, intact, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAFileThatShrinksWhileItIsOpenIsFoundOut(t *testing.T) {
	t.Parallel()
	p := newPlay(t)
	if err := p.live(nil, 85); err != nil {
		t.Fatal(err)
	}
	j := mustOpen(t, p.dir, p.mark(85), p.cfg)
	first := segmentFiles(t, p.dir)[0]
	r := j.View().Read(Query{})
	r.Next()
	r.Close()
	if err := os.Truncate(filepath.Join(p.dir, first), 2*pageBytes); err != nil {
		t.Fatal(err)
	}
	if _, err := collectAll(j, Query{}); !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), first) {
		t.Errorf("got %v, want ErrCorrupt with the file's name", err)
	}
}

func TestAMissingSegmentIsFound(t *testing.T) {
	t.Parallel()
	for i := range 3 {
		p := newPlay(t)
		if err := p.live(nil, 60); err != nil {
			t.Fatal(err)
		}
		name := segmentFiles(t, p.dir)[i]
		if err := os.Remove(filepath.Join(p.dir, name)); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(p.dir, p.mark(60), p.cfg); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("without %s: got %v, want ErrCorrupt", name, err)
		}
	}
}

func TestAForeignFileIsRefusedAndALeftoverDeleted(t *testing.T) {
	t.Parallel()
	p := newPlay(t)
	if err := p.live(nil, 10); err != nil {
		t.Fatal(err)
	}
	leftover := filepath.Join(p.dir, segmentName(11)+".tmp")
	if err := os.WriteFile(leftover, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.requireConsistent(t)
	if _, err := os.Stat(leftover); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the leftover is still there: %v", err)
	}
	if err := os.WriteFile(filepath.Join(p.dir, "notes.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(p.dir, p.mark(p.state), p.cfg); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("got %v, want ErrCorrupt", err)
	}
}

func TestASegmentThatDisagreesWithTheStateIsRefused(t *testing.T) {
	t.Parallel()
	p := newPlay(t)
	if err := p.live(nil, 10); err != nil {
		t.Fatal(err)
	}
	mark := p.mark(10)
	mark.SegmentBytes++
	if _, err := Open(p.dir, mark, p.cfg); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("got %v, want ErrCorrupt", err)
	}
}
