package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/integration/cluster"
	"github.com/edri-io/edri/integration/ledger"
)

// importFile writes a file of n events and tells a ledger of each.
func importFile(t *testing.T, n int) (string, *ledger.Ledger) {
	t.Helper()
	l := ledger.New()
	var b bytes.Buffer
	for i := range n {
		e := event.Event{
			ID: fmt.Sprint(i + 1), Source: "/integration/import", Type: "test.imported",
			Subject: fmt.Sprintf("imported/%d", i%17), DataContentType: "application/json",
			Data: fmt.Appendf(nil, `{"line":%d,"text":"some words to make it longer"}`, i+1),
		}
		l.Sent(e)
		line, err := json.Marshal(e)
		must(t, err)
		b.Write(line)
		b.WriteByte('\n')
	}
	path := filepath.Join(t.TempDir(), "events.ndjson")
	must(t, os.WriteFile(path, b.Bytes(), 0o600))
	return path, l
}

// acknowledgeAll notes that an import that ended well stored every line.
func acknowledgeAll(l *ledger.Ledger, n int) {
	for i := range n {
		l.Acknowledged(ledger.Key{Source: "/integration/import", ID: fmt.Sprint(i + 1)}, 0, 0)
	}
}

// beginImport starts an import that the caller ends.
func beginImport(t *testing.T, c *cluster.Cluster, path string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(c.Edri(), "--server", strings.Join(c.URLs(), ","), "events", "import", path)
	must(t, cmd.Start())
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill() // the test ended before it
			_ = cmd.Wait()
		}
	})
	return cmd
}

// waitStored waits until the leader's journal holds n events.
func waitStored(t *testing.T, c *cluster.Cluster, n int) {
	t.Helper()
	must(t, leader(t, c).WaitPosition(within(t, time.Minute), uint64(n)))
}

func TestInterruptedImportIsRunAgainWithoutAddingAnythingTwice(t *testing.T) {
	t.Parallel()
	lines := 30_000
	if soak() {
		lines = 1_500_000 // more than the deduplication window remembers
	}
	c := start(t, 3)
	path, l := importFile(t, lines)

	first := beginImport(t, c, path)
	waitStored(t, c, lines/10)
	must(t, first.Process.Kill())
	_ = first.Wait() // killed

	second := beginImport(t, c, path)
	waitStored(t, c, lines/3)
	victim := leader(t, c)
	must(t, victim.Kill())
	if err := second.Wait(); err != nil {
		t.Fatalf("the import over a failover: %v", err)
	}
	must(t, victim.Start())
	must(t, victim.WaitReady(within(t, time.Minute)))

	if again := edri(t, strings.Join(c.URLs(), ","), nil, "events", "import", path); again.code != 0 {
		t.Errorf("a further run: exit code %d\n%s", again.code, again.stderr)
	}
	acknowledgeAll(l, lines)
	check(t, c, l)
}

func TestBadLinesOfAnImportAreReportedAndTheOthersStored(t *testing.T) {
	t.Parallel()
	c := start(t, 1)
	path, l := importFile(t, 10)
	good, err := os.ReadFile(path)
	must(t, err)
	lines := strings.SplitAfter(string(good), "\n")
	bad := []string{
		"not json\n",
		`{"specversion":"1.0","id":"x","type":"t"}` + "\n",
		`{"specversion":"1.0","id":"x","source":"/s","type":"t","Bad-Name":"v"}` + "\n",
	}
	mixed := strings.Join(lines[:4], "") + bad[0] + strings.Join(lines[4:8], "") + bad[1] + bad[2] + strings.Join(lines[8:], "")
	must(t, os.WriteFile(path, []byte(mixed), 0o600))

	got := edri(t, c.URLs()[0], nil, "events", "import", path)
	if got.code != 1 {
		t.Errorf("exit code %d, want 1", got.code)
	}
	for _, want := range []string{"line 5", "line 10", "line 11", "source", "Bad-Name"} {
		if !strings.Contains(got.stderr+got.stdout, want) {
			t.Errorf("no %q in the report:\n%s%s", want, got.stdout, got.stderr)
		}
	}
	acknowledgeAll(l, 10)
	check(t, c, l)

	strict := edri(t, c.URLs()[0], []byte(mixed), "events", "import", "-", "--producer", "strict", "--strict")
	if strict.code != 1 || !strings.Contains(strict.stderr, "line 5") || strings.Contains(strict.stderr, "line 10") {
		t.Errorf("--strict: exit code %d, want 1 and line 5 alone:\n%s", strict.code, strict.stderr)
	}
}

func TestImportFromStandardInputNeedsAProducer(t *testing.T) {
	t.Parallel()
	got := edri(t, "http://127.0.0.1:1", []byte("{}\n"), "events", "import", "-")
	if got.code != 2 || !strings.Contains(got.stderr, "--producer") {
		t.Errorf("exit code %d, want 2 and a word about --producer:\n%s", got.code, got.stderr)
	}
}

func TestEmptyImportSucceeds(t *testing.T) {
	t.Parallel()
	c := start(t, 1)
	if got := edri(t, c.URLs()[0], nil, "events", "import", "-", "--producer", "nothing"); got.code != 0 {
		t.Errorf("exit code %d, want 0:\n%s", got.code, got.stderr)
	}
}
