package consensus_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/fault"
	"github.com/edri-io/edri/log"
)

// scenario is a log of entries with the results that the model gives.
type scenario struct {
	entries [][]byte
	wants   [][]string // by entry and commit
	streams []consensus.StreamHead
	// What reads return in the end.
	readable []event.Position
}

// drawScenario makes entries of commits that succeed, fail, repeat, come out of
// turn, overlap, and of changes of the window and expiries between them.
func drawScenario(t *rapid.T) scenario {
	m := newModel()
	var s scenario
	stamp := int64(0)
	add := func(commits [][]byte, wants []string) {
		stamp += rapid.Int64Range(0, 3).Draw(t, "time")
		h := consensus.EntryHeader{Feature: 1, Epoch: epoch, Now: stamp, Stamp: stamp}
		s.entries = append(s.entries, consensus.EncodeEntry(h, commits))
		s.wants = append(s.wants, wants)
	}
	add([][]byte{consensus.LeadCommit("n1", epoch, 0)}, []string{"0: ok"})
	add([][]byte{consensus.SettingCommit(consensus.SettingWindow, 6, 0)}, []string{"0: ok"})
	m.setWindow(6)
	for range rapid.IntRange(1, 25).Draw(t, "entries") {
		var commits [][]byte
		var wants []string
		for range rapid.IntRange(0, 6).Draw(t, "commits") {
			if rapid.IntRange(0, 30).Draw(t, "setting") == 0 {
				size := rapid.IntRange(1, 12).Draw(t, "window")
				commits = append(commits, consensus.SettingCommit(consensus.SettingWindow, uint64(size), 0))
				wants = append(wants, fmt.Sprint(len(m.journal), ": ok"))
				m.setWindow(size)
				continue
			}
			if rapid.IntRange(0, 15).Draw(t, "bound") == 0 {
				commit, want := drawBound(t, m)
				commits, wants = append(commits, commit), append(wants, want)
				continue
			}
			c := drawCommit(t, m)
			commits = append(commits, seal(t, c))
			wants = append(wants, m.apply(c))
		}
		add(commits, wants)
	}
	s.streams, s.readable = m.heads(), m.readable()
	return s
}

func drawCommit(t *rapid.T, m *model) *edriv1.Commit {
	c := &edriv1.Commit{}
	kind := rapid.IntRange(0, 11).Draw(t, "kind")
	switch kind {
	case 0:
		c.Ops = []*edriv1.Op{{Op: &edriv1.Op_OpenSession{OpenSession: &edriv1.OpenSession{}}}}
		return c
	case 1:
		name := rapid.SampledFrom([]string{"p", "q"}).Draw(t, "producer")
		c.Ops = []*edriv1.Op{{Op: &edriv1.Op_OpenProducer{OpenProducer: &edriv1.OpenProducer{Name: name}}}}
		return c
	}
	if rapid.IntRange(0, 20).Draw(t, "epoch") == 0 {
		c.Epoch = make([]byte, 16)
	}
	if m.numbers > 0 && rapid.IntRange(0, 3).Draw(t, "session") > 0 {
		drawSequence(t, m, c)
	}
	if kind == 2 && c.Session != 0 {
		c.Ops = []*edriv1.Op{{Op: &edriv1.Op_CloseSession{CloseSession: &edriv1.CloseSession{}}}}
		return c
	}
	c.Each = rapid.IntRange(0, 3).Draw(t, "each") == 0
	for range rapid.IntRange(0, 4).Draw(t, "ops") {
		c.Ops = append(c.Ops, drawAppend(t))
	}
	return c
}

func drawSequence(t *rapid.T, m *model, c *edriv1.Commit) {
	c.Session = rapid.Uint64Range(1, m.numbers+1).Draw(t, "id")
	last := uint64(0)
	if s := m.sessions[c.Session]; s != nil {
		last = s.last
	}
	c.Sequence = last + 1
	switch rapid.IntRange(0, 9).Draw(t, "turn") {
	case 0: // anywhere
		c.Sequence = rapid.Uint64Range(1, last+3).Draw(t, "sequence")
	case 1: // a range, in turn or not
		c.FirstSequence = rapid.Uint64Range(1, last+2).Draw(t, "first")
		c.Sequence = c.FirstSequence + rapid.Uint64Range(0, 4).Draw(t, "length")
	case 2: // a range in turn
		c.FirstSequence = last + 1
		c.Sequence = last + rapid.Uint64Range(1, 5).Draw(t, "length")
	}
	first := c.FirstSequence
	if first == 0 {
		first = c.Sequence
	}
	if first > 1 && rapid.IntRange(0, 3).Draw(t, "ack") == 0 {
		c.AckedThrough = rapid.Uint64Range(1, first-1).Draw(t, "acked")
	}
}

func drawAppend(t *rapid.T) *edriv1.Op {
	stream := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "stream")
	o := add(stream, fmt.Sprint(rapid.IntRange(0, 20).Draw(t, "event")))
	if rapid.IntRange(0, 9).Draw(t, "other") == 0 {
		o = addContent(stream, o.GetAppend().Event.Id, "other")
	}
	switch rapid.IntRange(0, 5).Draw(t, "expected") {
	case 0:
		return at(rapid.Uint64Range(0, 6).Draw(t, "revision"), o)
	case 1:
		return exists(o)
	}
	return o
}

func seal(t *rapid.T, c *edriv1.Commit) []byte {
	b, err := proto.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	info, err := consensus.CheckCommit(b, event.DefaultLimits())
	if err != nil {
		t.Fatalf("check %v: %v", c, err)
	}
	return consensus.SealCommit(nil, b, info, 0)
}

