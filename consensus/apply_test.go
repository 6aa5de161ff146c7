package consensus_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/store"
)

func TestCommitsTakeEffectWhollyOrNotAtAll(t *testing.T) {
	t.Parallel()
	type step struct {
		commit *edriv1.Commit
		want   string
	}
	for name, steps := range map[string][]step{
		"an empty commit succeeds": {
			{alone(), "0:"},
			{alone(add("a", "1")), "1: 1@1"},
			{alone(), "1:"},
			{each(alone()), "1:"},
		},
		"revisions count in their stream, positions over all": {
			{alone(add("a", "1"), add("b", "2"), add("a", "3")), "3: 1@1 2@1 3@2"},
			{alone(add("b", "4")), "4: 4@2"},
		},
		"expected": {
			{alone(exists(add("a", "1"))), "error revision_conflict a expected -2 actual 0"},
			{alone(at(1, add("a", "1"))), "error revision_conflict a expected 1 actual 0"},
			{alone(at(0, add("a", "1"))), "1: 1@1"},
			{alone(at(0, add("a", "2"))), "error revision_conflict a expected 0 actual 1"},
			{alone(exists(add("a", "2"))), "2: 2@2"},
			{alone(at(2, add("a", "3"))), "3: 3@3"},
		},
		"later operations see the earlier ones": {
			{alone(at(0, add("a", "1")), at(1, add("a", "2")), exists(add("a", "3"))), "3: 1@1 2@2 3@3"},
		},
		"one violation undoes all and all are told": {
			{alone(add("a", "1")), "1: 1@1"},
			{alone(add("b", "2"), at(5, add("a", "3")), at(1, add("b", "4")), at(9, add("c", "5"))),
				"error check_failed; 1 revision_conflict a expected 5 actual 1; 3 revision_conflict c expected 9 actual 0"},
			{alone(at(0, add("b", "2"))), "2: 2@1"},
		},
		"a failing operation is as if absent for those after it": {
			{alone(at(1, add("a", "1")), at(1, add("a", "2"))),
				"error check_failed; 0 revision_conflict a expected 1 actual 0; 1 revision_conflict a expected 1 actual 0"},
			{each(alone(at(1, add("a", "1")), at(0, add("a", "2")), at(1, add("a", "1")))),
				"2: (revision_conflict a expected 1 actual 0) 1@1 2@2"},
		},
		"each operation on its own": {
			{each(alone(add("a", "1"), at(7, add("a", "2")), add("a", "3"), addContent("a", "1", "other"))),
				"2: 1@1 (revision_conflict a expected 7 actual 1) 2@2 (id_conflict at 1)"},
			{each(alone(at(7, add("a", "4")))), "2: (revision_conflict a expected 7 actual 2)"},
		},
		"a duplicate tells the first position": {
			{alone(add("a", "1")), "1: 1@1"},
			{alone(add("a", "1")), "1: dup 1"},
			{alone(add("elsewhere", "1")), "1: dup 1"},
			{alone(add("a", "2"), add("a", "1"), add("a", "2"), add("a", "3")), "3: 2@2 dup 1 dup 2 3@3"},
		},
		"a duplicate is a success where expected fails": {
			{alone(at(0, add("a", "1"))), "1: 1@1"},
			{alone(at(0, add("a", "1"))), "1: dup 1"},
			{alone(at(0, add("a", "1")), at(1, add("a", "2"))), "2: dup 1 2@2"},
		},
		"the same id with other content is a conflict": {
			{alone(add("a", "1")), "1: 1@1"},
			{alone(addContent("a", "1", "other")), "error id_conflict at 1"},
			{alone(at(7, addContent("a", "1", "other"))), "error id_conflict at 1"},
			{alone(add("a", "2"), addContent("a", "2", "other")), "error check_failed; 1 id_conflict at 2"},
			{alone(add("a", "2")), "2: 2@2"},
		},
		"without a stream the event's own names it": {
			{alone(add("", "1")), "1: 1@1"},
			{alone(at(1, add("tests", "2"))), "2: 2@2"},
		},
		"a commit of another epoch": {
			{&edriv1.Commit{Epoch: make([]byte, 16), Ops: []*edriv1.Op{add("a", "1")}}, "error epoch_changed"},
			{&edriv1.Commit{Epoch: epoch[:], Ops: []*edriv1.Op{add("a", "1")}}, "1: 1@1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// The same in an entry for each commit and in one entry for all.
			apart, together := newHarness(t), newHarness(t)
			var commits []*edriv1.Commit
			for i, s := range steps {
				if got := brief(apart.one(s.commit)); got != s.want {
					t.Errorf("step %d: got %q, want %q", i, got, s.want)
				}
				commits = append(commits, s.commit)
			}
			for i, r := range together.apply(commits...) {
				if got := brief(r); got != steps[i].want {
					t.Errorf("step %d in one entry: got %q, want %q", i, got, steps[i].want)
				}
			}
		})
	}
}

