package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/integration/cluster"
	"github.com/edri-io/edri/integration/ledger"
	"github.com/edri-io/edri/integration/workload"
)

// Backups are taken of a follower under load, each but the first incremental; a
// cluster that is restored from the last has the history up to its position, which is
// at or behind all that was acknowledged before it began, and nothing else.
func TestBackupUnderLoadIsRestoredWhole(t *testing.T) {
	t.Parallel()
	c := start(t, 3, "--segment-bytes", "512KiB")
	w, l := load(t, c, 8)
	follower := notLeader(t, c)
	dir := t.TempDir()
	first, second, third := filepath.Join(dir, "sunday.edri"), filepath.Join(dir, "monday.edri"), filepath.Join(dir, "tuesday.edri")

	waitLast(t, c, 8_000)
	takeBackup(t, c, follower, first)
	waitLast(t, c, lastPosition(t, c)+8_000)
	info := takeBackup(t, c, follower, second, "--since", first)
	if info.Here >= info.Segments || !slices.Equal(info.Since, []string{"sunday.edri"}) {
		t.Errorf("the second backup has %d of %d segments, since %v", info.Here, info.Segments, info.Since)
	}
	waitLast(t, c, lastPosition(t, c)+8_000)
	info = takeBackup(t, c, leader(t, c), third, "--since", second) // all nodes have the same segments
	if info.Here >= info.Segments || len(info.Since) != 2 {
		t.Errorf("the third backup has %d of %d segments, since %v", info.Here, info.Segments, info.Since)
	}
	cursor := cursorOf(t, c)
	stop(t, w)
	check(t, c, l)
	history := histories(t, c)[0].Events

	r := prepare(t, 1)
	n := r.Nodes()[0]
	target := []string{"--data-dir", n.DataDir, "--node-id", n.Name, "--raft-advertise", n.Raft, "--quiet"}
	out := edri(t, "", nil, append([]string{"restore", third, second}, target...)...)
	if out.code != 1 || !strings.Contains(out.stderr, "tuesday.edri is incremental and needs sunday.edri") {
		t.Fatalf("without the first backup: exit code %d, %s", out.code, out.stderr)
	}
	if out = edri(t, "", nil, append([]string{"restore", third, second, first}, target...)...); out.code != 0 {
		t.Fatalf("restore: exit code %d, %s", out.code, out.stderr)
	}
	ctx := within(t, time.Minute)
	must(t, r.StartAll(ctx))
	must(t, r.WaitReady(ctx))
	restored := histories(t, r)[0].Events
	if event.Position(len(restored)) != info.Last || len(restored) > len(history) {
		t.Fatalf("restored are %d events, the backup is of position %d", len(restored), info.Last)
	}
	for i, e := range restored {
		if want := history[i]; e.Position != want.Position || e.Revision != want.Revision || e.Stream != want.Stream ||
			!e.Stamp.Equal(want.Stamp) || string(event.AppendEvent(nil, &e.Event)) != string(event.AppendEvent(nil, &want.Event)) {
			t.Fatalf("restored is %v at position %d, want %v", e, i+1, want)
		}
	}
	if out = edri(t, n.URL(), nil, "events", "query", "--cursor", cursor); out.code != 1 || !strings.Contains(out.stderr, "epoch_changed") {
		t.Errorf("with a cursor of the old cluster: exit code %d, %s", out.code, out.stderr)
	}
	// It is a cluster like any other.
	again, _ := load(t, r, 2)
	waitLast(t, r, uint64(info.Last)+100)
	stop(t, again)
}

type backupInfo struct {
	Last     event.Position `json:"last_position,string"`
	Segments int            `json:"segments"`
	Here     int            `json:"segments_here"`
	Since    []string       `json:"since"`
	Sound    bool           `json:"sound"`
}

// takeBackup backs up from a node; all that was acknowledged before must be in it.
func takeBackup(t *testing.T, c *cluster.Cluster, n *cluster.Node, path string, args ...string) backupInfo {
	t.Helper()
	before := lastPosition(t, c)
	out := edri(t, n.URL(), nil, append([]string{"backup", path, "--quiet", "--output", "json"}, args...)...)
	if out.code != 0 {
		t.Fatalf("backup: exit code %d, %s", out.code, out.stderr)
	}
	var info backupInfo
	must(t, json.Unmarshal([]byte(out.stdout), &info))
	if !info.Sound || uint64(info.Last) < before {
		t.Errorf("backup %+v, position %d was acknowledged before", info, before)
	}
	return info
}

// lastPosition is the highest position that any node has applied.
func lastPosition(t *testing.T, c *cluster.Cluster) uint64 {
	t.Helper()
	last := uint64(0)
	for _, n := range c.Nodes() {
		s, err := n.Status(within(t, 10*time.Second))
		must(t, err)
		last = max(last, s.LastPosition)
	}
	return last
}

func waitLast(t *testing.T, c *cluster.Cluster, position uint64) {
	t.Helper()
	for _, n := range c.Nodes() {
		must(t, n.WaitPosition(within(t, time.Minute), position))
	}
}

func notLeader(t *testing.T, c *cluster.Cluster) *cluster.Node {
	t.Helper()
	lead := leader(t, c)
	for _, n := range c.Nodes() {
		if n != lead {
			return n
		}
	}
	t.Fatal("no follower")
	return nil
}

func histories(t *testing.T, c *cluster.Cluster) []ledger.History {
	t.Helper()
	all, err := workload.Histories(within(t, time.Minute), c.Nodes())
	must(t, err)
	return all
}

// cursorOf returns a cursor of the cluster.
func cursorOf(t *testing.T, c *cluster.Cluster) string {
	t.Helper()
	k, err := client.New(client.Config{Servers: c.URLs()})
	must(t, err)
	defer k.Close()
	r := k.OpenRead(within(t, 20*time.Second), client.Query{Limit: 5})
	defer r.Close()
	for r.Next() {
	}
	must(t, r.Err())
	return r.Cursor()
}

// Damage anywhere in a backup is found, and nothing of it is restored.
func TestDamagedBackupIsRefused(t *testing.T) {
	t.Parallel()
	c := start(t, 1)
	writeMarked(t, c)
	dir := t.TempDir()
	path := filepath.Join(dir, "a.edri")
	takeBackup(t, c, c.Nodes()[0], path)
	intact, err := os.ReadFile(path)
	must(t, err)
	for i := range 10 {
		at := i*len(intact)/10 + 17
		content := slices.Clone(intact)
		content[at] ^= 0x10
		must(t, os.WriteFile(path, content, 0o600))
		if out := edri(t, "", nil, "backup", "verify", path, "--quiet"); out.code != exitCorruption {
			t.Errorf("flip at %d of %d: verify ends with %d: %s", at, len(intact), out.code, out.stderr)
		}
		data := filepath.Join(dir, fmt.Sprint(i))
		out := edri(t, "", nil, "restore", path, "--data-dir", data, "--node-id", "n1", "--raft-advertise", "127.0.0.1:1", "--quiet")
		if out.code == 0 {
			continue // in the manifest's own trailer: verify finds it, and no part is touched
		}
		if _, err := os.Stat(filepath.Join(data, "CURRENT")); out.code != exitCorruption || err == nil {
			t.Errorf("flip at %d: restore ends with %d, CURRENT: %v", at, out.code, err)
		}
	}
}