// replica feeds a scenario to a core that is published, flushed, killed and
// opened again whenever the test says, and holds its outcomes to those of the
// first execution.
type replica struct {
	*rapid.T
	scenario
	dir     string
	core    *consensus.Core
	seam    fault.Seam
	results [][][]byte // by entry and commit, of the first execution
}

func (r *replica) open() error {
	var err error
	r.core, err = consensus.OpenCore(r.dir, consensus.CoreConfig{Seam: func(s fault.Step) error {
		if r.seam == nil {
			return nil
		}
		return r.seam(s)
	}, SegmentBytes: 700, InitialMmap: 1 << 20})
	return err
}

func (r *replica) next() uint64 { return r.core.Meta().Index }

// apply applies the entries [from, to) in one batch.
func (r *replica) apply(from, to uint64) {
	for i := from; i < to; i++ {
		outcomes, err := r.core.Apply(i+1, 1, bytes.Clone(r.entries[i]))
		if err != nil {
			r.Fatalf("apply entry %d: %v", i+1, err)
		}
		results := make([][]byte, len(outcomes))
		for k, o := range outcomes {
			results[k] = o.Result
		}
		if uint64(len(r.results)) == i {
			r.results = append(r.results, results)
			continue
		}
		for k := range results {
			if !bytes.Equal(results[k], r.results[i][k]) {
				r.Fatalf("entry %d commit %d: now %x, first %x", i+1, k, results[k], r.results[i][k])
			}
		}
	}
	r.core.Publish()
}

func (r *replica) flush() error {
	f := r.core.Freeze()
	if f == nil {
		return nil
	}
	if err := f.Run(); err != nil {
		return err
	}
	return r.core.RemoveRetained()
}

// crash kills the core within a flush, at the nth step that a seam sees, and
// then again within the opening that follows.
func (r *replica) crash(n, m int) {
	r.seam = fault.CrashAt(n).Seam()
	if err := r.flush(); err != nil && !errors.Is(err, fault.ErrInjected) {
		r.Fatalf("flush: %v", err)
	}
	_ = r.core.Close()
	r.seam = fault.CrashAt(m).Seam()
	if err := r.open(); err == nil {
		_ = r.core.Close()
	} else if !errors.Is(err, fault.ErrInjected) {
		r.Fatalf("open: %v", err)
	}
	r.seam = nil
	r.reopen()
}

func (r *replica) reopen() {
	if err := r.open(); err != nil {
		r.Fatalf("open: %v", err)
	}
	if r.next() < r.core.DurableIndex() {
		r.Fatalf("applied %d, durable %d", r.next(), r.core.DurableIndex())
	}
}

func TestCoreAgreesWithModelThroughCrashes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) { agreesThroughCrashes(t, rt, drawScenario(rt)) })
}

func agreesThroughCrashes(t *testing.T, rt *rapid.T, s scenario) {
	t.Helper()
	n := uint64(len(s.entries))
	plain := &replica{T: rt, scenario: s, dir: tempDir(rt)}
	plain.reopen()
	defer plain.close()
	for i := range n {
		plain.apply(i, i+1)
	}
	for i, wants := range s.wants {
		for k, want := range wants {
			var result edriv1.CommitResult
			if err := proto.Unmarshal(plain.results[i][k], &result); err != nil {
				rt.Fatal(err)
			}
			if got := brief(&result); got != want {
				rt.Fatalf("entry %d commit %d: got %q, want %q", i+1, k, got, want)
			}
		}
	}
	v := plain.core.View()
	if got, _, err := v.Streams("", "", 10); err != nil || !slices.Equal(got, s.streams) {
		rt.Fatalf("streams are %v, error %v; want %v", got, err, s.streams)
	}
	var readable []event.Position
	read := v.Journal().Read(log.Query{})
	for read.Next() {
		readable = append(readable, read.Record().Position)
	}
	if err := read.Err(); err != nil || !slices.Equal(readable, s.readable) {
		rt.Fatalf("positions %v can be read, error %v; want %v", readable, err, s.readable)
	}
	v.Close()
	rough := &replica{T: rt, scenario: s, dir: tempDir(rt), results: plain.results}
	rough.reopen()
	defer rough.close()
	for rough.next() < n {
		rough.apply(rough.next(), rapid.Uint64Range(rough.next()+1, min(n, rough.next()+10)).Draw(rt, "batch"))
		switch rapid.IntRange(0, 5).Draw(rt, "then") {
		case 0:
			if err := rough.flush(); err != nil {
				rt.Fatal(err)
			}
		case 1:
			rough.crash(rapid.IntRange(1, 30).Draw(rt, "step"), rapid.IntRange(1, 12).Draw(rt, "opening step"))
		case 2:
			_ = rough.core.Close()
			rough.reopen()
		case 3: // what is applied meanwhile must not make it delete more
			if err := rough.core.RemoveRetained(); err != nil {
				rt.Fatal(err)
			}
		}
	}
	if got, want := consensus.Dump(t, rough.core), consensus.Dump(t, plain.core); got != want {
		rt.Fatalf("states differ: through crashes\n%s\nwithout\n%s", got, want)
	}
}

func (r *replica) close() {
	if r.core != nil {
		_ = r.core.Close()
	}
	_ = os.RemoveAll(r.dir)
}

func tempDir(t *rapid.T) string {
	dir, err := os.MkdirTemp("", "edri-core-")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
