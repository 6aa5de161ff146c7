package consensus_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/log"
)

// segmentFiles returns the segment files of a node by name, those that are sealed:
// all but the last.
func (c *simCluster) segmentFiles(name string) map[string]os.FileInfo {
	c.Helper()
	paths, err := filepath.Glob(filepath.Join(c.dir, name, "data-*", "journal", "*.seg"))
	if err != nil || len(paths) < 3 {
		c.Fatalf("segments of %s: %v, %v", name, paths, err)
	}
	files := map[string]os.FileInfo{}
	for _, path := range paths[:len(paths)-1] {
		info, err := os.Stat(path)
		if err != nil {
			c.Fatal(err)
		}
		files[filepath.Base(path)] = info
	}
	return files
}

// lacking sums up the sealed segments that n1 has and n3 has not, and the largest.
func (c *simCluster) lacking() (total, largest int64) {
	c.Helper()
	have := c.segmentFiles("n3")
	for name, info := range c.segmentFiles("n1") {
		if _, ok := have[name]; !ok {
			total += info.Size()
			largest = max(largest, info.Size())
		}
	}
	if total < 3*largest {
		c.Fatalf("n3 lacks %d bytes: too few segments for this test", total)
	}
	return total, largest
}

func (c *simCluster) fetched() int64 {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	return int64(c.net.bytes)
}

// interrupt cuts n3 off once so many bytes of segments were carried, and then calls
// do, beside the transfer. The channel is closed when do has returned.
func (c *simCluster) interrupt(after int64, do func()) <-chan struct{} {
	reached, done := make(chan struct{}), make(chan struct{})
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	c.net.carried = func(total int) {
		if int64(total) >= after {
			c.net.mu.Lock()
			c.net.carried = nil
			c.net.mu.Unlock()
			c.net.partition([]string{"n3"}, []string{"n1", "n2"})
			close(reached)
		}
	}
	go func() {
		defer close(done)
		<-reached
		do()
	}()
	return done
}

func TestOnlySegmentsThatTheFollowerLacksAreFetched(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &simLedger{acked: map[string]event.Position{}}
		c := behind(t, l)
		defer c.endAll()
		before := c.segmentFiles("n3")
		lacking, _ := c.lacking()
		c.start("n3")
		c.verify(l)
		if got := c.fetched(); got == 0 || got > lacking {
			t.Errorf("%d bytes were fetched, %d were lacking", got, lacking)
		}
		for name, now := range c.segmentFiles("n3") {
			if old := before[name]; old != nil && !os.SameFile(old, now) {
				t.Errorf("%s was there before and is another file now", name)
			}
		}
		c.eventually("nothing is left behind", func() bool {
			left, err := filepath.Glob(filepath.Join(c.dir, "n3", "staging", "segments", "*"))
			generations, _ := filepath.Glob(filepath.Join(c.dir, "n3", "data-*"))
			return err == nil && len(left) == 0 && len(generations) == 1
		})
	})
}

func TestTransferGoesOnUnderTheNextLeader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &simLedger{acked: map[string]event.Position{}}
		c := behind(t, l)
		defer c.endAll()
		lacking, largest := c.lacking()
		killed := c.interrupt(lacking/2, func() { c.end(c.leader(), true) })
		c.start("n3")
		<-killed
		before := c.fetched()
		if before > lacking*3/4 {
			t.Fatalf("%d of %d bytes were fetched before the leader was gone", before, lacking)
		}
		// Its successor needs n3, which must not have to catch up in order to vote.
		c.net.heal()
		c.eventually("there is another leader", func() bool { return c.leader() != "" })
		c.startAll()
		c.verify(l)
		if got := c.fetched(); got > lacking+largest {
			t.Errorf("%d bytes were fetched, %d were lacking: what was staged was fetched again", got, lacking)
		}
	})
}

func TestTransferGoesOnAfterARestartOfItsReceiver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &simLedger{acked: map[string]event.Position{}}
		c := behind(t, l)
		defer c.endAll()
		lacking, largest := c.lacking()
		killed := c.interrupt(lacking/2, func() { c.end("n3", true) })
		c.start("n3")
		<-killed
		c.net.heal()
		c.start("n3")
		c.verify(l)
		if got := c.fetched(); got > lacking+largest {
			t.Errorf("%d bytes were fetched, %d were lacking: what was staged was fetched again", got, lacking)
		}
	})
}

