package consensus_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/store"
)

// inspectable is the data directory of a node that was stopped.
func inspectable(t *testing.T, crash bool) (dir string, c *simCluster) {
	t.Helper()
	c, _ = loneNode(t, 100)
	if _, err := consensus.Inspect(t.Context(), filepath.Join(c.dir, "n1")); !errors.Is(err, store.ErrLocked) {
		t.Fatalf("while the node runs: %v", err)
	}
	c.end("n1", crash)
	return filepath.Join(c.dir, "n1"), c
}

// contents are all files of a directory.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		all[path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestInspectTellsAllAndChangesNothing(t *testing.T) {
	t.Parallel()
	for _, crash := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			dir, _ := inspectable(t, crash)
			before := contents(t, dir)
			i, err := consensus.Inspect(t.Context(), dir)
			if err != nil || len(i.Damage) > 0 {
				t.Fatalf("crash %v: %v, damage %v", crash, err, i.Damage)
			}
			if !strings.HasPrefix(i.ServerID, "n1.") {
				t.Errorf("identity %q", i.ServerID)
			}
			// What was not flushed before a crash is only in the raft log.
			if !crash && (len(i.Members) != 1 || i.Members[0].ServerID != i.ServerID || !i.Members[0].Voter || len(i.Segments) < 2 ||
				i.Meta.Mark.Last != 101 || i.Rows["streams"] != 1 || i.Rows["producers"] != 1) {
				t.Errorf("members %v, %d segments, mark %+v, rows %v", i.Members, len(i.Segments), i.Meta.Mark, i.Rows)
			}
			if i.RaftLog.First != 1 || i.RaftLog.Last < i.Meta.Index || i.RaftLog.Term == 0 || i.RaftLog.Bytes == 0 {
				t.Errorf("raft log %+v, applied %d", i.RaftLog, i.Meta.Index)
			}
			after := contents(t, dir)
			for path, b := range before {
				if after[path] != b {
					t.Errorf("%s was changed", path)
				}
			}
			if len(after) != len(before) {
				t.Errorf("%d files, before %d", len(after), len(before))
			}
		})
	}
}

// A flip in a file is named with it, or lies where nothing is.
func TestInspectNamesWhatIsDamaged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir, _ := inspectable(t, false)
		files := contents(t, dir)
		for path, content := range files {
			base := filepath.Base(path)
			if base == "LOCK" {
				continue
			}
			found, used := 0, len(strings.TrimRight(content, "\x00"))
			for at := 0; at < used; at += used/12 + 1 {
				b := []byte(content)
				b[at] ^= 0x40
				if err := os.WriteFile(path, b, 0o600); err != nil {
					t.Fatal(err)
				}
				i, err := consensus.Inspect(t.Context(), dir)
				if err != nil {
					if base != "CURRENT" && base != "node.json" && base != "wal-meta.json" {
						t.Errorf("%s flipped at %d: %v", path, at, err)
					}
					continue
				}
				for _, d := range i.Damage {
					if filepath.Base(d.File) == base {
						found++
						break
					}
				}
			}
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if base != "node.json" && base != "CURRENT" && used > 0 && found == 0 {
				t.Errorf("no flip in %s was found", path)
			}
		}
	})
}

func TestInspectFindsMissingSegments(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir, _ := inspectable(t, false)
		segments, err := filepath.Glob(filepath.Join(dir, "data-*", "journal", "*.seg"))
		if err != nil || len(segments) < 2 {
			t.Fatal(segments, err)
		}
		if err := os.Remove(segments[1]); err != nil {
			t.Fatal(err)
		}
		i, err := consensus.Inspect(t.Context(), dir)
		if err != nil || len(i.Damage) != 1 || !strings.Contains(i.Damage[0].Err.Error(), "are missing") {
			t.Errorf("%v, %v", i.Damage, err)
		}
	})
}

// A node does not open a generation that it has marked, whatever is in it.
func TestInspectTellsOfTheMark(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir, _ := inspectable(t, false)
		mark := filepath.Join("data-000001", "DAMAGED")
		if err := os.WriteFile(filepath.Join(dir, mark), []byte("a row made no sense\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		i, err := consensus.Inspect(t.Context(), dir)
		if err != nil || len(i.Damage) != 1 || i.Damage[0].File != mark || !strings.Contains(i.Damage[0].Err.Error(), "a row made no sense") {
			t.Errorf("got damage %+v, %v", i.Damage, err)
		}
	})
}
