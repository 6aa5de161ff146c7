package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/integration/cluster"
)

const exitCorruption = 11

// marker stands in every event's data and stream of this test, so that it is found in
// whichever file holds them.
const marker = "tamper-evidence"

// errNotDamaged says that a file did not hold what was to be damaged.
var errNotDamaged = errors.New("nothing to damage was found")

// damages are what can happen to a file. Each changes what the node wrote and
// would read again.
var damages = []struct {
	name string
	do   func(content []byte) ([]byte, error)
}{
	// The same bit in each copy: the first may stand in a page that is free again.
	{"bits flipped", func(content []byte) ([]byte, error) {
		flipped := false
		for at := 0; ; flipped = true {
			next := bytes.Index(content[at:], []byte(marker))
			if next < 0 {
				break
			}
			at += next + 3
			content[at] ^= 0x10
		}
		if !flipped {
			return nil, errNotDamaged
		}
		return content, nil
	}},
	// Files are made longer than what they hold; the third page holds some of it.
	{"truncated behind its first pages", func(content []byte) ([]byte, error) {
		return content[:10_000], nil
	}},
}

func TestDamagedFilesStopTheNodeAndAreNeverServed(t *testing.T) {
	t.Parallel()
	c := start(t, 1)
	n := c.Nodes()[0]
	writeMarked(t, c)
	// Two lives more: what was flushed is in the files, what was not in the log.
	if code, err := n.Terminate(within(t, 20*time.Second)); err != nil || code != 0 {
		t.Fatalf("stop: exit code %d, %v", code, err)
	}
	intact := t.TempDir()
	must(t, os.CopyFS(intact, os.DirFS(n.DataDir)))

	for _, kind := range []string{"raft log", "journal segment", "state file"} {
		for _, damage := range damages {
			t.Run(kind+" "+damage.name, func(t *testing.T) {
				must(t, os.RemoveAll(n.DataDir))
				must(t, os.CopyFS(n.DataDir, os.DirFS(intact)))
				path := dataFile(t, n.DataDir, kind)
				content, err := os.ReadFile(path)
				must(t, err)
				content, err = damage.do(content)
				must(t, err)
				// The mode may be read-only for a sealed file.
				must(t, os.Chmod(path, 0o600))
				must(t, os.WriteFile(path, content, 0o600))
				if kind == "raft log" && damage.name == "bits flipped" {
					expectDropped(t, n, filepath.Base(path))
					return
				}
				expectCorruption(t, n, filepath.Base(path))
			})
		}
	}
}

// writeMarked appends some events that hold the marker.
func writeMarked(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	ctx := within(t, 30*time.Second)
	w, err := client.New(client.Config{Servers: c.URLs()})
	must(t, err)
	defer w.Close()
	for i := range 200 {
		_, err := w.Append(ctx, fmt.Sprintf("%s-%d", marker, i), event.ExpectAny, markedEvent(i))
		must(t, err)
	}
}

func markedEvent(i int) event.Event {
	return event.Event{ID: fmt.Sprint(i), Source: "/integration/damage", Type: "test.marked", Data: fmt.Appendf(nil, "%s %d", marker, i)}
}

// dataFile finds the file of a kind that holds data.
func dataFile(t *testing.T, dir, kind string) string {
	t.Helper()
	var found string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		relative, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		is := map[string]bool{
			"raft log":        strings.HasSuffix(path, ".wal"),
			"journal segment": strings.HasSuffix(path, ".seg"),
			"state file":      filepath.Base(path) == "state.db" && strings.HasPrefix(relative, "data-"),
		}
		if is[kind] && found == "" {
			found = path
		}
		return nil
	})
	must(t, err)
	if found == "" {
		t.Fatalf("no %s in %s", kind, dir)
	}
	return found
}

// expectCorruption starts the node on damaged data and reads all that it serves:
// it must end with the exit code of corruption, name the file in its log, and
// never tell anything that was not written.
func expectCorruption(t *testing.T, n *cluster.Node, file string) {
	t.Helper()
	before, err := os.ReadFile(n.LogPath)
	must(t, err)
	must(t, n.Start())
	defer func() {
		if n.Running() {
			must(t, n.Kill())
		}
	}()
	ctx, cancel := context.WithTimeout(within(t, 30*time.Second), 30*time.Second)
	defer cancel()
	if n.WaitReady(ctx) == nil {
		readEverything(ctx, t, n)
	}
	code, err := n.WaitExit(within(t, 20*time.Second))
	must(t, err)
	if code != exitCorruption {
		t.Errorf("exit code %d, want %d", code, exitCorruption)
	}
	after, err := os.ReadFile(n.LogPath)
	must(t, err)
	if said := string(after[len(before):]); !strings.Contains(said, file) {
		t.Errorf("the log does not name %s:\n%s", file, said)
	}
}

// expectDropped starts the node on a raft log whose damage lies below the state,
// which holds what the log lost: the node drops it, says so, and serves all.
func expectDropped(t *testing.T, n *cluster.Node, file string) {
	t.Helper()
	before, err := os.ReadFile(n.LogPath)
	must(t, err)
	must(t, n.Start())
	must(t, n.WaitReady(within(t, 30*time.Second)))
	readEverything(within(t, 20*time.Second), t, n)
	must(t, n.Kill())
	after, err := os.ReadFile(n.LogPath)
	must(t, err)
	if said := string(after[len(before):]); !strings.Contains(said, file) || !strings.Contains(said, "quarantine") {
		t.Errorf("the log does not name %s and where it is kept:\n%s", file, said)
	}
}

func readEverything(ctx context.Context, t *testing.T, n *cluster.Node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	c, err := client.New(client.Config{Servers: []string{n.URL()}, GiveUpAfter: time.Second})
	must(t, err)
	defer c.Close()
	next := 0
	for e, err := range c.Read(ctx, client.Query{}) {
		if err != nil {
			break // the node ends
		}
		want := markedEvent(next)
		if e.ID != want.ID || !bytes.Equal(e.Data, want.Data) || e.Position != event.Position(next+1) {
			t.Errorf("served at position %d: %q %q, want %q", e.Position, e.ID, e.Data, want.Data)
		}
		next++
	}
	for s, err := range c.Streams(ctx, "") {
		if err != nil {
			break
		}
		if !strings.HasPrefix(s.Name, marker) {
			t.Errorf("served a stream %q", s.Name)
		}
	}
}
