package client

import (
	"reflect"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

// What the leader says is read by hand: it must be what the schema says.
func TestWhatTheLeaderSaysIsReadAsTheSchemaHasIt(t *testing.T) {
	t.Parallel()
	state := &edriv1.RunState{
		Id: "o-1", Number: 7, Type: "order", Version: 2, Advance: 3, Entry: 4, Ended: true, Correlation: "c",
		History: []*edriv1.RevisionRange{{From: 1, To: 5, Since: 9}, {From: 8, To: 8, Since: 9}},
	}
	run := workflows.Run{
		ID: "o-1", Number: 7, Type: "order", Version: 2, Advance: 3, Entry: 4, Ended: true, Correlation: "c",
		History: []workflows.Range{{From: 1, To: 5, Since: 9}, {From: 8, To: 8, Since: 9}},
	}
	entries := []*edriv1.RunEntry{{Number: 5, Kind: "signal.received", Time: 6, Data: "{}"}, {Number: 6, Kind: "timer.fired", Time: 7}}
	read := []workflows.Entry{{Number: 5, Kind: "signal.received", Time: time.Unix(0, 6).UTC(), Data: []byte("{}")}, {Number: 6, Kind: "timer.fired", Time: time.Unix(0, 7).UTC()}}
	first := event.Event{ID: "7/1", Source: "/s", Type: "edri.workflow.started"}
	recorded := &edriv1.RecordedEvent{Position: 9, Revision: 1, Stream: "run/o-1", Stamp: 10, Event: &edriv1.CloudEvent{}}
	if err := proto.Unmarshal(event.AppendEvent(nil, &first), recorded.Event); err != nil {
		t.Fatal(err)
	}
	b, err := proto.Marshal(&edriv1.WorkResponse{Items: []*edriv1.WorkItem{
		{Item: &edriv1.WorkItem_Assigned{Assigned: &edriv1.AssignedRun{Run: state, Entries: entries, Events: []*edriv1.RecordedEvent{recorded}}}},
		{Item: &edriv1.WorkItem_Entries{Entries: &edriv1.RunEntries{Number: 7, Entries: entries}}},
		{Item: &edriv1.WorkItem_Advanced{Advanced: &edriv1.AdvanceResult{Number: 7, Advance: 4, Revision: 6}}},
		{Item: &edriv1.WorkItem_Advanced{Advanced: &edriv1.AdvanceResult{Number: 7, Advance: 4, Error: &edriv1.Error{Code: "run_ended", Message: "m"}}}},
		{Item: &edriv1.WorkItem_Query{Query: &edriv1.RunQuery{Id: 8, Run: state, Name: "state", Input: "1"}}},
		{Item: &edriv1.WorkItem_Drain{Drain: 7}},
		{Item: &edriv1.WorkItem_Revoked{Revoked: &edriv1.RevokedRun{Number: 7, Reason: "r"}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeWork(b)
	if err != nil {
		t.Fatal(err)
	}
	want := []workflows.Message{
		{Assign: &workflows.Assign{Run: run, Entries: read, Events: []event.Recorded{
			{Event: first, Position: 9, Revision: 1, Stream: "run/o-1", Stamp: time.Unix(0, 10).UTC()},
		}}},
		{Entries: &workflows.Entries{Number: 7, Entries: read}},
		{Advanced: &workflows.Advanced{Number: 7, Advance: 4, Revision: 6}},
		{Advanced: &workflows.Advanced{Number: 7, Advance: 4, Err: event.Errorf(event.CodeRunEnded, "m")}},
		{Query: &workflows.Query{ID: 8, Run: run, Name: "state", Input: []byte("1")}},
		{Drain: &workflows.Drain{Number: 7}},
		{Revoke: &workflows.Revoke{Number: 7, Reason: "r"}},
	}
	for i := range want {
		if i >= len(got) || !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("message %d is\n\t%+v, want\n\t%+v", i, got[i], want[i])
		}
	}
	if _, err := decodeWork([]byte{0x0a, 0x02, 0x7a, 0x00}); event.CodeOf(err) != event.CodeUnavailable {
		t.Errorf("a message that is not known: %v", err)
	}
}
