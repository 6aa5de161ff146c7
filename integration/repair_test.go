package integration

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/integration/cluster"
	"github.com/edri-io/edri/integration/ledger"
)

// repairRounds is how often a file of one node is damaged.
func repairRounds() int {
	if soak() {
		return 30
	}
	return 7
}

// One node of three is damaged again and again under a little load: bits flip and
// files are cut, while it runs and while it does not. Each damage is met, or is shown
// to be where nothing is stored; nothing of it is served or spreads, and the node
// comes back to service. (The state file is the snapshot, too; what is staged for one
// is damaged in consensus, TestDamagedStagedSegmentsAreFetchedAgain.)
func TestDamageOfAMinorityIsRepaired(t *testing.T) {
	t.Parallel()
	c := start(t, 3, "--segment-bytes", "64KiB", "--scrub-interval", "1s", "--scrub-rate", "64MiB",
		"--snapshot-log-bytes", "1MiB", "--trailing-log-bytes", "1MiB")
	w, l := loadAtPace(t, c, 4, 5*time.Millisecond)
	victim := c.Nodes()[2]
	waitForHistory(t, c, 2000)
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	outcomes := map[string]int{}
	for i := range repairRounds() {
		d := nextDamage(i, rng)
		outcomes[d.inflict(t, victim)]++
		must(t, os.RemoveAll(filepath.Join(victim.DataDir, "quarantine"))) // a person has looked at it
		checkServed(t, victim)
	}
	stop(t, w)
	check(t, c, l)
	t.Logf("%d damages: %v", repairRounds(), outcomes)
	if outcomes["repaired"] == 0 {
		t.Error("nothing was repaired")
	}
}

// damage is one to be done.
type damage struct {
	kind    string // of file
	running bool   // the node runs meanwhile
	cut     bool   // the file is cut, else bits flip
	rng     *rand.Rand
}

func nextDamage(i int, rng *rand.Rand) damage {
	kinds := []string{"sealed segment", "raft log", "state file", "active segment"}
	d := damage{kind: kinds[i%len(kinds)], cut: i%5 == 4, rng: rng}
	// A file that is cut under a process that has it mapped is another fault; and of
	// what a node writes at this moment a flip from outside is undone at once.
	d.running = !d.cut && (i/len(kinds))%2 == 1 && (d.kind == "sealed segment" || d.kind == "state file")
	return d
}

// inflict damages a file of the node, waits until the node is in service again, and
// returns what became of it.
func (d damage) inflict(t *testing.T, n *cluster.Node) string {
	t.Helper()
	awaitMore(t, n) // after a repair the raft log is empty
	if !d.running {
		must(t, n.Kill())
	}
	path := d.pick(t, n.DataDir)
	intact := t.TempDir()
	if !d.running {
		must(t, os.CopyFS(intact, os.DirFS(n.DataDir)))
	}
	said := logLength(t, n)
	what := d.do(t, path)
	if !d.running {
		must(t, n.Start())
	}
	outcome := d.await(t, n, path, said)
	if outcome == "refused" {
		if d.kind != "raft log" {
			t.Errorf("%s damaged, and the node does not come back by itself", d.kind)
		}
		// The end of the raft log: an operator replaces such a node. Here the damage is
		// undone, so that the test can go on.
		must(t, os.RemoveAll(n.DataDir))
		must(t, os.CopyFS(n.DataDir, os.DirFS(intact)))
		must(t, n.Start())
		must(t, n.WaitReady(within(t, 30*time.Second)))
	}
	t.Logf("%s, running %t, %s: %s", strings.TrimPrefix(path, n.DataDir), d.running, what, outcome)
	return outcome
}

// awaitMore waits until the node has stored some events more.
func awaitMore(t *testing.T, n *cluster.Node) {
	t.Helper()
	ctx := within(t, 20*time.Second)
	s, err := n.Status(ctx)
	must(t, err)
	must(t, n.WaitPosition(ctx, s.LastPosition+100))
}

// await waits until the node is ready and has met the damage or read everything.
func (d damage) await(t *testing.T, n *cluster.Node, path string, said int) string {
	t.Helper()
	ctx := within(t, 40*time.Second)
	scrubs := 0
	for {
		text := logSince(t, n, said)
		switch {
		case strings.Contains(text, "cluster replace"):
			_, err := n.WaitExit(ctx)
			must(t, err)
			return "refused"
		case !n.Running():
			if code, _ := n.WaitExit(ctx); code != exitCorruption {
				t.Fatalf("exit code %d:\n%s", code, tail(n.LogPath))
			}
			must(t, n.Start()) // as what watches over it would do
		case strings.Contains(text, "now in quarantine") || strings.Contains(text, "are in quarantine") || strings.Contains(text, "head of the raft log was dropped"):
			must(t, n.WaitReady(ctx))
			return "repaired"
		}
		// Two whole rounds since the damage have met nothing.
		if scrubs = strings.Count(text, "scrub has read all"); scrubs > 2 && !strings.Contains(text, "data is corrupt") {
			proveSound(t, ctx, n)
			return "harmless"
		}
		pause(ctx, t)
	}
}

// proveSound reads all that a node has stored, the raft log and the segment that it
// writes to included, every row against its checksum and every list against the
// records: damage that is not found was where nothing is stored.
func proveSound(t *testing.T, ctx context.Context, n *cluster.Node) {
	t.Helper()
	must(t, n.Kill())
	if out := edri(t, "", nil, "inspect", n.DataDir); out.code != 0 {
		t.Errorf("%s has not met its damage: inspect ends with %d: %s\n%s", n.Name, out.code, out.stdout, out.stderr)
	}
	must(t, n.Start())
	must(t, n.WaitReady(ctx))
}

