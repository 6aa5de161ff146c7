package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

const (
	closeTerminated = edriv1.StartChildRun_TERMINATE
	closeCanceled   = edriv1.StartChildRun_CANCEL
	closeAbandoned  = edriv1.StartChildRun_ABANDON
)

func TestEndsOfChildrenReachTheirParent(t *testing.T) {
	t.Parallel()
	p, now := setup(t)
	parent := p.begin(&edriv1.StartRun{Id: "p", Type: "order", Correlation: "all"})
	p.begin(&edriv1.StartRun{Id: "taken", Type: "order"})
	p.mustStep("p",
		childRecord(1, &edriv1.StartRun{Id: "c1", Type: "order", Input: "1"}, 0), childRecord(2, &edriv1.StartRun{Id: "c2", Type: "order"}, 0),
		childRecord(3, &edriv1.StartRun{Id: "c3", Type: "order"}, 0), childRecord(4, &edriv1.StartRun{Id: "c4", Type: "order", Timeout: 1000}, 0),
		childRecord(5, &edriv1.StartRun{Id: "taken", Type: "order"}, 0), childRecord(6, &edriv1.StartRun{Id: "c6", Type: "unknown"}, 0),
		childRecord(7, &edriv1.StartRun{Id: "c7", Type: "order", Attributes: `{"color":1}`}, 0),
		childRecord(8, &edriv1.StartRun{Id: "p", Type: "order", Conflict: edriv1.StartRun_TERMINATE}, 0),
		childRecord(9, &edriv1.StartRun{Id: "taken", Type: "order", Conflict: edriv1.StartRun_USE}, 0))
	equal(t, "open", p.run("p").Open, 4)
	equal(t, "correlation", p.run("c1").Correlation, "all")
	equal(t, "parent", p.detailsOf(p.run("c1").Number).Parent, fmt.Sprint("p/", parent))
	p.mustStep("c1", completeRecord(`{"a":1}`))
	p.mustStep("c2", failRecord(`{"message":"no"}`))
	p.must(terminateRun("c3", "why"))
	*now += 1000
	p.ring()
	refused := func(seq int, typ, message string) string {
		return fmt.Sprintf(`child.failed {"seq":%d,"status":"failed","error":{"type":"edri.%s","message":%q}}`, seq, typ, message)
	}
	taken, parentName := fmt.Sprintf("run taken/%d is under way", p.run("taken").Number), fmt.Sprintf("run p/%d is under way", parent)
	equal(t, "inbox", p.inbox("p"), "1 "+refused(5, "exists", taken)+
		" | 2 "+refused(6, "not_found", "there is no workflow unknown: no worker has ever defined it")+
		" | 3 "+refused(7, "invalid", `attributes: workflow order declares no attribute "color"`)+
		" | 4 "+refused(8, "exists", parentName)+" | 5 "+refused(9, "exists", taken)+
		` | 6 child.completed {"seq":1,"status":"completed","result":{"a":1}}`+
		` | 7 child.failed {"seq":2,"status":"failed","error":{"message":"no"}}`+
		` | 8 child.failed {"seq":3,"status":"terminated","error":{"type":"edri.terminated","message":"why"}}`+
		` | 9 child.failed {"seq":4,"status":"timed_out","error":{"type":"edri.timeout","message":"the run took longer than it may"}}`)
	equal(t, "open at last", p.run("p").Open, 0)
}

func TestChildIsCanceled(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	p.begin(&edriv1.StartRun{Id: "p", Type: "order"})
	p.mustStep("p", childRecord(1, &edriv1.StartRun{Id: "c", Type: "order"}, 0))
	cancel := ownRecord(workflows.KindChildCanceled, `{"seq":1}`)
	cancel.Do = &edriv1.RunRecord_CancelChild{CancelChild: &edriv1.CancelChildRun{Seq: 1, Reason: "late"}}
	p.mustStep("p", cancel)
	p.mustStep("p", cancel)
	equal(t, "inbox of the child", p.inbox("c"), `1 cancel.requested {"reason":"late"}`)
	end := ownRecord(workflows.KindCanceled, `{}`)
	end.Do = &edriv1.RunRecord_End{End: &edriv1.EndRun{Status: edriv1.RunStatus_CANCELED, Error: `{"message":"late"}`}}
	p.mustStep("c", entryRecord(1), end)
	equal(t, "inbox of the parent", p.inbox("p"), `1 child.failed {"seq":1,"status":"canceled","error":{"message":"late"}}`)
	p.mustStep("p", cancel) // it has ended: nothing
}

