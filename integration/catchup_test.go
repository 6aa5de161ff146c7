package integration

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/edri-io/edri/client"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/integration/cluster"
	"github.com/edri-io/edri/integration/ledger"
)

// With a short log and small segments, a follower that was away finds that what it
// lacks is gone from the leader's log, and gets a snapshot with sealed segments.
func TestFollowerThatWasLongAwayIsBroughtUpBySnapshot(t *testing.T) {
	t.Parallel()
	c := start(t, 3, "--snapshot-log-bytes", "1MiB", "--trailing-log-bytes", "1MiB", "--segment-bytes", "1MiB")
	ctx := within(t, 2*time.Minute)
	l := ledger.New()
	appendLarge(t, c, l, "before", 5)
	leading := leader(t, c)
	away := c.Followers(leading)[0]
	must(t, away.Kill())
	// The leader keeps some entries behind a truncation, fewer than these.
	appendLarge(t, c, l, "meanwhile", 100)
	waitUntil(t, ctx, func() bool { return truncations(t, leading) > 0 })
	appendLarge(t, c, l, "after", 100)
	must(t, away.Start())
	must(t, away.WaitReady(ctx))
	check(t, c, l)

	// The old generation is gone, and the new one survives a restart.
	must(t, away.Kill())
	must(t, away.Start())
	must(t, away.WaitReady(ctx))
	check(t, c, l)
	generations, err := filepath.Glob(filepath.Join(away.DataDir, "data-*"))
	must(t, err)
	if len(generations) != 1 || filepath.Base(generations[0]) == "data-000001" {
		t.Errorf("generations %v: want one, and not the first: was there no snapshot?", generations)
	}
}

// truncations counts how often a node says that it cut the head of its Raft log.
func truncations(t *testing.T, n *cluster.Node) int {
	t.Helper()
	written, err := os.ReadFile(n.LogPath)
	must(t, err)
	return bytes.Count(written, []byte("compacting logs"))
}

// appendLarge appends n events of 50 KiB.
func appendLarge(t *testing.T, c *cluster.Cluster, l *ledger.Ledger, name string, n int) {
	t.Helper()
	ctx := within(t, time.Minute)
	w, err := client.New(client.Config{Servers: c.URLs()})
	must(t, err)
	defer w.Close()
	for i := range n {
		e := event.Event{
			ID: fmt.Sprintf("%s-%d", name, i), Source: "/integration/large", Type: "test.large",
			Subject: name, Data: make([]byte, 50<<10),
		}
		l.Sent(e)
		done, err := w.Append(ctx, "", event.ExpectAny, e)
		must(t, err)
		l.Acknowledged(ledger.Key{Source: e.Source, ID: e.ID}, done.Position, done.Revision)
	}
}