func TestDuplicatesInLongCommit(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	var ops []*edriv1.Op
	for i := range 50 { // a commit that fails leaves nothing behind
		ops = append(ops, add("a", fmt.Sprint(99-i)))
	}
	h.one(alone(append(ops, at(7, add("b", "b")))...))
	ops = nil
	for i := range 500 {
		ops = append(ops, add("a", fmt.Sprint(i%100)))
	}
	r := h.one(alone(ops...))
	for i, o := range r.Results {
		a := o.GetAppended()
		if want := uint64(i%100 + 1); a.GetPosition() != want || a.GetDuplicate() != (i >= 100) {
			t.Fatalf("operation %d: %v, want position %d", i, a, want)
		}
	}
	if got := brief(h.one(alone(add("a", "0")))); got != "100: dup 1" {
		t.Errorf("got %q", got)
	}
}

func TestEntryOfAnotherEpochChangesNothing(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	session := h.openSession()
	commit := h.seal(in(session, 1, add("a", "1")))
	header := consensus.EntryHeader{Feature: 1, Epoch: event.Epoch{9}, Now: 50, Stamp: 50}
	h.log = append(h.log, consensus.EncodeEntry(header, [][]byte{commit}))
	outcomes, err := h.core.Apply(uint64(len(h.log)), 1, h.log[len(h.log)-1])
	if err != nil {
		t.Fatal(err)
	}
	if got := brief(h.decode(outcomes[0].Result)); got != "error epoch_changed" {
		t.Errorf("got %q", got)
	}
	h.stamp = 60
	if got := brief(h.one(in(session, 1, add("a", "1")))); got != "1: 1@1" {
		t.Errorf("after it: got %q", got)
	}
}

func TestFirstLeaderGivesTheEpoch(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.raw(consensus.LeadCommit("n2", event.Epoch{5}, 0))
	if got := h.core.Meta(); got.Epoch != epoch || got.Leader != "n2" {
		t.Errorf("epoch %s, leader %q; want the first leader's epoch and n2", got.Epoch, got.Leader)
	}
}

func TestStreamsAreListedByName(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.one(alone(add("b", "1"), add("a/2", "2"), add("a/1", "3"), add("b", "4"), add("a", "5"), add("a\u00ff", "6")))
	h.one(alone(add("b", "7"), add("a", "8"), add("new", "9"), at(9, add("a", "10")))) // fails
	all := "a@1:5 a/1@1:3 a/2@1:2 a\u00ff@1:6 b@2:4"
	for range 2 {
		for _, test := range []struct {
			prefix, after string
			limit         int
			want          string
			more          bool
		}{
			{"", "", 10, all, false},
			{"", "", 5, all, false},
			{"", "", 2, "a@1:5 a/1@1:3", true},
			{"", "a/1", 2, "a/2@1:2 a\u00ff@1:6", true},
			{"a/", "", 10, "a/1@1:3 a/2@1:2", false},
			{"a/", "a/1", 10, "a/2@1:2", false},
			{"a/", "b", 10, "", false},
			{"b", "a", 10, "b@2:4", false},
			{"none", "", 10, "", false},
		} {
			v := h.core.View()
			list, more, err := v.Streams(test.prefix, test.after, test.limit)
			v.Close()
			got := ""
			for _, s := range list {
				got += fmt.Sprintf(" %s@%d:%d", s.Name, s.Revision, s.Position)
			}
			if err != nil || strings.TrimSpace(got) != test.want || more != test.more {
				t.Errorf("%+v: got %q, more %v, error %v", test, got, more, err)
			}
		}
		h.reopen(true)
	}
}