// What was staged in an earlier life may have been damaged since: it is fetched
// again, and not installed.
func TestDamagedStagedSegmentsAreFetchedAgain(t *testing.T) {
	t.Parallel()
	for what, harm := range map[string]func(path string) error{
		"flipped": flipPages,
		"cut":     func(path string) error { return os.Truncate(path, 5000) },
		"emptied": func(path string) error { return os.Truncate(path, 0) },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := &simLedger{acked: map[string]event.Position{}}
				c := behind(t, l)
				defer c.endAll()
				lacking, _ := c.lacking()
				killed := c.interrupt(lacking/2, func() { c.end("n3", true) })
				c.start("n3")
				<-killed
				staged, err := filepath.Glob(filepath.Join(c.dir, "n3", "staging", "segments", "*.seg"))
				if err != nil || len(staged) == 0 {
					t.Fatalf("staged are %v, %v", staged, err)
				}
				for _, path := range staged {
					if err := harm(path); err != nil {
						t.Fatal(err)
					}
				}
				c.net.heal()
				c.start("n3")
				c.verify(l)
				for name := range c.segmentFiles("n3") {
					if _, err := log.CheckSegmentFile(t.Context(), c.inForce("n3", name)); err != nil {
						t.Errorf("in force is %s: %v", name, err)
					}
				}
			})
		})
	}
}

// A segment that is damaged at one peer comes from another; what no peer has sound
// is never installed, and what is gone is waited for.
func TestOnlySoundSegmentsAreInstalled(t *testing.T) {
	t.Parallel()
	for what, harm := range map[string]func(path string) error{
		"damaged": flipPages,
		"deleted": os.Remove,
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { harmSegment(t, harm) })
		})
	}
}

func harmSegment(t *testing.T, harm func(path string) error) {
	l := &simLedger{acked: map[string]event.Position{}}
	c := behind(t, l)
	defer c.endAll()
	have, victim := c.segmentFiles("n3"), ""
	for name := range c.segmentFiles("n1") {
		if have[name] == nil {
			victim = max(victim, name)
		}
	}
	intact := map[string][]byte{}
	for _, name := range []string{"n1", "n2"} {
		path := c.inForce(name, victim)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		intact[path] = b
		if err := harm(path); err != nil {
			t.Fatal(err)
		}
	}
	c.start("n3")
	time.Sleep(20 * time.Second)
	if c.caughtUp("n3", l) {
		t.Error("n3 has caught up, although no peer has what it lacks")
	}
	if _, err := os.Stat(filepath.Join(c.dir, "n3", "data-000001")); err != nil {
		t.Errorf("the old generation is gone: %v", err)
	}
	for path, b := range intact {
		if strings.Contains(path, "n2") { // one sound peer is enough
			continue
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c.eventually("n3 has caught up", func() bool { return c.caughtUp("n3", l) })
	for path, b := range intact {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c.verify(l)
}

// inForce is the path of a segment of a node.
func (c *simCluster) inForce(name, segment string) string {
	c.Helper()
	paths, err := filepath.Glob(filepath.Join(c.dir, name, "data-*", "journal", segment))
	if err != nil || len(paths) != 1 {
		c.Fatalf("%s of %s: %v, %v", segment, name, paths, err)
	}
	return paths[0]
}

func (c *simCluster) caughtUp(name string, l *simLedger) bool {
	v := c.node(name).View()
	defer v.Close()
	return v.Mark.Last >= l.highest()
}

// flipPages changes a byte of every page but the first, in place: the file may be
// open and mapped.
func flipPages(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	for at := 2*4096 + 1000; at < len(b); at += 4096 {
		if _, err := f.WriteAt([]byte{b[at] ^ 1}, int64(at)); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return f.Close()
}

func TestASnapshotOlderThanTheStateIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newSimCluster(t)
		defer c.endAll()
		c.startAll()
		c.eventually("all are ready", c.allReady)
		c.openSession()
		node := c.node("n1")
		_, err := node.ReceiveSnapshot(t.Context(), strings.NewReader(""), &raft.InstallSnapshotRequest{LastLogIndex: 1, LastLogTerm: 1})
		if err == nil || !strings.Contains(err.Error(), "older than") {
			t.Errorf("got %v", err)
		}
		later := raft.InstallSnapshotRequest{LastLogIndex: 1 << 40, LastLogTerm: 1}
		if _, err = node.ReceiveSnapshot(t.Context(), strings.NewReader(""), &later); err == nil || !strings.Contains(err.Error(), "configuration") {
			t.Errorf("no configuration: got %v", err)
		}
		later.Configuration = raft.EncodeConfiguration(raft.Configuration{})
		_, err = node.ReceiveSnapshot(t.Context(), strings.NewReader("edrisnap1\n, an earlier format"), &later)
		if err == nil || !strings.Contains(err.Error(), "bad magic") {
			t.Errorf("garbage: got %v", err)
		}
		if left, err := filepath.Glob(filepath.Join(c.dir, "n1", "data-*")); err != nil || len(left) != 1 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	})
}
