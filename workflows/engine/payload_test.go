package engine

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

// aroundLimit are sizes up to what there is room for, and the first beyond.
var aroundLimit = []int{maxPayload - 1, maxPayload, maxPayload + 1}

// longName is the name that takes most room in JSON.
var longName = strings.Repeat(`"`, event.MaxNameBytes)

// jsonText is a JSON text of n bytes.
func jsonText(n int) string { return `"` + strings.Repeat("x", n-2) + `"` }

// sizedEvent is an event of n bytes in the JSON of CloudEvents.
func sizedEvent(t *testing.T, n int, id, typ, kind string) *edriv1.CloudEvent {
	t.Helper()
	size := func(m *edriv1.CloudEvent) int {
		b, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		e, err := event.DecodeEvent(b)
		if err != nil {
			t.Fatal(err)
		}
		return len(e.AppendJSON(nil))
	}
	e := cloudEvent(id, typ, kind, jsonText(2))
	e = cloudEvent(id, typ, kind, jsonText(2+n-size(e)))
	equal(t, "bytes of the event in JSON", size(e), n)
	return e
}

// lastOf returns the kind and data of the last event of a run's history.
func (p *plant) lastOf(id string) (kind string, data []byte) {
	p.Helper()
	events := p.events(workflows.HistoryStream(id))
	e := events[len(events)-1]
	return strings.TrimPrefix(e.Type, workflows.HistoryPrefix), e.Data
}

// An awaited event may be as large as an event may be, and with the JSON around it is more
// than an event of a history can have: then the wait says which it was.
func TestAwaitedEventsAroundTheLimit(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	for i, size := range append(aroundLimit, event.MaxDataBytes+100) {
		id := fmt.Sprint("o-", i)
		p.begin(&edriv1.StartRun{Id: id, Type: "order"})
		p.mustStep(id, awaitRecord(1, "news", "", ""))
		position := p.must(appendEvent(longName, sizedEvent(t, size, id, "news", ""))).GetAppended().GetPosition()
		p.mustStep(id, entryRecord(1))
		kind, data := p.lastOf(id)
		var got workflows.EventReceived
		if err := json.Unmarshal(data, &got); err != nil || kind != workflows.KindEvent {
			t.Fatalf("%d bytes: %s, %v", size, kind, err)
		}
		equal(t, "where it is", fmt.Sprint(got.Position, got.Stream == longName, got.Seq), fmt.Sprint(position, true, 1))
		if size <= maxPayload {
			equal(t, "bytes that came", fmt.Sprint(len(got.Event), got.Error), fmt.Sprint(size, (*workflows.Error)(nil)))
			continue
		}
		if got.Event != nil || got.Error == nil {
			t.Fatalf("%d bytes: %.200s", size, data)
		}
		var where struct {
			Stream, Type        string
			Position, Size, Max int
		}
		if err := got.Error.Decode(&where); err != nil {
			t.Fatal(err)
		}
		equal(t, "details", fmt.Sprint(where), fmt.Sprint(struct {
			Stream, Type        string
			Position, Size, Max int
		}{longName, "news", int(position), size, maxPayload}))
		equal(t, "message", got.Error.Error(), fmt.Sprintf("edri.too_large: the event of type news at position %d, stream %s, has %d bytes in JSON; a history can take %d", position, longName, size, maxPayload))
		equal(t, "final", got.Error.Final, true)
	}
}

// So may a response: the request fails with a problem that says so.
func TestResponsesAroundTheLimit(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	for i, size := range aroundLimit {
		id := fmt.Sprint("o-", i)
		number := p.begin(&edriv1.StartRun{Id: id, Type: "order"})
		p.mustStep(id, requestRecord(1, cloudEvent("q"+id, "ask", event.KindRequest, ""), time.Minute))
		// What the router adds to a response is a part of it.
		answer := sizedEvent(t, size, id, "answer", event.KindResponse)
		r := p.must(respondOp(p.request(number, 1), answer)).GetResponded()
		p.mustStep(id, entryRecord(1))
		kind, data := p.lastOf(id)
		var got workflows.ResponseReceived
		if err := json.Unmarshal(data, &got); err != nil || kind != workflows.KindResponse {
			t.Fatalf("%d bytes: %s, %v, %v", size, kind, err, r)
		}
		e, err := event.DecodeJSON(got.Response)
		if err != nil {
			t.Fatal(err)
		}
		if size <= maxPayload {
			equal(t, "bytes that came", fmt.Sprint(len(got.Response), e.DataContentType), fmt.Sprint(size, "application/json"))
			continue
		}
		equal(t, "the problem", string(e.Data), fmt.Sprintf(`{"type":"edri.too_large","title":"the response is larger than a history can take","status":413,"detail":"the event at position %d has %d bytes in JSON, and not %d"}`, got.Position, size, maxPayload))
	}
}

// What others send is refused where it enters, so that what was accepted is never too much,
// in whatever event of a history it comes to stand.
func TestSignalsAndUpdatesAroundTheLimit(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	for i, size := range aroundLimit {
		id, text := fmt.Sprint("o-", i), jsonText(size)
		p.begin(&edriv1.StartRun{Id: id, Type: "order"})
		ops := []*edriv1.Op{signalRun(id, longName, text), updateRun(id, longName, longName, text)}
		if size > maxPayload {
			for _, op := range ops {
				equal(t, "one byte more", p.refused(op), event.CodeTooLarge)
			}
			continue
		}
		for _, op := range append(ops, ops[0], updateRun(id, "another", longName, text)) {
			p.must(op)
		}
		p.mustStep(id, entryRecord(1), entryRecord(2))
		p.must(terminateRun(id, ""))
		equal(t, "history", p.history(id, 0), "started signal.received update.accepted terminated unhandled unhandled")
		_, data := p.lastOf(id)
		equal(t, "the last one is whole", len(data) > size, true)
	}
}

// A result goes into the history of the run, and of its parent.
func TestResultsAroundTheLimit(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	for i, size := range aroundLimit {
		parent, child := fmt.Sprint("p-", i), fmt.Sprint("c-", i)
		p.begin(&edriv1.StartRun{Id: parent, Type: "order"})
		p.mustStep(parent, childRecord(1, &edriv1.StartRun{Id: child, Type: "order"}, 0))
		step := ownRecord(workflows.KindStepCompleted, `{"seq":1,"name":`+string(event.AppendQuoted(nil, longName))+`,"attempt":1000,"result":`+jsonText(size)+`}`)
		p.mustStep(child, step)
		if size > maxPayload {
			end := completeRecord("1")
			end.GetEnd().Result = jsonText(size)
			equal(t, "one byte more", p.refused(advanceRunOp(&edriv1.AdvanceRun{Id: child, Advance: 1, Records: []*edriv1.RunRecord{end}})), event.CodeTooLarge)
			continue
		}
		p.mustStep(child, completeRecord(jsonText(size)))
		p.mustStep(parent, entryRecord(1))
		kind, data := p.lastOf(parent)
		var got workflows.ChildEnded
		if err := json.Unmarshal(data, &got); err != nil || kind != workflows.KindChildCompleted {
			t.Fatalf("%d bytes: %s, %v", size, kind, err)
		}
		equal(t, "bytes that came", len(got.Result), size)
	}
}
