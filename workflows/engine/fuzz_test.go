package engine

import (
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// What a node accepts every node can apply, whatever it is: at most it is refused.
func FuzzWhatIsAcceptedIsApplied(f *testing.F) {
	end := completeRecord("1")
	end.GetEnd().Insist = true
	for _, ops := range [][]*edriv1.Op{
		{signalRun("o", "s", `{"a":[1,"b"]}`), updateRun("o", "u", "n", "1"), cancelRunOp("o", "why")},
		{pauseRun("o", true, "why"), retryRun("o"), resetRun("o", 0, 1)}, {terminateRun("o", "why"), deleteRun("o", 0)},
		{startRunOp(&edriv1.StartRun{Id: "p", Type: "order", Attributes: `{"total":1,"due":"2026-01-01T00:00:00Z"}`, Timeout: 5, Delay: 5, Correlation: "c"})},
		{startRunOp(&edriv1.StartRun{Id: "o", Type: "order", Conflict: edriv1.StartRun_TERMINATE, Signal: &edriv1.RunSignal{Name: "s"}})},
		{defineOp(&edriv1.DefineWorkflow{Name: "other", Version: 1, RetentionCount: 1}), startRunOp(&edriv1.StartRun{Id: "q", Type: "other"})},
		{advanceRunOp(&edriv1.AdvanceRun{Id: "o", Advance: 1, Busy: true, Block: &edriv1.RunBlock{Reason: "b", Details: "1"}, Records: []*edriv1.RunRecord{
			entryRecord(1), timerRecord(1, time.Second), awaitRecord(2, "edri.workflow.paused", `{"subject":"o"}`, `{"exact":{"source":"x"}}`),
			requestRecord(3, cloudEvent("q", "ask", event.KindRequest, "1"), time.Second), childRecord(4, &edriv1.StartRun{Id: "c", Type: "order"}, 1),
			attributesRecord(`{"customer":"x"}`), finishRecord("u", "1"),
		}}), pauseRun("o", true, "")},
		{advanceRunOp(&edriv1.AdvanceRun{Id: "o", Advance: 1, Records: []*edriv1.RunRecord{rejectRecord(1, "1"), end}})},
		{advanceRunOp(&edriv1.AdvanceRun{Id: "o", Advance: 1, Records: []*edriv1.RunRecord{continueRecord(&edriv1.StartRun{Memo: "1"}, &edriv1.RunSignal{Name: "s"})}})},
		{
			advanceRunOp(&edriv1.AdvanceRun{Id: "o", Advance: 1, Carry: []*edriv1.RunSignal{{Name: "s"}, {Name: "t", Input: "1"}}, Unreceived: 3, UnreceivedBytes: 9}),
			advanceRunOp(&edriv1.AdvanceRun{Id: "o", Advance: 2, Records: []*edriv1.RunRecord{entryRecord(1), carriedRecord(2)}}),
		},
	} {
		var b []byte
		for _, op := range ops {
			one, err := proto.Marshal(op)
			if err != nil {
				f.Fatal(err)
			}
			b = protowire.AppendBytes(protowire.AppendTag(b, 7, protowire.BytesType), one)
		}
		f.Add(b)
	}
	entrance := newPlant(f, new(int64)).cfg.Machines
	f.Fuzz(func(t *testing.T, commit []byte) {
		info, err := entrance.CheckCommit(commit, event.DefaultLimits())
		if err != nil {
			return
		}
		p, now := setup(t)
		p.begin(&edriv1.StartRun{Id: "o", Type: "order"})
		p.must(signalRun("o", "first", ""))
		for range 2 {
			p.raw(consensus.SealCommit(nil, commit, info, 0))
			p.check1(t)
		}
		*now += int64(time.Hour)
		p.ring()
		p.check1(t)
		p.reopen()
		*now += int64(200 * 365 * 24 * time.Hour)
		p.ring()
	})
}
