package consensus

import (
	"errors"
	"testing"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/wire"
	"github.com/edri-io/edri/store"
)

// damaged returns a core with two events and a session, after harm was done to
// its rows by one who keeps the checksums right.
func damaged(t *testing.T, harm func(c *Core)) (dir string, c *Core) {
	t.Helper()
	dir = t.TempDir()
	c, err := OpenCore(dir, CoreConfig{InitialMmap: 1 << 24})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	epoch := event.Epoch{1}
	commits := [][]byte{LeadCommit("n1", epoch, 0), internalCommit(opOpenProducer, wire.AppendBytes(nil, 1, []byte("p")), 0)}
	for _, id := range []string{"1", "2"} {
		commits = append(commits, sealed(t, id))
	}
	if _, err := c.Apply(1, 1, EncodeEntry(EntryHeader{Feature: 1, Epoch: epoch}, commits)); err != nil {
		t.Fatal(err)
	}
	c.Publish()
	harm(c)
	c.db.Publish()
	return dir, c
}

// sealed is an append to the stream "a", without a session.
func sealed(t *testing.T, id string) []byte {
	t.Helper()
	e := event.Event{ID: id, Source: "tests", Type: "test"}
	a := wire.AppendBytes(nil, 1, []byte("a"))
	a = wire.AppendBytes(a, 4, event.AppendEvent(nil, &e))
	b := wire.AppendBytes(nil, fieldOps, wire.AppendBytes(nil, opAppend, a))
	info, err := CheckCommit(b, event.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	return SealCommit(nil, b, info, 0)
}

func TestOpeningRefusesRowsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]func(c *Core){
		"meta":                   func(c *Core) { c.tx.Put(c.tables.meta, metaKey, []byte{1, 2}) },
		"meta's version":         func(c *Core) { c.tx.Put(c.tables.meta, metaKey, append([]byte{9}, c.meta.append(nil)[1:]...)) },
		"meta's mark":            func(c *Core) { b := c.meta.append(nil); c.tx.Put(c.tables.meta, metaKey, b[:len(b)-1]) },
		"a session's key":        func(c *Core) { c.tx.Put(c.tables.sessions, []byte("short"), nil) },
		"a session":              func(c *Core) { c.tx.Put(c.tables.sessions, be8(1), []byte{1}) },
		"no fingerprints":        func(c *Core) { c.tx.Delete(c.tables.fingerprints, be8(1)) },
		"a hole in fingerprints": func(c *Core) { c.tx.Put(c.tables.fingerprints, be8(4), make([]byte, 24)) },
		"half a fingerprint":     func(c *Core) { c.tx.Put(c.tables.fingerprints, be8(1), make([]byte, 47)) },
		"too many fingerprints":  func(c *Core) { c.tx.Put(c.tables.fingerprints, be8(3), make([]byte, 24)) },
		"the window's setting":   func(c *Core) { c.tx.Put(c.tables.settings, []byte(SettingWindow), be8(0)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, c := damaged(t, harm)
			if err := c.Freeze().Run(); err != nil {
				t.Fatal(err)
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := OpenCore(dir, CoreConfig{InitialMmap: 1 << 24}); !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("got error %v", err)
			}
		})
	}
}

func TestApplyingOnRowsThatMakeNoSenseStopsTheCore(t *testing.T) {
	t.Parallel()
	producer := internalCommit(opOpenProducer, wire.AppendBytes(nil, 1, []byte("p")), 0)
	for name, test := range map[string]struct {
		harm   func(c *Core)
		commit []byte
	}{
		"a stream":   {func(c *Core) { clear(c.heads.byName); c.tx.Put(c.tables.streams, []byte("a"), []byte("x")) }, sealed(t, "3")},
		"a producer": {func(c *Core) { c.tx.Put(c.tables.producers, []byte("p"), be8(77)) }, producer},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, c := damaged(t, test.harm)
			entry := EncodeEntry(EntryHeader{Feature: 1, Epoch: event.Epoch{1}}, [][]byte{test.commit})
			if _, err := c.Apply(2, 1, entry); !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("got error %v", err)
			}
			if index, _ := c.AppliedIndex(); index != 1 {
				t.Errorf("applied index is %d", index)
			}
		})
	}
}