func TestMembersAndConfigurationAreKept(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.raw(consensus.AdvertiseCommit("n2", "http://two", "two:1", 0), consensus.AdvertiseCommit("n1", "http://old", "old:1", 0))
	h.raw(consensus.AdvertiseCommit("n1", "http://one", "one:1", 0))
	if got := brief(h.decode(h.raw(consensus.AdvertiseCommit("", "http://none", "none:1", 0))[0].Result)); got != "error invalid" {
		t.Errorf("without an id: got %q", got)
	}
	h.log = append(h.log, nil)
	if err := h.core.ApplyConfiguration(uint64(len(h.log)), 3, []byte("three nodes")); err != nil {
		t.Fatal(err)
	}
	h.core.Publish()
	h.reopen(true)
	v := h.core.View()
	defer v.Close()
	members, err := v.Members()
	if want := []consensus.Member{{ServerID: "n1", APIURL: "http://one", RaftAddress: "one:1"}, {ServerID: "n2", APIURL: "http://two", RaftAddress: "two:1"}}; err != nil || !slices.Equal(members, want) {
		t.Errorf("members are %v, error %v", members, err)
	}
	index, configuration, err := v.Configuration()
	if err != nil || index != uint64(len(h.log)) || string(configuration) != "three nodes" || v.Meta.Term != 3 {
		t.Errorf("configuration is %q of entry %d, term %d, error %v", configuration, index, v.Meta.Term, err)
	}
}

func TestOnlyWhatIsPublishedIsSeen(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.one(alone(add("a", "1")))
	before := consensus.Dump(t, h.core)
	if _, err := h.try(h.seal(alone(add("a", "2"))), h.seal(alone(add("b", "3")))); err != nil {
		t.Fatal(err)
	}
	old := h.core.View()
	defer old.Close()
	if got := consensus.Dump(t, h.core); got != before {
		t.Errorf("before Publish the state is\n%s\nwas\n%s", got, before)
	}
	h.core.Publish()
	if got := h.core.Meta().Mark.Last; got != 3 {
		t.Errorf("the journal ends at %d", got)
	}
	list, _, err := old.Streams("", "", 10)
	if err != nil || len(list) != 1 || old.Journal().Last() != 1 || old.Mark.Last != 1 {
		t.Errorf("the old view has streams %v, ends at %d, error %v", list, old.Journal().Last(), err)
	}
}

// A view's state and journal are of the same Publish, whatever goes on.
func TestViewsAreConsistentWhileEntriesAreApplied(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				v := h.core.View()
				list, _, err := v.Streams("", "", 10)
				sum := event.Position(0)
				for _, s := range list {
					sum += event.Position(s.Revision)
				}
				if last := v.Journal().Last(); err != nil || sum != last || v.Mark.Last != last {
					t.Errorf("%d events in streams, %d in the journal, mark at %d, error %v", sum, last, v.Mark.Last, err)
				}
				v.Close()
			}
		})
	}
	var flushes sync.WaitGroup
	for i := range 300 {
		h.one(alone(add("a", fmt.Sprint(i)), add(fmt.Sprint(i%5), fmt.Sprint("b", i))))
		if i%20 == 0 {
			flushes.Wait()
			if f := h.core.Freeze(); f != nil {
				flushes.Go(func() {
					if err := f.Run(); err != nil {
						t.Errorf("flush: %v", err)
					}
				})
			}
		}
	}
	flushes.Wait()
	close(done)
	readers.Wait()
}

func TestFlushMakesDurable(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.flush()
	if h.core.Freeze() != nil {
		t.Error("there is something to flush after a flush")
	}
	for i := range 3 {
		h.one(alone(add("a", fmt.Sprint(i))))
	}
	if durable := h.core.DurableIndex(); durable != 1 || h.core.DirtyBytes() == 0 {
		t.Errorf("before the flush: durable %d, dirty %d bytes", durable, h.core.DirtyBytes())
	}
	h.flush()
	applied, _ := h.core.AppliedIndex()
	if durable := h.core.DurableIndex(); durable != applied || durable != 4 {
		t.Errorf("after the flush: durable %d, applied %d", durable, applied)
	}
	if err := h.core.Close(); err != nil {
		t.Fatal(err)
	}
	h.open()
	if applied, _ := h.core.AppliedIndex(); applied != 4 || h.core.DurableIndex() != 4 {
		t.Errorf("opened again: applied %d, durable %d", applied, h.core.DurableIndex())
	}
}

