package consensus_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// A long history of which much is retained no more, so that files go.
func TestRetentionAgreesWithModelThroughCrashes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) { agreesThroughCrashes(t, rt, drawLongScenario(rt)) })
}

// drawLongScenario makes entries of new events, with bounds between them.
func drawLongScenario(t *rapid.T) scenario {
	m := newModel()
	var s scenario
	entry := func(commit []byte, want string) {
		h := consensus.EntryHeader{Feature: 1, Epoch: epoch, Now: 1, Stamp: int64(len(s.entries))}
		s.entries = append(s.entries, consensus.EncodeEntry(h, [][]byte{commit}))
		s.wants = append(s.wants, []string{want})
	}
	entry(consensus.LeadCommit("n1", epoch, 0), "0: ok")
	for range rapid.IntRange(20, 60).Draw(t, "entries") {
		if rapid.IntRange(0, 5).Draw(t, "bound") == 0 {
			entry(drawBound(t, m))
			continue
		}
		c := &edriv1.Commit{}
		for i := range rapid.IntRange(1, 6).Draw(t, "ops") {
			stream := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "stream")
			c.Ops = append(c.Ops, add(stream, fmt.Sprint(len(s.entries), ".", i)))
		}
		entry(seal(t, c), m.apply(c))
	}
	s.streams, s.readable = m.heads(), m.readable()
	return s
}

// drawBound draws a change of what is retained, or of what a stream has left.
func drawBound(t *rapid.T, m *model) (commit []byte, want string) {
	p := rapid.IntRange(1, len(m.journal)+2).Draw(t, "bound at")
	if rapid.Bool().Draw(t, "retain") {
		return consensus.RetainCommit(event.Position(p), 0), m.retain(p)
	}
	stream := rapid.SampledFrom([]string{"a", "b", "none"}).Draw(t, "purge")
	before := rapid.IntRange(1, 8).Draw(t, "before")
	return consensus.PurgeCommit(stream, event.Revision(before), event.Position(p), 0), m.purge(stream, before, p)
}
