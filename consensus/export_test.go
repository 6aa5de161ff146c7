package consensus

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/event"
)

// Dump returns all that a core has published, a line for each row and event, so
// that two cores can be compared and a difference be read.
func Dump(t testing.TB, c *Core) string {
	t.Helper()
	v := c.View()
	defer v.Close()
	var b strings.Builder
	names := append([]string(nil), coreTables...)
	if c.mux != nil {
		for _, machine := range c.mux.machines {
			names = append(names, machine.Name())
		}
	}
	for _, name := range names {
		it := v.state.Scan(c.db.Table(name), nil, nil, false)
		for it.Next() {
			fmt.Fprintf(&b, "%s %q %s\n", name, it.Key(), digest(it.Value()))
		}
		if err := it.Err(); err != nil {
			t.Fatalf("dump %s: %v", name, err)
		}
		it.Close()
	}
	fmt.Fprintf(&b, "%+v\n", v.Meta)
	for p := event.Position(1); p <= v.Mark.Last; p++ {
		r, err := v.journal.Get(p)
		if err != nil {
			t.Fatalf("dump event %d: %v", p, err)
		}
		fmt.Fprintf(&b, "%d %s@%d %d %s\n", r.Position, r.Stream, r.Revision, r.Stamp, digest(r.Event))
	}
	return b.String()
}

func digest(b []byte) string {
	if len(b) <= 32 {
		return hex.EncodeToString(b)
	}
	sum := sha256.Sum256(b)
	return fmt.Sprintf("%d:%x", len(b), sum[:8])
}

// WindowBounds returns the positions of the deduplication window and how many
// fingerprint rows there are.
func WindowBounds(t testing.TB, c *Core) (floor, last uint64, rows int) {
	t.Helper()
	it := c.tx.Scan(c.tables.fingerprints, nil, nil, false)
	defer it.Close()
	for it.Next() {
		rows++
	}
	return c.window.floor, c.window.last, rows
}

// The limits that tests run into.
const (
	MaxKeptResults = maxKeptResults
	MaxKeptBytes   = maxKeptBytes
)

// Abandon ends a node as a crash of its process would: leadership is not handed
// over, and what was not flushed stays so.
func (n *Node) Abandon() error {
	var err error
	n.closed.Do(func() {
		n.halt()
		err = n.release()
	})
	return err
}

// VerifyLeaderRead is a read that trusts raft.VerifyLeader alone, for the control
// that shows that the checker catches it.
func (n *Node) VerifyLeaderRead(ctx context.Context) error {
	r := n.raft.Load()
	index := r.CommitIndex()
	if err := r.VerifyLeader().Error(); err != nil {
		return err
	}
	return n.progress.wait(ctx, index)
}

// IsLeader reports whether a node leads and may propose.
func (n *Node) IsLeader() bool { return n.leads() }

// Compact takes a snapshot and truncates the raft log to a few entries.
func (n *Node) Compact() error {
	r := n.raft.Load()
	if r == nil {
		return errNotStarted
	}
	reload := r.ReloadableConfig()
	reload.TrailingLogs = 1
	if err := r.ReloadConfig(reload); err != nil {
		return err
	}
	return r.Snapshot().Error()
}

var errNotStarted = errors.New("raft does not run")

// TransferTo hands leadership to a node.
func (n *Node) TransferTo(peer *Node, address string) error {
	return n.raft.Load().LeadershipTransferToServer(peer.serverID, raft.ServerAddress(address)).Error()
}
