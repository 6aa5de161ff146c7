package engine

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

func TestWaitsForEvents(t *testing.T) {
	t.Parallel()
	with := func(change func(*edriv1.CloudEvent)) *edriv1.CloudEvent {
		e := cloudEvent("e", "news", "", `{"order":{"id":"7","n":1.50,"paid":true,"none":null},"a/b":["x","y~"],"":"empty"}`)
		e.Attributes["region"] = attr("eu")
		e.Attributes["subject"] = attr("sub")
		if change != nil {
			change(e)
		}
		return e
	}
	for _, test := range []struct {
		match, filter string
		event         *edriv1.CloudEvent
		want          bool
	}{
		{"", "", with(nil), true}, {"{}", "", with(nil), true}, {"null", "", with(nil), true},
		{"", "", with(func(e *edriv1.CloudEvent) { e.Type = "news.more" }), false},
		{"", `{"exact":{"region":"eu"}}`, with(nil), true}, {"", `{"exact":{"region":"us"}}`, with(nil), false},
		{`{"region":"eu"}`, "", with(nil), true}, {`{"region":"us"}`, "", with(nil), false}, {`{"zone":"eu"}`, "", with(nil), false},
		{`{"subject":"sub","source":"tests","id":"e"}`, "", with(nil), true}, {`{"subject":"sub","source":"tests","id":"f"}`, "", with(nil), false},
		{`{"stream":"s"}`, "", with(nil), true}, {`{"stream":"t"}`, "", with(nil), false},
		{`{"/order/id":"7"}`, "", with(nil), true}, {`{"/order/id":"8"}`, "", with(nil), false}, {`{"/order/n":"1.50"}`, "", with(nil), true},
		{`{"/order/paid":"true"}`, "", with(nil), true}, {`{"/order/none":""}`, "", with(nil), false}, {`{"/order":""}`, "", with(nil), false},
		{`{"/a~1b/0":"x","/a~1b/1":"y~"}`, "", with(nil), true}, {`{"/a~1b/2":"x"}`, "", with(nil), false}, {`{"/a~1b/-1":"x"}`, "", with(nil), false},
		{`{"/":"empty"}`, "", with(nil), true}, {`{"/order/id":"7","region":"us"}`, "", with(nil), false},
		{`{"/order/id":"7"}`, "", with(func(e *edriv1.CloudEvent) { e.Data = nil }), false},
		{`{"/order/id":"7"}`, "", with(func(e *edriv1.CloudEvent) { e.Data = &edriv1.CloudEvent_BinaryData{BinaryData: []byte("{")} }), false},
	} {
		t.Run(test.match+test.filter+test.event.Type, func(t *testing.T) {
			t.Parallel()
			p, _ := setup(t)
			p.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
			p.mustStep("o-1", awaitRecord(1, "news", test.match, test.filter))
			equal(t, "open", fmt.Sprint(p.detailsOf(p.run("o-1").Number).Open), "[{2 1 0 news}]")
			p.check1(t)
			position := p.must(appendEvent("s", test.event)).GetAppended().GetPosition()
			p.must(appendEvent("s", cloudEvent("later", "news", "", "")))
			got := p.inbox("o-1")
			begins := fmt.Sprintf(`1 event.received {"seq":1,"position":%d,"stream":"s","event":{`, position)
			if strings.HasPrefix(got, begins) != test.want {
				t.Errorf("inbox %q", got)
			}
		})
	}
}

func TestWaitsAreChecked(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	for _, r := range []*edriv1.RunRecord{
		awaitRecord(0, "news", "", ""), awaitRecord(1, "", "", ""), awaitRecord(1, "news", "[]", ""), awaitRecord(1, "news", `{"":"x"}`, ""),
		awaitRecord(1, "news", `{"a":1}`, ""), awaitRecord(1, "news", `{"a":"`+strings.Repeat("x", 256)+`"}`, ""), awaitRecord(1, "news", "", "{"),
		awaitRecord(1, "news", `{"a":"b"}`+strings.Repeat(" ", maxWaited), ""), awaitRecord(1, "news", `{"a":"\u0000"}`, ""),
	} {
		if got := p.refused(advanceRunOp(&edriv1.AdvanceRun{Id: "o", Advance: 1, Records: []*edriv1.RunRecord{r}})); got == "" {
			t.Errorf("accepted: %.200v", r)
		}
	}
}