func pause(ctx context.Context, t *testing.T) {
	t.Helper()
	timer := time.NewTimer(50 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		t.Fatal(context.Cause(ctx))
	case <-timer.C:
	}
}

// pick returns a file of the kind.
func (d damage) pick(t *testing.T, dir string) string {
	t.Helper()
	var found []string
	must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		inUse := strings.HasPrefix(path, filepath.Join(dir, "data-"))
		switch {
		case d.kind == "raft log" && strings.HasSuffix(path, ".wal"),
			d.kind == "state file" && inUse && filepath.Base(path) == "state.db",
			strings.HasSuffix(d.kind, "segment") && inUse && strings.HasSuffix(path, ".seg"):
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if len(usedPages(content)) > 0 { // the log makes its next file before it is needed
				found = append(found, path)
			}
		}
		return nil
	}))
	slices.Sort(found)
	switch {
	case len(found) == 0 || d.kind == "sealed segment" && len(found) < 2:
		t.Fatalf("no %s in %s", d.kind, dir)
	case d.kind == "active segment":
		return found[len(found)-1]
	case d.kind == "sealed segment":
		found = found[:len(found)-1]
	}
	return found[d.rng.IntN(len(found))]
}

// do changes the file in a page that holds something.
func (d damage) do(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	must(t, err)
	used := usedPages(content)
	if d.cut {
		size := int64(used[d.rng.IntN(len(used))] + d.rng.IntN(pageBytes))
		must(t, os.Truncate(path, size))
		return fmt.Sprintf("cut to %d of %d bytes", size, len(content))
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	must(t, err)
	defer file.Close()
	at := used[d.rng.IntN(len(used))]
	within := bytes.TrimRight(content[at:at+pageBytes], "\x00")
	at += d.rng.IntN(max(1, len(within)))
	_, err = file.WriteAt([]byte{content[at] ^ 1<<d.rng.IntN(8)}, int64(at))
	must(t, err)
	return fmt.Sprintf("bit flipped at %d of %d", at, len(content))
}

// checkServed reads all that the node serves: each event must be one that a writer
// made, which their data says.
func checkServed(t *testing.T, n *cluster.Node) {
	t.Helper()
	ctx := within(t, 20*time.Second)
	c, err := client.New(client.Config{Servers: []string{n.URL()}, GiveUpAfter: 5 * time.Second})
	must(t, err)
	defer c.Close()
	next := uint64(1)
	for e, err := range c.Read(ctx, client.Query{}) {
		must(t, err)
		if uint64(e.Position) != next || e.Source != "/integration/writer" || e.Stream != e.Subject {
			t.Fatalf("served at position %d: %+v", next, e)
		}
		next++
	}
}

const pageBytes = 4096

// usedPages returns where the pages begin that hold something.
func usedPages(content []byte) []int {
	var used []int
	for at := 0; at+pageBytes <= len(content); at += pageBytes {
		if len(bytes.Trim(content[at:at+pageBytes], "\x00")) > 0 {
			used = append(used, at)
		}
	}
	return used
}

func logLength(t *testing.T, n *cluster.Node) int {
	t.Helper()
	info, err := os.Stat(n.LogPath)
	must(t, err)
	return int(info.Size())
}

func logSince(t *testing.T, n *cluster.Node, length int) string {
	t.Helper()
	b, err := os.ReadFile(n.LogPath)
	must(t, err)
	return string(b[length:])
}

// waitForHistory waits until there are so many events.
func waitForHistory(t *testing.T, c *cluster.Cluster, events uint64) {
	t.Helper()
	ctx := within(t, 30*time.Second)
	for _, n := range c.Nodes() {
		must(t, n.WaitPosition(ctx, events))
	}
}

// Those whom a node was told to join are long gone when its state is damaged, or it
// is told of nobody any more: it remembers whom else to ask.
func TestNodeIsRepairedWhenThoseItJoinedAreGone(t *testing.T) {
	t.Parallel()
	c := start(t, 3)
	ctx := within(t, 90*time.Second)
	l := ledger.New()
	appendLarge(t, c, l, "before", 20)
	joined, err := c.Join()
	must(t, err)
	waitVoters(t, ctx, c, 4)
	waitUntil(t, ctx, func() bool {
		_, err := os.Stat(filepath.Join(joined.DataDir, "members.json"))
		return err == nil
	})
	for _, told := range [][]string{
		{"--join", "http://127.0.0.1:1"},
		{"--peers", joined.Name + "=" + joined.Raft}, // itself alone
	} {
		must(t, joined.Kill())
		joined.SetArgs(func(args []string) []string { return append(without(without(args, "--join"), "--peers"), told...) })
		said := logLength(t, joined)
		must(t, os.Truncate(filesLike(t, joined.DataDir, "state.db")[0], 10_000))
		must(t, joined.Start())
		must(t, joined.WaitReady(ctx))
		if !strings.Contains(logSince(t, joined, said), "quarantine") {
			t.Errorf("told %v, the node is ready, but does not say that anything was damaged:\n%s", told, tail(joined.LogPath))
		}
		must(t, os.RemoveAll(filepath.Join(joined.DataDir, "quarantine"))) // a person has looked at it
	}
	check(t, c, l)
}
