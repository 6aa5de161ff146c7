package consensus_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/consensus/backup"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/fault"
)

// loneNode is a cluster of one that has a history, a session and a producer.
func loneNode(t *testing.T, events int) (c *simCluster, session uint64) {
	t.Helper()
	c = newSimCluster(t)
	c.names = []string{"n1"}
	c.start("n1")
	c.eventually("n1 is ready", func() bool { return c.node("n1").Ready() == nil })
	session = c.openSession()
	opened := c.must(&edriv1.Commit{Ops: []*edriv1.Op{{Op: &edriv1.Op_OpenProducer{OpenProducer: &edriv1.OpenProducer{Name: "import"}}}}})
	producer := opened.Results[0].GetProducerOpened()
	c.must(&edriv1.Commit{Session: producer.Session, FirstSequence: 1, Sequence: 7, Ops: []*edriv1.Op{add("s", "imported")}})
	for i := range events {
		c.must(&edriv1.Commit{Session: session, Sequence: uint64(i + 1), Ops: []*edriv1.Op{addContent("s", fmt.Sprint(i), string(make([]byte, 700)))}})
	}
	return c, session
}

// backUp writes a backup of n1 to a file.
func (c *simCluster) backUp(name string, have map[[32]byte]backup.Ancestor) string {
	c.Helper()
	var b bytes.Buffer
	if err := c.node("n1").Backup(c.Context(), consensus.BackupRequest{Have: have}, &b); err != nil {
		c.Fatalf("back up: %v", err)
	}
	path := filepath.Join(c.dir, name)
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		c.Fatal(err)
	}
	return path
}

func restore(dir, path string, seam fault.Seam, earlier ...string) (consensus.Restored, error) {
	chain, err := backup.OpenChain(path, earlier)
	if err != nil {
		return consensus.Restored{}, err
	}
	r, err := consensus.Restore(context.Background(), consensus.RestoreConfig{
		Dir: dir, Name: "n1", RaftAddress: "n1", Seam: seam,
		Fill: func(ctx context.Context, seam fault.Seam, dir string) error {
			return chain.Extract(ctx, seam, dir, nil)
		},
	})
	return r, errors.Join(err, chain.Close())
}

// restored starts a node on a restored directory and waits until it is ready.
func (c *simCluster) restored(dir string) *simCluster {
	c.Helper()
	r := newSimCluster(c.T)
	r.names, r.dir = []string{"n1"}, dir
	r.start("n1")
	r.eventually("the restored node is ready", func() bool { return r.node("n1").Ready() == nil })
	return r
}

func TestRestoreBringsBackHistoryAndProducersUnderANewEpoch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, session := loneNode(t, 100)
		want, before := c.history("n1"), c.node("n1").Epoch()
		status, err := c.node("n1").Status()
		if err != nil {
			t.Fatal(err)
		}
		path := c.backUp("a", nil)
		c.end("n1", false)
		dir := simDir(t)
		made, err := restore(filepath.Join(dir, "n1"), path, nil)
		if err != nil || made.Before != before || made.Epoch == before || made.Sessions != 1 || made.Producers != 1 {
			t.Fatalf("restored %+v, %v", made, err)
		}
		r := c.restored(dir)
		defer r.endAll()
		if got := r.history("n1"); !slices.Equal(got, want) {
			t.Errorf("history has %d events, want %d", len(got), len(want))
		}
		if r.node("n1").Epoch() != made.Epoch {
			t.Errorf("epoch is %s, want %s", r.node("n1").Epoch(), made.Epoch)
		}
		// An entry of an earlier term behind the state's last would break Raft.
		if now, err := r.node("n1").Status(); err != nil || now.Term <= status.Term || now.AppliedIndex <= status.AppliedIndex {
			t.Errorf("term %d, index %d (%v), of the backup %d, %d", now.Term, now.AppliedIndex, err, status.Term, status.AppliedIndex)
		}
		refused := func(commit *edriv1.Commit, code event.Code) {
			t.Helper()
			if _, err := submit(r.node("n1"), commit); err == nil || err.Code != code {
				t.Errorf("got %v, want %s", err, code)
			}
		}
		refused(&edriv1.Commit{Epoch: before[:], Ops: []*edriv1.Op{add("s", "new")}}, event.CodeEpochChanged)
		refused(&edriv1.Commit{Session: session, Sequence: 101, Ops: []*edriv1.Op{add("s", "new")}}, event.CodeSessionExpired)
		opened := r.must(&edriv1.Commit{Ops: []*edriv1.Op{{Op: &edriv1.Op_OpenProducer{OpenProducer: &edriv1.OpenProducer{Name: "import"}}}}})
		if last := opened.Results[0].GetProducerOpened().LastSequence; last != 7 {
			t.Errorf("the producer goes on behind %d, want 7", last)
		}
		if s := r.openSession(); s <= session+1<<31 {
			t.Errorf("session %d may have been given out by the old lineage, which was at %d", s, session)
		}
		// It writes on, and comes back.
		r.must(&edriv1.Commit{Ops: []*edriv1.Op{add("s", "after")}})
		r.end("n1", true)
		r.start("n1")
		r.eventually("ready again", func() bool { return r.node("n1").Ready() == nil })
		if got := r.history("n1"); len(got) != len(want)+1 {
			t.Errorf("history has %d events after a crash, want %d", len(got), len(want)+1)
		}
	})
}