// One type may be waited for by several names, whose waits an event ends alike.
func TestEventEndsAllWaitsForIt(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	matches := []string{"", `{"subject":"x"}`, `{"/id":"7"}`, `{"/id":"8"}`, `{"/other":"7"}`}
	for i, match := range matches {
		id := fmt.Sprint("o-", i)
		p.begin(&edriv1.StartRun{Id: id, Type: "order"})
		p.mustStep(id, awaitRecord(1, "news", match, ""), awaitRecord(2, "news", match, ""))
	}
	e := cloudEvent("e", "news", "", `{"id":7}`)
	e.Attributes["subject"] = attr("x")
	p.must(appendEvent("s", e))
	var got []uint64
	for i := range matches {
		got = append(got, p.run(fmt.Sprint("o-", i)).Unread)
	}
	equal(t, "entries", fmt.Sprint(got), "[2 2 2 0 0]")
	drop := ownRecord(workflows.KindEventDropped, `{"seq":1}`)
	drop.Do = &edriv1.RunRecord_DropEvent{DropEvent: 1}
	p.mustStep("o-3", drop)
	p.mustStep("o-3", drop)
	equal(t, "open", p.run("o-3").Open, 1)
	p.check1(t)
	p.must(terminateRun("o-3", ""))
	p.must(terminateRun("o-4", ""))
	equal(t, "waits at last", p.count(kindWanted)+p.count(kindWants)+p.count(kindWaiter), 0)
}

// An event before the wait, in its commit or not, is none that was waited for.
func TestWaitIsForEventsBehindIt(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	p.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
	news := func(id string) *edriv1.Op { return appendEvent("s", cloudEvent(id, "news", "", "")) }
	await := func() *edriv1.Op {
		r := p.run("o-1")
		return advanceRunOp(&edriv1.AdvanceRun{Id: "o-1", Advance: r.Advance + 1, Nonce: r.Advance + 9, Records: []*edriv1.RunRecord{awaitRecord(r.Advance+1, "news", "", "")}})
	}
	p.must(news("1"))
	if r := p.do(news("2"), await()); r.Error != nil {
		t.Fatal(r.Error)
	}
	equal(t, "behind the event", p.run("o-1").Unread, 0)
	p.must(news("2")) // a duplicate is no event
	equal(t, "after a duplicate", p.run("o-1").Unread, 0)
	if r := p.do(await(), news("3")); r.Error != nil {
		t.Fatal(r.Error)
	}
	equal(t, "before the event", p.run("o-1").Unread, 2)
	// Taken back with their commit.
	equal(t, "a commit that fails", p.do(await(), news("4"), terminateRun("none", "")).GetError().GetCode(), "check_failed")
	equal(t, "after it", p.run("o-1").Unread, 2)
	equal(t, "open", p.run("o-1").Open, 0)
	p.must(news("5"))
	equal(t, "when none waits", p.run("o-1").Unread, 2)
	// By whomever it is appended.
	p.must(await())
	p.must(&edriv1.Op{Op: &edriv1.Op_SendRequest{SendRequest: &edriv1.SendRequest{
		Stream: "questions", Event: cloudEvent("6", "news", event.KindRequest, ""), Timeout: int64(time.Minute),
	}}})
	equal(t, "an event of the router", p.run("o-1").Unread, 3)
}

// What a run's own operation appends it may wait for, too.
func TestRunWaitsForItsOwnEvents(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	number := p.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
	p.mustStep("o-1", awaitRecord(1, "ask", "", ""), awaitRecord(2, "edri.workflow.paused", "", ""), awaitRecord(3, "edri.workflow.timer.set", "", ""),
		requestRecord(4, cloudEvent("q", "ask", event.KindRequest, ""), time.Minute), timerRecord(5, time.Minute))
	equal(t, "open", p.run("o-1").Open, 3)
	equal(t, "entries", p.run("o-1").Unread, 2)
	p.check1(t)
	p.must(pauseRun("o-1", true, ""))
	equal(t, "entries when it is paused", p.run("o-1").Unread, 3)
	p.check1(t)
	p.mustStep("o-1", awaitRecord(1, "edri.workflow.terminated", "", ""), awaitRecord(2, "edri.workflow.unhandled", "", ""))
	p.must(signalRun("o-1", "s", ""))
	p.must(terminateRun("o-1", ""))
	p.check1(t)
	equal(t, "history", p.history("o-1", number), "started event.awaited event.awaited event.awaited request.sent timer.set paused event.awaited event.awaited terminated unhandled")
}

// A parent waits for events of its child's history and for its end, in one operation.
func TestParentWaitsForItsChildsEvents(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	p.begin(&edriv1.StartRun{Id: "p", Type: "order"})
	p.mustStep("p", awaitRecord(1, "edri.workflow.terminated", `{"subject":"c"}`, ""), awaitRecord(2, "edri.workflow.started", `{"subject":"c"}`, ""),
		childRecord(3, &edriv1.StartRun{Id: "c", Type: "order"}, 0))
	equal(t, "entries", p.run("p").Unread, 1)
	p.mustStep("p", entryRecord(1), childRecord(4, &edriv1.StartRun{Id: "c", Type: "order", Conflict: edriv1.StartRun_TERMINATE}, 0))
	equal(t, "entries at its end", p.run("p").Unread, 2)
	equal(t, "open", p.run("p").Open, 1)
}

