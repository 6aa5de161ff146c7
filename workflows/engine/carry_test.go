package engine

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

// ahead sends signals ahead of a run's end, behind as many as from says.
func (p *plant) ahead(id string, from uint64, names ...string) *edriv1.CommitResult {
	p.Helper()
	r := p.run(id)
	a := &edriv1.AdvanceRun{Id: id, Number: r.Number, Advance: r.Advance + 1, Nonce: r.Advance + 1000, Busy: true, CarryFrom: from}
	for _, name := range names {
		a.Carry = append(a.Carry, &edriv1.RunSignal{Name: name})
	}
	return p.do(advanceRunOp(a))
}

func (p *plant) mustAhead(id string, from uint64, names ...string) {
	p.Helper()
	if r := p.ahead(id, from, names...); r.Error != nil {
		p.Fatalf("carry of %s: %v", id, r.Error)
	}
}

// carriedRecord continues with what went ahead.
func carriedRecord(carried uint64) *edriv1.RunRecord {
	r := continueRecord(&edriv1.StartRun{Input: "1"})
	r.GetEnd().Carried = carried
	return r
}

// What went ahead is the beginning of the next run's inbox, before what the run before had
// not consumed and what came after.
func TestSignalsGoAheadOfTheEnd(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	first := p.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
	p.mustAhead("o-1", 0, "a", "b")
	p.must(signalRun("o-1", "late", "1"))
	p.must(updateRun("o-1", "u", "add", ""))
	p.mustAhead("o-1", 2, "c")
	p.reopen()
	p.check1(t)
	p.mustStep("o-1", carriedRecord(3))
	p.must(signalRun("o-1", "new", ""))
	r := p.run("o-1")
	equal(t, "the run", fmt.Sprint(r.First, r.Unread, r.Entry), fmt.Sprint(first, 6, 0))
	equal(t, "inbox", p.inbox("o-1"), `1 signal.received {"name":"a"} | 2 signal.received {"name":"b"} | 3 signal.received {"name":"c"} | `+
		`4 signal.received {"name":"late","input":1} | 5 update.accepted {"id":"u","name":"add"} | 6 signal.received {"name":"new"}`)
	equal(t, "history", p.history("o-1", 0), "started")
	// And again, before they are taken.
	p.mustStep("o-1", entryRecord(1), continueRecord(&edriv1.StartRun{}))
	equal(t, "inbox of the third", p.inbox("o-1")[:strings.Index(p.inbox("o-1"), " | 3")], `1 signal.received {"name":"b"} | 2 signal.received {"name":"c"}`)
	p.must(terminateRun("o-1", ""))
	equal(t, "unhandled", p.history("o-1", 0), "started terminated unhandled unhandled unhandled unhandled unhandled")
}

// Where a run does not continue with what went ahead it is void, and goes.
func TestWhatWentAheadIsVoid(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(p *plant){
		"completed":  func(p *plant) { p.mustStep("o-1", completeRecord("1")) },
		"terminated": func(p *plant) { p.must(terminateRun("o-1", "")) },
		"without it": func(p *plant) { p.mustStep("o-1", continueRecord(&edriv1.StartRun{}, &edriv1.RunSignal{Name: "a"})) },
		"reset":      func(p *plant) { p.must(resetRun("o-1", 0, 1)) },
		"begun anew": func(p *plant) { p.mustAhead("o-1", 0, "x") },
		"started": func(p *plant) {
			p.must(startRunOp(&edriv1.StartRun{Id: "o-1", Type: "order", Conflict: edriv1.StartRun_TERMINATE}))
		},
		"its timeout": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, now := setup(t)
			p.begin(&edriv1.StartRun{Id: "o-1", Type: "order", Timeout: int64(time.Minute)})
			names := make([]string, maxMail)
			for i := range names {
				names[i] = "a"
			}
			p.mustAhead("o-1", 0, names...)
			p.mustAhead("o-1", maxMail, names...)
			if end != nil {
				end(p)
			} else {
				*now += int64(time.Hour)
				p.ring()
			}
			p.check1(t)
			for range 5 {
				p.raw(internal(16, []byte{8, 0xe8, 7}))
				p.check1(t)
			}
			want := map[string]int{"begun anew": 1}[name]
			equal(t, "entries that are left", p.count(kindEntry), want)
			equal(t, "rows of what went ahead", p.count(kindCarry), want)
		})
	}
}

