package engine

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

// What a node executes for a run of three steps: four commits, in entries of 64.
func BenchmarkRunOfThreeSteps(b *testing.B) {
	var now int64
	p := newPlant(b, &now)
	p.define("order", 1)
	const together = 64
	apply := func(ops []*edriv1.Op) []consensus.Outcome {
		commits := make([][]byte, len(ops))
		for i, op := range ops {
			encoded, err := proto.Marshal(&edriv1.Commit{Ops: []*edriv1.Op{op}})
			if err != nil {
				b.Fatal(err)
			}
			info, err := p.cfg.Machines.CheckCommit(encoded, event.DefaultLimits())
			if err != nil {
				b.Fatal(err)
			}
			commits[i] = consensus.SealCommit(nil, encoded, info, 0)
		}
		p.index++
		now += 1e6
		entry := consensus.EncodeEntry(consensus.EntryHeader{Feature: 1, Epoch: testEpoch, Now: now, Stamp: now}, commits)
		b.StartTimer()
		outcomes, err := p.core.Apply(p.index, 1, entry)
		if err != nil {
			b.Fatal(err)
		}
		p.core.Publish()
		p.core.Notify()
		b.StopTimer()
		return outcomes
	}
	b.ReportAllocs()
	b.ResetTimer()
	b.StopTimer()
	for n := 0; n < b.N; n += together {
		var ops []*edriv1.Op
		for i := range together {
			ops = append(ops, startRunOp(&edriv1.StartRun{Id: fmt.Sprintf("run-%d", n+i), Type: "order", Input: "1"}))
		}
		numbers := make([]uint64, together)
		for i, o := range apply(ops) {
			r := &edriv1.CommitResult{}
			if err := proto.Unmarshal(o.Result, r); err != nil || r.Error != nil {
				b.Fatalf("start: %v, %v", r, err)
			}
			numbers[i] = r.Results[0].GetRunStarted().Number
		}
		for step := uint64(1); step <= 3; step++ {
			ops = ops[:0]
			for i := range together {
				records := []*edriv1.RunRecord{ownRecord(workflows.KindStepCompleted, `{"seq":1,"name":"add","attempt":1,"started":"2026-01-01T00:00:00Z","result":1}`)}
				if step == 3 {
					records = append(records, completeRecord("4"))
				}
				ops = append(ops, advanceRunOp(&edriv1.AdvanceRun{
					Id: fmt.Sprintf("run-%d", n+i), Number: numbers[i], Advance: step, Nonce: 1 << 60, Busy: step < 3, Records: records,
				}))
			}
			apply(ops)
		}
	}
}