func TestManyRunsWaitForOneEvent(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	const n = 1500
	for i := range n {
		id := fmt.Sprint("o-", i)
		p.begin(&edriv1.StartRun{Id: id, Type: "order"})
		p.mustStep(id, awaitRecord(1, "news", `{"/k":"v"}`, ""))
	}
	unread := func() (n uint64) {
		for i := range p.count(kindRun) {
			n += p.run(fmt.Sprint("o-", i)).Unread
		}
		return n
	}
	p.must(appendEvent("s", cloudEvent("1", "news", "", `{"k":"v"}`)))
	equal(t, "in its commit", unread(), maxMatched)
	p.must(terminateRun("o-1499", ""))
	// Another event is behind the first for those who have not got it yet.
	second := p.must(appendEvent("s", cloudEvent("2", "news", "", `{"k":"v"}`))).GetAppended().GetPosition()
	// One that begins to wait before the rest is reached was not meant.
	p.begin(&edriv1.StartRun{Id: "o-1500", Type: "order"})
	p.mustStep("o-1500", awaitRecord(1, "news", `{"/k":"v"}`, ""))
	p.reopen()
	p.ring()
	equal(t, "at last", unread(), n-1)
	equal(t, "the late one", p.run("o-1500").Unread, 0)
	for i := range n - 1 {
		if got := p.inbox(fmt.Sprint("o-", i)); strings.Contains(got, fmt.Sprintf(`"position":%d,`, second)) {
			t.Fatalf("the second event came before the first: %s", got)
		}
	}
	p.must(appendEvent("s", cloudEvent("3", "news", "", `{"k":"v"}`)))
	equal(t, "the late one at last", p.run("o-1500").Unread, 1)
}

// What one event puts into inboxes in one transaction is bounded.
func TestLargeEventReachesManyRunsOverSeveralEntries(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	for i := range 40 {
		id := fmt.Sprint("o-", i)
		p.begin(&edriv1.StartRun{Id: id, Type: "order"})
		p.mustStep(id, awaitRecord(1, "news", "", ""))
	}
	p.must(appendEvent("s", cloudEvent("1", "news", "", `"`+strings.Repeat("x", 1_000_000)+`"`)))
	second := p.must(appendEvent("s", cloudEvent("2", "news", "", ""))).GetAppended().GetPosition()
	var left []int
	for range 4 {
		left = append(left, p.count(kindWaiter))
		p.raw(internal(16, []byte{8, 0xe8, 7}))
	}
	equal(t, "waits after each entry", fmt.Sprint(left), "[23 6 0 0]")
	for i := range 40 {
		if strings.Contains(p.inbox(fmt.Sprint("o-", i)), fmt.Sprintf(`"position":%d,`, second)) {
			t.Fatalf("o-%d has the second event, and not the first", i)
		}
	}
}

// However many names a type is waited for by.
func TestTypeIsWaitedForByManyNames(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	for i := range 3 {
		id := fmt.Sprint("o-", i)
		p.begin(&edriv1.StartRun{Id: id, Type: "order"})
		var records []*edriv1.RunRecord
		for j := range 500 {
			records = append(records, awaitRecord(uint64(j+1), "news", fmt.Sprintf(`{"/n%04d":"1"}`, i*500+j), ""))
		}
		p.mustStep(id, records...)
	}
	p.must(appendEvent("s", cloudEvent("1", "news", "", `{"n1499":1}`)))
	equal(t, "the last name", p.run("o-2").Unread, 1)
}

func TestWaiterKeysAreTakenApart(t *testing.T) {
	t.Parallel()
	for _, texts := range [][3]string{{"a", "b", "c"}, {"", "", ""}, {"a\x00", "\x00\x01", "\xff"}} {
		key := append(waiterPrefix([]byte(texts[0]), texts[1], texts[2]), pair(1, 2)...)
		typ, name, want, ok := splitWaiter(key)
		if !ok || typ != texts[0] || name != texts[1] || want != texts[2] {
			t.Errorf("%q: %q %q %q %v", texts, typ, name, want, ok)
		}
	}
	for _, bad := range []string{"", "w", "w0123456789abcdef", "wa\x00\x01b\x00\x010123456789abcdef", "wa\x00\x01b\x00\x01c\x00\x01d0123456789abcdef"} {
		if _, _, _, ok := splitWaiter([]byte(bad)); ok {
			t.Errorf("taken apart: %q", bad)
		}
	}
}