// A child that goes on as another run is the parent's still, and so is one that is reset.
func TestParentKeepsChildrenThatGoOn(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	p.begin(&edriv1.StartRun{Id: "p", Type: "order"})
	p.mustStep("p", childRecord(1, &edriv1.StartRun{Id: "c", Type: "order"}, 0))
	first := p.run("c").Number
	p.mustStep("c", continueRecord(&edriv1.StartRun{Input: "2"}))
	p.check1(t)
	p.mustStep("c", ownRecord(workflows.KindStepCompleted, "1"))
	p.must(resetRun("c", 0, uint64(p.run("c").History[0].From)))
	p.check1(t)
	equal(t, "inbox while it goes on", p.inbox("p"), "")
	equal(t, "parent", p.detailsOf(p.run("c").Number).Parent, p.detailsOf(first).Parent)
	p.mustStep("c", completeRecord("3"))
	equal(t, "inbox", p.inbox("p"), `1 child.completed {"seq":1,"status":"completed","result":3}`)
	// What is reset when the parent knows its end is nobody's.
	p.must(resetRun("c", 0, uint64(p.run("c").History[0].From)))
	p.mustStep("c", completeRecord("4"))
	equal(t, "inbox after that", p.inbox("p"), `1 child.completed {"seq":1,"status":"completed","result":3}`)
}

func TestChildrenAreClosedAsTheirParentSaid(t *testing.T) {
	t.Parallel()
	for what, end := range map[string]func(p *plant){
		"terminated": func(p *plant) { p.must(terminateRun("p", "")) },
		"completed":  func(p *plant) { p.mustStep("p", completeRecord("1")) },
		"continued":  func(p *plant) { p.mustStep("p", continueRecord(&edriv1.StartRun{})) },
		"deleted at once": func(p *plant) {
			number := p.run("p").Number
			if r := p.do(terminateRun("p", ""), deleteRun("p", number)); r.Error != nil {
				p.Fatalf("%v", r.Error)
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			p, _ := setup(t)
			p.begin(&edriv1.StartRun{Id: "p", Type: "order"})
			p.mustStep("p", childRecord(1, &edriv1.StartRun{Id: "c1", Type: "order"}, closeTerminated),
				childRecord(2, &edriv1.StartRun{Id: "c2", Type: "order"}, closeCanceled), childRecord(3, &edriv1.StartRun{Id: "c3", Type: "order"}, closeAbandoned))
			p.mustStep("c1", childRecord(1, &edriv1.StartRun{Id: "grandchild", Type: "order"}, closeTerminated))
			end(p)
			// It goes on before it is reached.
			p.mustStep("c1", continueRecord(&edriv1.StartRun{}))
			p.check1(t)
			p.ring()
			equal(t, "c1", p.run("c1").Status, workflows.Terminated)
			equal(t, "grandchild", p.run("grandchild").Status, workflows.Terminated)
			equal(t, "c2", p.inbox("c2"), `1 cancel.requested {"reason":"the parent has ended"}`)
			equal(t, "c3", p.inbox("c3"), "")
			p.mustStep("c3", completeRecord("1"))
			equal(t, "rows 'c'", p.count(kindChild), 0)
		})
	}
}

// count returns how many rows of a kind there are.
func (p *plant) count(kind byte) int {
	p.Helper()
	v := p.core.View()
	defer v.Close()
	it := v.Scan(machineName, []byte{kind}, []byte{kind + 1}, false)
	defer it.Close()
	n := 0
	for it.Next() {
		n++
	}
	return n
}