func TestCarryIsChecked(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	p.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
	equal(t, "behind none", p.ahead("o-1", 1, "a").GetError().GetCode(), "invalid")
	equal(t, "none went", p.step("o-1", carriedRecord(1)).GetError().GetCode(), "invalid")
	p.mustAhead("o-1", 0, "a", "b")
	equal(t, "behind one of two", p.ahead("o-1", 1, "c").GetError().GetCode(), "invalid")
	equal(t, "one of two", p.step("o-1", carriedRecord(1)).GetError().GetCode(), "invalid")
	// The same advance again is the same.
	r := p.run("o-1")
	again := advanceRunOp(&edriv1.AdvanceRun{Id: "o-1", Advance: r.Advance, Nonce: r.Advance + 999, CarryFrom: 0, Carry: []*edriv1.RunSignal{{Name: "a"}, {Name: "b"}}})
	p.must(again)
	completed := completeRecord("1")
	completed.GetEnd().Carried = 2
	for name, a := range map[string]*edriv1.AdvanceRun{
		"no next run": {Id: "o-1", Advance: 9, Records: []*edriv1.RunRecord{completed}},
		"no name":     {Id: "o-1", Advance: 9, Carry: []*edriv1.RunSignal{{}}},
		"too many":    {Id: "o-1", Advance: 9, Unreceived: 1 << 63},
	} {
		equal(t, name, p.refused(advanceRunOp(a)), event.CodeInvalid)
	}
	equal(t, "beside an end", p.do(advanceRunOp(&edriv1.AdvanceRun{
		Id: "o-1", Advance: r.Advance + 1, Nonce: 7, Records: []*edriv1.RunRecord{completeRecord("1")}, Carry: []*edriv1.RunSignal{{Name: "a"}},
	})).GetError().GetCode(), "invalid")
	// Signals beside are before them, in the first event, if that has room.
	both := carriedRecord(2)
	for range 2 {
		both.GetEnd().Signals = append(both.GetEnd().Signals, &edriv1.RunSignal{Name: "x", Input: jsonText(700_000)})
	}
	equal(t, "too many beside", p.step("o-1", both).GetError().GetCode(), "invalid")
	both.GetEnd().Signals = both.GetEnd().Signals[:1]
	p.mustStep("o-1", both)
	equal(t, "inbox", p.inbox("o-1"), `1 signal.received {"name":"a"} | 2 signal.received {"name":"b"}`)
	_, data := p.lastOf("o-1")
	var begun workflows.Started
	if err := json.Unmarshal(data, &begun); err != nil || len(begun.Signals) != 1 || begun.Signals[0].Name != "x" {
		t.Errorf("begun with %d signals, %v", len(begun.Signals), err)
	}
}

// What the code has not received is bounded by the signal that would be too much. What goes
// on is not refused.
func TestSignalsThatAreNotReceivedAreBounded(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	unreceived := func(signals, bytes uint64) {
		r := p.run("o-1")
		p.must(advanceRunOp(&edriv1.AdvanceRun{Id: "o-1", Advance: r.Advance + 1, Nonce: r.Advance, Unreceived: signals, UnreceivedBytes: bytes}))
	}
	p.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
	unreceived(maxUnreceived-1, 7)
	p.must(signalRun("o-1", "s", ""))
	for _, op := range []*edriv1.Op{signalRun("o-1", "s", ""), startRunOp(&edriv1.StartRun{Id: "o-1", Type: "order", Conflict: edriv1.StartRun_USE, Signal: &edriv1.RunSignal{Name: "s"}})} {
		equal(t, "one more", p.code(op), "quota_exceeded")
	}
	p.must(updateRun("o-1", "u", "add", ""))
	p.must(cancelRunOp("o-1", ""))
	size := uint64(len(`{"name":"s"}`))
	unreceived(1, maxUnreceivedBytes-size-p.mailBytes("o-1"))
	p.must(signalRun("o-1", "s", ""))
	equal(t, "bytes beyond", p.code(signalRun("o-1", "s", "")), "quota_exceeded")
	p.reopen()
	equal(t, "after a restart", p.code(signalRun("o-1", "s", "")), "quota_exceeded")
	unreceived(0, 0)
	p.must(signalRun("o-1", "s", ""))

	// They count in the next run from its begin, and leave room for what has not been taken.
	names := make([]string, maxMail)
	for i := range names {
		names[i] = "s"
	}
	for i := range maxUnreceived/maxMail + 1 {
		p.mustAhead("o-1", uint64(i*maxMail), names...)
	}
	mail := int(p.run("o-1").Unread)
	p.mustStep("o-1", carriedRecord(maxUnreceived+maxMail))
	equal(t, "unread", p.run("o-1").Unread, uint64(maxUnreceived+maxMail+mail))
	equal(t, "one more for the next", p.code(signalRun("o-1", "s", "")), "quota_exceeded")
	p.must(updateRun("o-1", "another", "add", ""))
	// The commit of an end that takes all of it along once more.
	p.mustStep("o-1", continueRecord(&edriv1.StartRun{}))
	equal(t, "unread by the third", p.run("o-1").Unread, uint64(maxUnreceived+maxMail+mail+1))
	p.must(terminateRun("o-1", ""))
}

// mailBytes are those of a run's signals and updates that it has not consumed.
func (p *plant) mailBytes(id string) uint64 {
	p.Helper()
	v := p.core.View()
	defer v.Close()
	r, err := findRun(v, target{id: []byte(id)})
	if err != nil {
		p.Fatalf("run %s: %v", id, err)
	}
	return r.mailBytes
}

// A worker is not sent all entries of a run at once, and gets each.
func TestManyEntriesGoToTheWorkerInParts(t *testing.T) {
	t.Parallel()
	o := setupOffice(t)
	a := o.join("a", 1)
	number := o.begin(&edriv1.StartRun{Id: "o-1", Type: "order", Delay: int64(time.Second)})
	text := jsonText(maxPayload)
	for range 11 {
		o.must(signalRun("o-1", "s", text))
	}
	*o.now += int64(time.Second)
	o.ring()
	o.settle()
	for next := uint64(1); next <= 11; {
		messages, err := a.Take(nil)
		if err != nil {
			t.Fatal(err)
		}
		var entries []workflows.Entry
		for _, m := range messages {
			if m.Assign != nil {
				entries = append(entries, m.Assign.Entries...)
			}
			if m.Entries != nil {
				entries = append(entries, m.Entries.Entries...)
			}
		}
		if len(entries) == 0 || len(entries) > 6 {
			t.Fatalf("%d entries, from %d on, in %d messages", len(entries), next, len(messages))
		}
		var records []*edriv1.RunRecord
		for _, e := range entries {
			equal(t, "entry", e.Number, next)
			records = append(records, entryRecord(next))
			next++
		}
		o.work("o-1", true, records...)
		o.settle()
	}
	equal(t, "unread", o.run("o-1").Unread, 0)
	equal(t, "the run", o.run("o-1").Number, number)
}