// Whatever step of a restore a crash comes at: no node starts on what is there, or
// it has everything.
func TestHalfARestoreDoesNotStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := loneNode(t, 100)
		want := c.history("n1")
		path := c.backUp("a", nil)
		c.end("n1", false)
		half, whole := 0, 0
		for n := 1; ; n++ {
			dir := simDir(t)
			data := filepath.Join(dir, "n1")
			injector := fault.CrashAt(n)
			_, err := restore(data, path, injector.Seam())
			if !injector.Fired() {
				if err != nil {
					t.Fatalf("without a crash: %v", err)
				}
				break
			}
			if err == nil {
				t.Fatalf("crash at step %d was not reported", n)
			}
			if _, err := os.Stat(filepath.Join(data, "RESTORING")); err == nil {
				half++
				lone := newSimCluster(t)
				lone.names, lone.dir = []string{"n1"}, dir
				if err := lone.tryStart("n1"); !errors.Is(err, consensus.ErrHalfRestored) {
					t.Fatalf("crash at step %d: a node starts: %v", n, err)
				}
				if _, err := restore(data, path, nil); !errors.Is(err, consensus.ErrHalfRestored) {
					t.Fatalf("crash at step %d: restored over it: %v", n, err)
				}
				continue
			}
			if _, err := os.Stat(filepath.Join(data, "CURRENT")); err != nil {
				// It had not begun: the directory still takes a restore.
				if _, err := restore(data, path, nil); err != nil {
					t.Fatalf("crash at step %d, then: %v", n, err)
				}
			}
			whole++
			r := c.restored(dir)
			if got := r.history("n1"); !slices.Equal(got, want) {
				t.Fatalf("crash at step %d: history has %d events, want %d", n, len(got), len(want))
			}
			r.endAll()
		}
		if half < 20 || whole < 2 {
			t.Errorf("%d crashes left half a restore, %d a whole one: too few steps", half, whole)
		}
	})
}

func TestRestoreGoesIntoAnEmptyDirectoryOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := loneNode(t, 1)
		path := c.backUp("a", nil)
		c.end("n1", false)
		if _, err := restore(filepath.Join(c.dir, "n1"), path, nil); !errors.Is(err, consensus.ErrNotEmpty) {
			t.Errorf("over a node's data: %v", err)
		}
	})
}

// A backup since another has only the new segments; without the other it names it.
func TestIncrementalBackupNeedsItsChain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, session := loneNode(t, 120)
		first := c.backUp("first", nil)
		f, err := backup.Open(first)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		have := map[[32]byte]backup.Ancestor{}
		for _, s := range f.Manifest.Segments {
			if digest, err := hex.DecodeString(s.Digest); err == nil && s.Sealed {
				have[[32]byte(digest)] = backup.Ancestor{ID: f.ID, Name: "first"}
			}
		}
		if len(have) < 2 {
			t.Fatalf("%d sealed segments", len(have))
		}
		for i := range 60 {
			c.must(&edriv1.Commit{Session: session, Sequence: uint64(i + 121), Ops: []*edriv1.Op{addContent("s", fmt.Sprint("x", i), string(make([]byte, 700)))}})
		}
		want := c.history("n1")
		second := c.backUp("second", have)
		c.end("n1", false)
		dir := simDir(t)
		var missing *backup.MissingError
		if _, err := restore(filepath.Join(dir, "n1"), second, nil); !errors.As(err, &missing) || missing.Missing[0].Name != "first" {
			t.Fatalf("without the chain: %v", err)
		}
		if _, err := restore(filepath.Join(dir, "n1"), second, nil, first); err != nil {
			t.Fatal(err)
		}
		r := c.restored(dir)
		defer r.endAll()
		if got := r.history("n1"); !slices.Equal(got, want) {
			t.Errorf("history has %d events, want %d", len(got), len(want))
		}
	})
}

