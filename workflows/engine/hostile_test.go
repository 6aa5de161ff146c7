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

// Anyone may append an event with the source and id that the next of a history would have.
func TestEventsOfOthersDoNotStandInTheWayOfAHistory(t *testing.T) {
	t.Parallel()
	p, now := setup(t)
	number := p.begin(&edriv1.StartRun{Id: "o-1", Type: "order", Timeout: int64(time.Hour)})
	for n := range 4 {
		for _, id := range []string{fmt.Sprintf("%d/%d", number, n+2), fmt.Sprintf("%d/%d/1", number, n+2)} {
			e := cloudEvent(id, "planted", "", "1")
			e.Source = "/edri/workflows/order"
			p.must(appendEvent("s", e))
		}
	}
	p.mustStep("o-1", ownRecord(workflows.KindStepCompleted, `{"seq":1}`))
	p.must(pauseRun("o-1", true, ""))
	*now += int64(time.Hour)
	p.ring()
	equal(t, "status", p.run("o-1").Status, workflows.TimedOut)
	equal(t, "history", p.history("o-1", number), "started step.completed paused timed_out")
}

func TestNamesOfWorkflows(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]event.Code{
		"order": "", "ns/order.v1": "", "größe": "", `a "name" with <spaces> % [x] #1?`: "",
		strings.Repeat("x", 239): "", strings.Repeat("x", 240): event.CodeInvalid,
		strings.Repeat(" ", 80): event.CodeInvalid, "a\nb": event.CodeInvalid, "a\x00": event.CodeInvalid, "": event.CodeInvalid,
	} {
		t.Run(fmt.Sprintf("%.20q", name), func(t *testing.T) {
			t.Parallel()
			p, now := setup(t)
			define := defineOp(&edriv1.DefineWorkflow{Name: name, Version: 1})
			if got := p.refused(define); got != want {
				t.Fatalf("definition: %q, want %q", got, want)
			}
			if want != "" {
				return
			}
			p.must(define)
			for i, id := range []string{"a", `"quoted" \ id/ü`, strings.Repeat(`"`, 200)} {
				number := p.begin(&edriv1.StartRun{Id: id, Type: name, Correlation: strings.Repeat(`\`, 255*i/2), Timeout: 1000})
				p.must(signalRun(id, strings.Repeat(`"`, 255), ""))
				p.must(updateRun(id, strings.Repeat(`"`, 255), strings.Repeat(`\`, 255), ""))
				p.mustStep(id, entryRecord(1))
				*now += int64(time.Second)
				p.ring()
				equal(t, "history", p.history(id, number), "started signal.received timed_out unhandled")
			}
		})
	}
}

// What is accepted can be recorded: in the history, in another's, and at the end.
func TestPayloadsAsLargeAsTheyMayBe(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	names := strings.Repeat(`"`, 255)
	text := func(n int) string { return `"` + strings.Repeat("x", n-2) + `"` }
	p.begin(&edriv1.StartRun{Id: "parent", Type: "order"})
	id := strings.Repeat(`"`, 200)
	p.mustStep("parent", childRecord(1, &edriv1.StartRun{Id: id, Type: "order", Input: text(maxPayload)}, 0))
	over := &edriv1.StartRun{Id: "x", Type: "order", Input: text(maxPayload - 10), Memo: text(11)}
	equal(t, "input and memo above", p.refused(startRunOp(over)), event.CodeTooLarge)
	p.must(signalRun(id, names, text(maxPayload)))
	p.must(updateRun(id, names, names, text(maxPayload)))
	equal(t, "signal above", p.refused(signalRun(id, "s", text(maxPayload+1))), event.CodeTooLarge)
	p.mustStep(id, entryRecord(1))
	p.mustStep(id, entryRecord(2))
	p.must(signalRun(id, names, text(maxPayload)))
	end := completeRecord("1")
	end.GetEnd().Result = text(maxPayload)
	end.GetEnd().Insist = true
	p.mustStep(id, end)
	p.mustStep("parent", entryRecord(1))
	equal(t, "history", p.history("parent", 0), "started child.started child.completed")

	end.GetEnd().Error = text(100)
	equal(t, "an end with two payloads", p.refused(advanceRunOp(&edriv1.AdvanceRun{Id: id, Advance: 9, Records: []*edriv1.RunRecord{end}})), event.CodeTooLarge)
	block := &edriv1.RunBlock{Reason: strings.Repeat(`"`, maxNote), Details: text(maxPayload - 2*maxNote)}
	advance := func(b *edriv1.RunBlock) *edriv1.Op {
		return advanceRunOp(&edriv1.AdvanceRun{Id: "parent", Advance: p.run("parent").Advance + 1, Nonce: 1, Block: b})
	}
	p.must(advance(block))
	equal(t, "paused", p.run("parent").Paused, true)
	block.Details = text(maxPayload - 2*maxNote + 1)
	equal(t, "a block above", p.refused(advance(block)), event.CodeTooLarge)
	p.must(pauseRun("parent", false, strings.Repeat(`"`, maxNote)))
	p.must(terminateRun("parent", strings.Repeat(`"`, maxNote)))
}

func TestPayloadsThatReadersDoNotTakeAreRefused(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	deep := func(n int) string { return strings.Repeat(`[`, n) + strings.Repeat(`]`, n) }
	for _, test := range []struct {
		input string
		want  event.Code
	}{
		{`"a\u0000b"`, ""}, {`{"a\"[":[1,{"b\\":"]}"}]}`, ""}, {deep(maxNesting), ""}, {`"\\"`, ""},
		{deep(maxNesting + 1), event.CodeInvalid}, {`{`, event.CodeInvalid}, {`1 2`, event.CodeInvalid},
	} {
		for _, op := range []*edriv1.Op{
			signalRun("o", "s", test.input), updateRun("o", "u", "n", test.input),
			startRunOp(&edriv1.StartRun{Id: "o", Type: "order", Input: test.input}),
			startRunOp(&edriv1.StartRun{Id: "o", Type: "order", Memo: test.input}),
			advanceRunOp(&edriv1.AdvanceRun{Id: "o", Advance: 1, Records: []*edriv1.RunRecord{ownRecord(workflows.KindStepCompleted, test.input)}}),
			advanceRunOp(&edriv1.AdvanceRun{Id: "o", Advance: 1, Records: []*edriv1.RunRecord{continueRecord(&edriv1.StartRun{Memo: test.input})}}),
		} {
			if got := p.refused(op); got != test.want {
				t.Errorf("%.30s in %.30v: %q, want %q", test.input, op, got, test.want)
			}
		}
	}
	// The generated code writes no text that is not UTF-8.
	equal(t, "not UTF-8", event.CodeOf(checkJSON("input", []byte("\"\xff\""))), event.CodeInvalid)
	for _, attributes := range []string{"[]", "null", "1", `{"total":1e999}`} {
		equal(t, "attributes "+attributes, p.refused(startRunOp(&edriv1.StartRun{Id: "o", Type: "order", Attributes: attributes})), event.CodeInvalid)
	}
}

func TestRequestsOfRunsCannotWriteWhatIsTheMachines(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	for _, change := range []func(*edriv1.SendRunRequest){
		func(s *edriv1.SendRunRequest) { s.Stream = "run/other" },
		func(s *edriv1.SendRunRequest) { s.Stream = "kv/bucket" },
		func(s *edriv1.SendRunRequest) { s.Event.Type = "edri.workflow.completed" },
		func(s *edriv1.SendRunRequest) { s.Event.Attributes[event.AttrKind] = attr("notification") },
		func(s *edriv1.SendRunRequest) { s.Timeout = 1 },
		func(s *edriv1.SendRunRequest) { s.Seq = 0 },
	} {
		r := requestRecord(1, cloudEvent("q", "ask", event.KindRequest, ""), time.Minute)
		change(r.GetSendRequest())
		op := advanceRunOp(&edriv1.AdvanceRun{Id: "o", Advance: 1, Records: []*edriv1.RunRecord{r}})
		if got := p.refused(op); got != event.CodeInvalid {
			t.Errorf("%v: %q", r, got)
		}
	}
}

func TestSequenceNumbersAreUsedOnceAtATime(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	p.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
	for _, twice := range []func(n int) *edriv1.RunRecord{
		func(int) *edriv1.RunRecord { return timerRecord(1, time.Minute) },
		func(n int) *edriv1.RunRecord {
			return requestRecord(1, cloudEvent(fmt.Sprint(n), "ask", event.KindRequest, ""), time.Minute)
		},
		func(int) *edriv1.RunRecord { return awaitRecord(1, "news", "", "") },
		func(n int) *edriv1.RunRecord {
			return childRecord(1, &edriv1.StartRun{Id: fmt.Sprint("c", n), Type: "order"}, 0)
		},
	} {
		if got := p.step("o-1", twice(1), twice(2)).GetError().GetCode(); got != "invalid" {
			t.Errorf("%v twice: %q", twice(1), got)
		}
	}
	equal(t, "open", p.run("o-1").Open, 0)
}

// The most that a run can be made to hold does not stand in the way of its end.
func TestTerminateAlwaysWorks(t *testing.T) {
	t.Parallel()
	p, now := setup(t)
	number := p.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
	for from := uint64(1); from <= maxOpen; from += 500 {
		var records []*edriv1.RunRecord
		for seq := from; seq < from+500; seq++ {
			switch seq % 4 {
			case 0:
				records = append(records, timerRecord(seq, time.Minute))
			case 1:
				records = append(records, awaitRecord(seq, "news", "", ""))
			case 2:
				records = append(records, requestRecord(seq, cloudEvent(fmt.Sprint(seq), "ask", event.KindRequest, ""), time.Minute))
			default:
				records = append(records, childRecord(seq, &edriv1.StartRun{Id: fmt.Sprint("c", seq), Type: "order"}, edriv1.StartChildRun_OnClose(seq/4%3)))
			}
		}
		p.mustStep("o-1", records...)
	}
	for _, r := range []*edriv1.RunRecord{
		timerRecord(maxOpen+1, time.Minute), awaitRecord(maxOpen+1, "news", "", ""),
		requestRecord(maxOpen+1, cloudEvent("more", "ask", event.KindRequest, ""), time.Minute),
		childRecord(maxOpen+1, &edriv1.StartRun{Id: "more", Type: "order"}, 0),
	} {
		if got := p.step("o-1", r).GetError().GetCode(); got != "quota_exceeded" {
			t.Errorf("one more than may be, %v: %q", r, got)
		}
	}
	for i := range maxMail {
		p.must(signalRun("o-1", fmt.Sprint(i), "1"))
	}
	equal(t, "one more signal", p.code(signalRun("o-1", "more", "")), "quota_exceeded")
	equal(t, "one more update", p.code(updateRun("o-1", "more", "more", "")), "quota_exceeded")
	p.must(cancelRunOp("o-1", "")) // for which there is always room
	p.must(pauseRun("o-1", true, ""))
	p.check1(t)
	p.must(terminateRun("o-1", "enough"))
	p.check1(t)
	p.ring()
	equal(t, "events", p.runOf("o-1", number).Events, 1+maxOpen+1+1+maxMail)
	statuses := map[workflows.Status]int{}
	inboxes := map[string]int{}
	for seq := 3; seq <= maxOpen; seq += 4 {
		id := fmt.Sprint("c", seq)
		statuses[p.run(id).Status]++
		inboxes[p.inbox(id)]++
	}
	equal(t, "children", fmt.Sprint(statuses), fmt.Sprint(map[workflows.Status]int{workflows.Running: 333, workflows.Terminated: 167}))
	equal(t, "canceled", inboxes[`1 cancel.requested {"reason":"the parent has ended"}`], 167)
	*now += int64(time.Hour)
	p.ring()
	p.must(appendEvent("s", cloudEvent("n", "news", "", "")))
}

func TestMailIsBoundedInBytes(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	p.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
	text := `"` + strings.Repeat("x", maxPayload-2) + `"`
	for range 16 {
		p.must(signalRun("o-1", "s", text))
	}
	equal(t, "one more", p.code(signalRun("o-1", "s", text)), "quota_exceeded")
	p.mustStep("o-1", entryRecord(1))
	p.must(signalRun("o-1", "s", text))
	p.must(terminateRun("o-1", ""))
}

// A history that is full ends, and nothing else.
func TestFullHistory(t *testing.T) {
	t.Parallel()
	p, now := setup(t)
	for _, id := range []string{"a", "b", "c"} {
		p.begin(&edriv1.StartRun{Id: id, Type: "order", Timeout: int64(time.Hour)})
		for p.run(id).Events < maxEvents {
			records := make([]*edriv1.RunRecord, min(10_000, maxEvents-p.run(id).Events))
			for i := range records {
				records[i] = ownRecord(workflows.KindStepCompleted, `1`)
			}
			p.mustStep(id, records...)
		}
		p.must(signalRun(id, "s", ""))
		equal(t, "a record", p.step(id, ownRecord(workflows.KindStepCompleted, `1`)).GetError().GetCode(), "quota_exceeded")
		equal(t, "an entry", p.step(id, entryRecord(1)).GetError().GetCode(), "quota_exceeded")
		p.must(pauseRun(id, true, ""))
	}
	p.must(terminateRun("a", ""))
	p.mustStep("b", continueRecord(&edriv1.StartRun{}))
	equal(t, "its signal", p.inbox("b"), `1 signal.received {"name":"s"}`)
	*now += int64(time.Hour)
	p.ring()
	equal(t, "c", p.run("c").Status, workflows.TimedOut)
	equal(t, "events of c", p.run("c").Events, maxEvents+3)
}
