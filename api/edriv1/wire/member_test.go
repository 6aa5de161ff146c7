package wire

import (
	"bytes"
	"errors"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
)

func TestFramesOfAMemberAreThoseOfTheSchema(t *testing.T) {
	t.Parallel()
	e := &edriv1.CloudEvent{Id: "1", Source: "/s", SpecVersion: "1.0", Type: "t"}
	var ops []byte
	ops = AppendAppendOp(ops, "s", -1, marshal(t, e))
	ops = AppendRespondOp(ops, 7, marshal(t, e))
	b := AppendMember(nil, "sub", "m", 9)
	b = AppendMemberCredits(b, 300)
	b = AppendMemberHeld(b, 1, []byte("a"))
	b = AppendMemberExtend(b, 1<<40, []byte("b"))
	b = AppendMemberGiveBack(b, 3, nil)
	b = AppendMemberSettlement(b, &Settlement{ID: 4, Position: 5, Token: []byte("c"), Delay: -1, Effects: ops})
	b = AppendMemberSettlement(b, &Settlement{ID: 5, Position: 6, Token: []byte("d"), Verb: 1, Reason: "r", Delay: 0})
	b = AppendMemberSettlement(b, &Settlement{ID: 6, Position: 7, Verb: 2, Reason: "r", Delay: 1 << 40})
	zero, delay := int64(0), int64(1<<40)
	same(t, b, &edriv1.DeliverRequest{}, &edriv1.DeliverRequest{
		Subscription: "sub", Member: "m", Credits: 300, Version: 9,
		Held:     []*edriv1.Held{{Position: 1, Token: []byte("a")}},
		Extend:   []*edriv1.Held{{Position: 1 << 40, Token: []byte("b")}},
		GiveBack: []*edriv1.Held{{Position: 3}},
		Settlements: []*edriv1.Settlement{
			{Id: 4, Settle: &edriv1.Settle{Position: 5, Token: []byte("c")}, Effects: &edriv1.Commit{Ops: []*edriv1.Op{
				{Op: &edriv1.Op_Append{Append: &edriv1.Append{Stream: "s", Event: e}}},
				{Op: &edriv1.Op_Respond{Respond: &edriv1.Respond{Request: 7, Event: e}}},
			}}},
			{Id: 5, Settle: &edriv1.Settle{Position: 6, Token: []byte("d"), Verb: edriv1.Settle_NAK, Reason: "r", Delay: &zero}},
			{Id: 6, Settle: &edriv1.Settle{Position: 7, Verb: edriv1.Settle_PARK, Reason: "r", Delay: &delay}},
		},
	})
	same(t, AppendMember(nil, "sub", "", 0), &edriv1.DeliverRequest{}, &edriv1.DeliverRequest{Subscription: "sub"})
}

func TestDeliveriesAreThoseOfTheSchema(t *testing.T) {
	t.Parallel()
	recorded := &edriv1.RecordedEvent{Position: 1, Event: &edriv1.CloudEvent{Id: "1"}}
	failure := &edriv1.Error{Code: "stale_token"}
	b := marshal(t, &edriv1.DeliverResponse{
		Deliveries: []*edriv1.Delivery{{Event: recorded, Attempt: 2, Token: []byte("t"), Lease: 3, Generation: 4, RequestDeadline: 5}},
		Results: []*edriv1.SettlementResult{
			{Id: 1, Result: &edriv1.CommitResult{Position: 9}},
			{Id: 2, Error: failure},
			{Id: 3, Result: &edriv1.CommitResult{Error: failure}},
		},
		Lost: []*edriv1.Held{{Position: 6, Token: []byte("u")}},
	})
	var d Deliveries
	if err := d.Decode(b); err != nil || len(d.Deliveries) != 1 || len(d.Results) != 3 || len(d.Lost) != 1 {
		t.Fatalf("got %+v, %v", d, err)
	}
	var one Delivery
	if err := one.Decode(d.Deliveries[0]); err != nil || !bytes.Equal(one.Recorded, marshal(t, recorded)) || one.Attempt != 2 ||
		string(one.Token) != "t" || one.Lease != 3 || one.Generation != 4 || one.Deadline != 5 {
		t.Errorf("got delivery %+v, %v", one, err)
	}
	for i, failed := range []bool{false, true, true} {
		var s Settled
		if err := s.Decode(d.Results[i]); err != nil || s.ID != uint64(i+1) || (s.Error != nil) != failed {
			t.Errorf("got result %+v, %v", s, err)
		}
	}
	var h Held
	if err := h.Decode(d.Lost[0]); err != nil || h.Position != 6 || string(h.Token) != "u" {
		t.Errorf("got held %+v, %v", h, err)
	}
	if err := d.Decode(nil); err != nil || len(d.Deliveries)+len(d.Results)+len(d.Lost) != 0 {
		t.Errorf("what was decoded before is left: %+v, %v", d, err)
	}
}

func TestRequestsAreThoseOfTheSchema(t *testing.T) {
	t.Parallel()
	e := &edriv1.CloudEvent{Id: "1", Source: "/s", SpecVersion: "1.0", Type: "t"}
	b := AppendSendRequest(nil, &SendRequest{Stream: "s", Event: marshal(t, e), Timeout: 5, Call: true, Gather: 3})
	same(t, b, &edriv1.SendRequest{}, &edriv1.SendRequest{Stream: "s", Event: e, Timeout: 5, Call: true, Gather: 3})
	b = AppendSendRequest(nil, &SendRequest{Event: marshal(t, e)})
	same(t, b, &edriv1.SendRequest{}, &edriv1.SendRequest{Event: e})

	recorded := &edriv1.RecordedEvent{Position: 1, Event: e}
	b = marshal(t, &edriv1.RequestOutcome{
		Position: 1, State: edriv1.RequestOutcome_EXPIRED, Deadline: 2, Responses: []*edriv1.RecordedEvent{recorded, recorded},
	})
	var o RequestOutcome
	if err := o.Decode(b); err != nil || o.Position != 1 || o.State != 2 || o.Deadline != 2 || len(o.Responses) != 2 ||
		!bytes.Equal(o.Responses[1], marshal(t, recorded)) {
		t.Errorf("got %+v, %v", o, err)
	}
}

// Whatever comes: what the generated code takes is taken, and nothing panics.
func FuzzDeliveries(f *testing.F) {
	b, err := proto.Marshal(&edriv1.DeliverResponse{
		Deliveries: []*edriv1.Delivery{{Event: &edriv1.RecordedEvent{Position: 1}, Attempt: 2, Token: []byte("t"), Lease: 3}},
		Results:    []*edriv1.SettlementResult{{Id: 1, Result: &edriv1.CommitResult{Error: &edriv1.Error{Code: "x"}}}},
		Lost:       []*edriv1.Held{{Position: 6, Token: []byte("u")}},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte{0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		var d Deliveries
		failed := d.Decode(b)
		for _, b := range d.Deliveries {
			failed = errors.Join(failed, new(Delivery).Decode(b))
		}
		for _, b := range d.Results {
			failed = errors.Join(failed, new(Settled).Decode(b))
		}
		for _, b := range d.Lost {
			failed = errors.Join(failed, new(Held).Decode(b))
		}
		_ = new(RequestOutcome).Decode(b)
		if proto.Unmarshal(b, &edriv1.DeliverResponse{}) == nil && failed != nil {
			t.Errorf("the generated code takes what is refused here: %v", failed)
		}
	})
}
