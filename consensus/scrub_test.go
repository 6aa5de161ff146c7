package consensus_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/store"
)

// The scrub of a follower finds a bit that nobody reads, and the node stops.
func TestScrubMeetsDamageThatNobodyReads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newSimCluster(t)
		c.segmentBytes = 4 << 10
		stopped := make(chan error, 1)
		c.tune = func(name string, cfg *consensus.Config) {
			if name == "n3" {
				cfg.Fatal = func(code int, err error) {
					if code == consensus.ExitCorruption {
						stopped <- err
					}
				}
			}
		}
		c.startAll()
		defer c.endAll()
		c.eventually("all are ready", c.allReady)
		l := &simLedger{acked: map[string]event.Position{}}
		session := c.openSession()
		for i := range uint64(60) {
			c.append(l, session, i+1)
		}
		c.eventually("a round is complete", func() bool {
			s, err := c.node("n3").Status()
			return err == nil && s.Scrub.Rounds > 0 && s.Scrub.Bytes > 0 && !s.Scrub.Complete.IsZero()
		})
		segment := filepath.Join(c.dir, "n3", "data-000001", "journal", "00000000000000000001.seg")
		flipWhere(t, segment, "e-3")
		err := c.node("n3").ScrubNow()
		if !errors.Is(err, store.ErrCorrupt) {
			t.Fatalf("got %v, want ErrCorrupt", err)
		}
		if err := <-stopped; !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("stopped with %v", err)
		}
		_ = c.node("n3").Abandon()
		c.forget("n3")
	})
}

// flipWhere flips a bit wherever a file holds these bytes.
func flipWhere(t *testing.T, path, needle string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	flipped := 0
	for at := range len(content) - len(needle) {
		if string(content[at:at+len(needle)]) == needle {
			content[at] ^= 0x10
			flipped++
		}
	}
	if flipped == 0 {
		t.Fatalf("%s does not hold %q", path, needle)
	}
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	if _, err := file.WriteAt(content, 0); err != nil {
		t.Fatal(err)
	}
}