func TestManyChildrenAreClosedOverSeveralEntries(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	p.begin(&edriv1.StartRun{Id: "p", Type: "order"})
	for from := uint64(1); from <= maxOpen; from += 500 {
		var records []*edriv1.RunRecord
		for seq := from; seq < from+500; seq++ {
			records = append(records, childRecord(seq, &edriv1.StartRun{Id: fmt.Sprint("c", seq), Type: "order"}, closeTerminated))
		}
		p.mustStep("p", records...)
	}
	for seq := uint64(1); seq <= 3; seq++ { // these cost more
		id := fmt.Sprint("c", seq)
		for range 500 {
			p.must(signalRun(id, "s", ""))
		}
	}
	p.must(terminateRun("p", ""))
	fire := internal(16, []byte{8, 0xe8, 7})
	var left []int
	for range 5 {
		p.check1(t)
		p.raw(fire)
		left = append(left, p.count(kindChild))
	}
	equal(t, "children after each entry", fmt.Sprint(left), "[1998 1498 498 0 0]")
	equal(t, "the last", p.run("c2000").Status, workflows.Terminated)
}

func TestRequests(t *testing.T) {
	t.Parallel()
	p, now := setup(t)
	number := p.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
	ask := func(id string) *edriv1.CloudEvent { return cloudEvent(id, "ask", event.KindRequest, `"<?>"`) }
	p.mustStep("o-1", requestRecord(1, ask("q1"), time.Minute), requestRecord(2, ask("q2"), time.Minute),
		requestRecord(3, ask("q3"), time.Minute), requestRecord(4, ask("q4"), time.Minute))
	equal(t, "one that is there", p.step("o-1", requestRecord(5, ask("q1"), time.Minute)).GetError().GetCode(), "exists")
	first, third, fourth := p.request(number, 1), p.request(number, 3), p.request(number, 4)
	p.must(respondOp(first, cloudEvent("a1", "answer", event.KindResponse, `{"a":"<b>"}`)))
	equal(t, "in the same commit", p.inbox("o-1"), fmt.Sprintf(`1 request.completed {"seq":1,"position":%d,"response":{"specversion":"1.0","id":"a1","source":"tests","type":"answer","datacontenttype":"application/json","edrikind":"response","data":{"a":"<b>"}}}`, first+7))
	drop := ownRecord(workflows.KindRequestDropped, `{"seq":3}`)
	drop.Do = &edriv1.RunRecord_DropRequest{DropRequest: 3}
	p.mustStep("o-1", entryRecord(1), drop)
	p.mustStep("o-1", drop)
	equal(t, "response to what was dropped", p.must(respondOp(third, cloudEvent("a3", "answer", event.KindResponse, ""))).GetResponded().GetCode(), "deadline_exceeded")
	equal(t, "open", p.run("o-1").Open, 2)
	p.must(pauseRun("o-1", true, "")) // it comes all the same
	*now += int64(time.Minute)
	p.raw(internal(16, []byte{8, 0xe8, 7}))
	equal(t, "inbox", p.inbox("o-1"), `2 request.expired {"seq":2} | 3 request.expired {"seq":4}`)
	p.must(pauseRun("o-1", false, ""))
	// The number may be used again, for another attempt.
	p.mustStep("o-1", entryRecord(2), entryRecord(3), requestRecord(4, ask("q4b"), time.Minute))
	again := p.request(number, 4)
	equal(t, "response to the first attempt", p.must(respondOp(fourth, cloudEvent("a4", "answer", event.KindResponse, ""))).GetResponded().GetCode(), "deadline_exceeded")
	p.must(terminateRun("o-1", ""))
	equal(t, "response after the end", p.must(respondOp(again, cloudEvent("a4b", "answer", event.KindResponse, ""))).GetResponded().GetCode(), "deadline_exceeded")
	*now += int64(2 * time.Hour)
	p.ring()
}

// Rows of children from before they said where their parent's history begins are read.
func TestDetailsOfBothLayouts(t *testing.T) {
	t.Parallel()
	const first = "\x01\x05\x01m\x01n\x03p/1"
	values := string(appendValues(nil, nil))
	for _, c := range []struct {
		row  string
		root event.Position
	}{{first + values, 0}, {"\x02" + first[1:] + "\xac\x02" + values, 300}} {
		d, err := parseDetails([]byte(c.row))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "details", fmt.Sprintf("%d %s %s %s %d", d.timeout, d.memo, d.note, d.parent, d.root), fmt.Sprint("5 m n p/1 ", c.root))
		equal(t, "row", string(d.append(nil)), c.row)
	}
	if _, err := parseDetails([]byte("\x03" + first[1:] + values)); err == nil {
		t.Error("a layout that there is not was read")
	}
}
