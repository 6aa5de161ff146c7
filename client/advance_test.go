package client

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/workflows"
)

// What an advance says of signals goes to the cluster as it is: nothing else of it shows
// whether it did, until there are too many.
func TestAdvanceSaysWhatBecomesOfSignals(t *testing.T) {
	t.Parallel()
	end := workflows.End{Status: workflows.Continued, Next: &workflows.Start{Type: "t"}, Signals: []workflows.Signal{{Name: "a"}}, Carried: 5, Insist: true}
	got, err := advanceMessage(&workflows.Advance{
		Run: "r", Number: 1, Advance: 2, Nonce: 3,
		Carry: []workflows.Signal{{Name: "b", Input: []byte("1")}, {Name: "c"}}, CarryFrom: 4, Unreceived: 6, UnreceivedBytes: 7,
		Records: []workflows.Record{{Entry: 8, Do: nil}, {Kind: workflows.KindContinued, Do: end}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := &edriv1.AdvanceRun{
		Id: "r", Number: 1, Advance: 2, Nonce: 3,
		Carry: []*edriv1.RunSignal{{Name: "b", Input: "1"}, {Name: "c"}}, CarryFrom: 4, Unreceived: 6, UnreceivedBytes: 7,
		Records: []*edriv1.RunRecord{{Entry: 8}, {Kind: workflows.KindContinued, Time: got.Records[1].Time, Do: &edriv1.RunRecord_End{End: &edriv1.EndRun{
			Status: edriv1.RunStatus_CONTINUED, Next: &edriv1.StartRun{Type: "t"}, Signals: []*edriv1.RunSignal{{Name: "a"}}, Carried: 5, Insist: true,
		}}}},
	}
	if !proto.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}