// A segment that is gone, as when retention deletes it after the state was pinned,
// is no damage: another try, here or elsewhere, sees a newer state.
func TestBackupThatLosesTheGroundMayBeTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := loneNode(t, 100)
		defer c.endAll()
		c.backUp("a", nil)
		segments, err := filepath.Glob(filepath.Join(c.dir, "n1", "data-*", "journal", "*.seg"))
		if err != nil || len(segments) < 2 {
			t.Fatal(segments, err)
		}
		if err := os.Rename(segments[0], segments[0]+".away"); err != nil {
			t.Fatal(err)
		}
		err = c.node("n1").Backup(t.Context(), consensus.BackupRequest{}, io.Discard)
		if event.CodeOf(err) != event.CodeUnavailable {
			t.Errorf("without a segment: %v", err)
		}
		if err := os.Rename(segments[0]+".away", segments[0]); err != nil {
			t.Fatal(err)
		}
		c.backUp("b", nil)
		left, err := filepath.Glob(filepath.Join(c.dir, "n1", "staging", "backup-*"))
		if err != nil || len(left) > 0 {
			t.Errorf("staging holds %v, %v", left, err)
		}
	})
}

// What is written to the disk while a backup is made must not fill it.
func TestBackupLeavesTheDisksReserve(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := loneNode(t, 1)
		c.end("n1", false)
		c.tune = func(_ string, cfg *consensus.Config) {
			cfg.DiskReserve = 1000
			cfg.DiskSpace = func() (free, total uint64, err error) { return 2000, 1 << 30, nil }
		}
		c.start("n1")
		defer c.endAll()
		c.eventually("n1 is ready", func() bool { return c.node("n1").Ready() == nil })
		err := c.node("n1").Backup(t.Context(), consensus.BackupRequest{}, io.Discard)
		if event.CodeOf(err) != event.CodeQuotaExceeded {
			t.Errorf("with little room: %v", err)
		}
	})
}

// The nodes that join a restored one get all of it, and one of the old cluster that
// meets the new one learns that it has no place there.
func TestEmptyNodesJoinARestoredOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := loneNode(t, 100)
		c.join("n2")
		c.eventuallyMembers("n1 n2")
		old := c.node("n2").ServerID()
		path := c.backUp("a", nil)
		c.endAll()
		dir := simDir(t)
		if _, err := restore(filepath.Join(dir, "n1"), path, nil); err != nil {
			t.Fatal(err)
		}
		r := c.restored(dir)
		defer r.endAll()
		want := r.history("n1")
		if got := r.members(); got != "n1" {
			t.Errorf("members of the restored cluster are %q", got)
		}
		v := r.node("n1").View()
		members, err := v.Members()
		v.Close()
		if err != nil || !slices.ContainsFunc(members, func(m consensus.Member) bool { return m.ServerID == old && m.Removed }) {
			t.Errorf("%s is not known as removed: %v, %v", old, members, err)
		}
		r.first = []string{"n1"}
		r.join("n2")
		r.join("n3")
		r.eventuallyMembers("n1 n2 n3")
		r.eventually("all are ready", r.allReady)
		r.must(&edriv1.Commit{Ops: []*edriv1.Op{add("s", "after")}})
		for _, name := range r.names {
			r.eventually(name+" has all", func() bool { return len(r.history(name)) == len(want)+1 })
			if got := r.history(name); !slices.Equal(got[:len(want)], want) {
				t.Errorf("%s has another history", name)
			}
		}
		// Any of them can do without the one that was restored.
		r.end("n1", true)
		r.names = []string{"n2", "n3"}
		r.eventually("there is a leader", func() bool { return r.leader() != "" })
		r.must(&edriv1.Commit{Ops: []*edriv1.Op{add("s", "without n1")}})
	})
}
