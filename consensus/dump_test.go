package consensus

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
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
	for p := v.journal.First(); p <= v.Mark.Last; p++ {
		r, err := v.journal.Get(p)
		if isCompacted(err) {
			fmt.Fprintf(&b, "%d purged\n", p)
			continue
		}
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