// A state that is gone must not let the journal be cut to nothing.
func TestJournalWithoutStateIsCorruption(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.one(alone(add("a", "1")))
	h.flush()
	if err := h.core.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(h.dir, consensus.StateFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := consensus.OpenCore(h.dir, h.cfg); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("got error %v", err)
	}
}

func TestStampNeverDecreases(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.stamp = 1000
	h.one(alone(add("a", "1")))
	h.stamp = 10
	h.one(alone(add("a", "2")))
	v := h.core.View()
	defer v.Close()
	for p, want := range map[event.Position]int64{1: 1001, 2: 1001} {
		r, err := v.Journal().Get(p)
		if err != nil || r.Stamp != want {
			t.Errorf("event %d: stamp %d, error %v; want %d", p, r.Stamp, err, want)
		}
	}
}

func TestEntriesUpToTheAppliedOneAreSkipped(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.one(alone(add("a", "1")))
	last := uint64(len(h.log))
	for _, index := range []uint64{last, last - 1} {
		outcomes, err := h.core.Apply(index, 1, h.log[last-1])
		if outcomes != nil || err != nil {
			t.Errorf("entry %d again: outcomes %v, error %v", index, outcomes, err)
		}
	}
	h.core.Publish()
	if got := h.core.Meta(); got.Mark.Last != 1 || got.Index != last {
		t.Errorf("meta is %+v", got)
	}
}

func TestUndecodableEntryStopsTheCore(t *testing.T) {
	t.Parallel()
	good := func(h *harness) []byte { return h.seal(alone(add("a", "1"))) }
	for name, entry := range map[string]func(h *harness) []byte{
		"empty":            func(*harness) []byte { return nil },
		"unknown version":  func(*harness) []byte { return append([]byte{2}, make([]byte, 40)...) },
		"torn commit":      func(h *harness) []byte { b := entryOf(good(h)); return b[:len(b)-1] },
		"trailing bytes":   func(h *harness) []byte { return append(entryOf(good(h)), 0) },
		"feature level":    func(h *harness) []byte { b := entryOf(good(h)); b[4] = 99; return b },
		"not a commit":     func(*harness) []byte { return entryOf([]byte{0xff}) },
		"unknown field":    func(*harness) []byte { return entryOf([]byte{0x40, 1}) },
		"unsealed commit":  func(h *harness) []byte { b := good(h); return entryOf(b[:len(b)-29]) },
		"unknown op":       func(*harness) []byte { return entryOf([]byte{0x3a, 3, 0x82, 1, 0}) },
		"op as a number":   func(*harness) []byte { return entryOf([]byte{0x3a, 2, 0x10, 1}) },
		"op not alone":     func(*harness) []byte { return entryOf([]byte{0x3a, 2, 0x12, 0, 0x3a, 2, 0x12, 0}) },
		"op with each":     func(*harness) []byte { return entryOf([]byte{0x30, 1, 0x3a, 2, 0x12, 0}) },
		"range backwards":  func(*harness) []byte { return entryOf([]byte{0x10, 1, 0x18, 3, 0x20, 2}) },
		"lead with epoch":  func(*harness) []byte { return entryOf([]byte{0x3a, 6, 0xa2, 6, 3, 0x12, 1, 9}) },
		"unknown internal": func(*harness) []byte { return entryOf([]byte{0x3a, 3, 0xc2, 0x3e, 0}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t)
			h.one(alone(add("a", "0")))
			before := consensus.Dump(t, h.core)
			next := uint64(len(h.log)) + 1
			if _, err := h.core.Apply(next, 1, entryOf(good(h))); err != nil {
				t.Fatal(err)
			}
			if _, err := h.core.Apply(next+1, 1, entry(h)); !errors.Is(err, consensus.ErrUndecodable) {
				t.Fatalf("got error %v", err)
			}
			if _, err := h.core.Apply(next+2, 1, entryOf(good(h))); !errors.Is(err, consensus.ErrUndecodable) {
				t.Errorf("the next entry: got error %v", err)
			}
			h.core.Publish()
			if after := consensus.Dump(t, h.core); after != before {
				t.Errorf("state changed from\n%s\nto\n%s", before, after)
			}
		})
	}
}

func entryOf(commits ...[]byte) []byte {
	return consensus.EncodeEntry(consensus.EntryHeader{Feature: 1, Epoch: epoch, Now: 99, Stamp: 99}, commits)
}
