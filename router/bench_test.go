package router

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// BenchmarkSettle measures what one event costs in apply: its part of an advance of 100,
// and its acknowledgement, 100 commits an entry.
func BenchmarkSettle(b *testing.B) {
	const batch = 100
	h := newHall(b)
	h.publish(1)
	g := h.subscribe("s", nil)
	cursor := event.Position(0)
	header := consensus.EntryHeader{Feature: 1, Epoch: testEpoch, Now: h.now, Stamp: h.now}
	b.ReportAllocs()
	for n := 0; n < b.N; n += batch {
		b.StopTimer()
		commits := [][]byte{internal(opAdvance, encodeAdvance(g, cursor, cursor+batch, positionsUpTo(cursor, cursor+batch), nil))}
		for i := range batch {
			op := &edriv1.Commit{Ops: []*edriv1.Op{ack("s", g, uint64(cursor)+uint64(i)+1)}}
			c, err := proto.Marshal(op)
			if err != nil {
				b.Fatal(err)
			}
			commits = append(commits, consensus.SealCommit(nil, c, consensus.CommitInfo{}, 0))
		}
		entry := consensus.EncodeEntry(header, commits)
		cursor += batch
		h.index++
		b.StartTimer()
		if _, err := h.core.Apply(h.index, 1, entry); err != nil {
			b.Fatal(err)
		}
		h.core.Publish()
		b.StopTimer()
		h.witness.notes = nil
		h.core.Notify()
		h.witness.notes = nil
		if n%(100*batch) == 0 {
			if f := h.core.Freeze(); f != nil {
				if err := f.Run(); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.StartTimer()
	}
}
