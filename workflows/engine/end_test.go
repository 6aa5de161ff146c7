package engine

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/jsonwrite"
	"github.com/edri-io/edri/workflows"
)

func TestContinueAsNew(t *testing.T) {
	t.Parallel()
	p, now := setup(t)
	p.define("order", 2)
	first := p.begin(&edriv1.StartRun{
		Id: "o-1", Type: "order", Version: 1, Memo: `"m"`, Attributes: `{"customer":"desk 1","total":1}`, Correlation: "c", Timeout: int64(time.Hour),
	})
	p.must(signalRun("o-1", "read", "1"))
	p.must(signalRun("o-1", "unread", "2"))
	p.must(updateRun("o-1", "u-1", "add", "3"))
	p.mustStep("o-1", entryRecord(1), timerRecord(1, time.Minute), attributesRecord(`{"total":2}`))
	// What was declared does not matter to a run that has its attributes already.
	p.must(defineOp(&edriv1.DefineWorkflow{Name: "order", Version: 2, Attributes: []*edriv1.WorkflowAttribute{{Name: "total", Type: edriv1.WorkflowAttribute_STRING}}}))
	p.mustStep("o-1", continueRecord(&edriv1.StartRun{Input: `"next"`}, &edriv1.RunSignal{Name: "read", Input: "1"}))
	second := p.run("o-1")
	equal(t, "history of the first", p.history("o-1", first), "started signal.received timer.set attributes.set continued")
	equal(t, "status of the first", p.runOf("o-1", first).Status, workflows.Continued)
	equal(t, "next", p.runOf("o-1", first).Next, second.Number)
	equal(t, "first", second.First, first)
	equal(t, "version", second.Version, 1)
	equal(t, "correlation", second.Correlation, "c")
	d := p.detailsOf(second.Number)
	equal(t, "attributes", string(d.Attributes), `{"customer":"desk 1","total":2}`)
	equal(t, "memo", string(d.Memo), `"m"`)
	equal(t, "inbox", p.inbox("o-1"), `1 signal.received {"name":"unread","input":2} | 2 update.accepted {"id":"u-1","name":"add","input":3}`)
	events := p.events("run/o-1")
	started := string(events[len(events)-1].Data)
	for _, part := range []string{`"input":"next"`, `"memo":"m"`, `"attributes":{"customer":"desk 1","total":2}`, fmt.Sprintf(`"continues":"%d"`, first), `"signals":[{"name":"read","input":1}]`} {
		if !strings.Contains(started, part) {
			t.Errorf("the first event lacks %s: %s", part, started)
		}
	}
	// Its updates go on with it.
	equal(t, "update", p.answerOf(first, "u-1"), "open")
	p.must(updateRun("o-1", "u-1", "add", "3"))
	p.check1(t)
	p.mustStep("o-1", entryRecord(1), entryRecord(2), finishRecord("u-1", "33"))
	equal(t, "answer", p.answerOf(first, "u-1"), "33")
	p.mustStep("o-1", continueRecord(&edriv1.StartRun{Version: 2, Memo: `"n"`, Attributes: `{"total":"3"}`, Timeout: int64(time.Minute)}))
	third := p.run("o-1")
	equal(t, "version of the third", third.Version, 2)
	equal(t, "first of the third", third.First, first)
	equal(t, "attributes of the third", string(p.detailsOf(third.Number).Attributes), `{"total":"3"}`)
	equal(t, "a version that is not", p.step("o-1", continueRecord(&edriv1.StartRun{Version: 3})).GetError().GetCode(), "invalid")
	*now += int64(time.Minute)
	p.ring()
	equal(t, "at its timeout", p.run("o-1").Status, workflows.TimedOut)
}

func TestTimeoutGoesOnWithTheRun(t *testing.T) {
	t.Parallel()
	p, now := setup(t)
	p.begin(&edriv1.StartRun{Id: "o-1", Type: "order", Timeout: int64(time.Hour)})
	*now += int64(time.Minute)
	p.mustStep("o-1", continueRecord(&edriv1.StartRun{}))
	*now += int64(time.Hour) - 1
	p.ring()
	equal(t, "before", p.run("o-1").Status, workflows.Running)
	*now++
	p.ring()
	equal(t, "at the timeout", p.run("o-1").Status, workflows.TimedOut)
}

// More signals than one event can have go on by the inbox, in their order.
// The version that a run is to continue as may be missing. The run itself is not: its
// worker must not take it for gone.
func TestContinueAsAnUnknownVersion(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	p.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
	r := p.run("o-1")
	advance := advanceRunOp(&edriv1.AdvanceRun{
		Id: "o-1", Number: r.Number, Advance: 1, Nonce: 1, Records: []*edriv1.RunRecord{continueRecord(&edriv1.StartRun{Version: 77})},
	})
	equal(t, "refusal", p.code(advance), "invalid")
	equal(t, "status", p.run("o-1").Status, workflows.Running)
	p.define("order", 77)
	p.must(advance)
	equal(t, "version", p.run("o-1").Version, 77)
}

func TestContinueWithManySignals(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	p.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
	p.must(signalRun("o-1", "last", ""))
	var signals []*edriv1.RunSignal
	for i := range 7 {
		signals = append(signals, &edriv1.RunSignal{Name: fmt.Sprint(i), Input: `"` + strings.Repeat("x", 400_000) + `"`})
	}
	p.mustStep("o-1", continueRecord(&edriv1.StartRun{Input: "1"}, signals...))
	events := p.events("run/o-1")
	started := string(events[len(events)-1].Data)
	equal(t, "signals of the first event", strings.Count(started, `{"name":"`), 2)
	got := ""
	for _, part := range strings.Split(p.inbox("o-1"), " | ") {
		got += part[:30] + "\n"
	}
	want := ""
	for n, name := range []string{"2", "3", "4", "5", "6"} {
		want += fmt.Sprintf("%d signal.received {\"name\":\"%s\",\"input\":", n+1, name)[:30] + "\n"
	}
	want += `6 signal.received {"name":"last"}`[:30] + "\n"
	equal(t, "inbox", got, want)
	for n := range uint64(6) {
		p.mustStep("o-1", entryRecord(n+1))
	}
}

func TestResetTakesOverTheBeginningOfAHistory(t *testing.T) {
	t.Parallel()
	p, now := setup(t)
	first := p.begin(&edriv1.StartRun{Id: "o-1", Type: "order", Memo: `"m"`, Attributes: `{"total":1}`, Timeout: int64(time.Hour)})
	p.mustStep("o-1", ownRecord(workflows.KindStepCompleted, "1"), timerRecord(2, time.Minute), ownRecord(workflows.KindStepCompleted, "2"))
	p.must(signalRun("o-1", "s", "1"))
	for _, revision := range []uint64{5, 99} {
		equal(t, "beyond its end", p.code(resetRun("o-1", 0, revision)), "invalid")
	}
	equal(t, "none", p.refused(resetRun("o-1", 0, 0)), event.CodeInvalid)
	op := resetRun("o-1", 0, 2)
	reset := op.GetResetRun()
	reset.DropSignals, reset.Signals = false, []*edriv1.RunSignal{{Name: "again"}}
	reset.Through = 3
	equal(t, "when it has gone on since", p.code(op), "revision_conflict")
	reset.Through = 4
	second := p.must(op).GetRunStarted().GetNumber()
	equal(t, "history of the first", p.history("o-1", first), "started step.completed timer.set step.completed terminated unhandled")
	equal(t, "history of the second", p.history("o-1", second), "started step.completed reset")
	equal(t, "inbox", p.inbox("o-1"), `1 signal.received {"name":"again"} | 2 signal.received {"name":"s","input":1}`)
	equal(t, "events", p.run("o-1").Events, 3)
	equal(t, "next", p.runOf("o-1", first).Next, second)
	equal(t, "attributes", string(p.detailsOf(second).Attributes), `{"total":1}`)
	p.check1(t)

	// A chain: of the second, at its own part and at that of the first; of one that has ended.
	p.mustStep("o-1", entryRecord(1), ownRecord(workflows.KindStepCompleted, "3"))
	ranges := p.run("o-1").History
	p.must(resetRun("o-1", 0, uint64(ranges[1].To)-1))
	third := p.run("o-1").Number
	equal(t, "history of the third", p.history("o-1", third), "started step.completed reset signal.received reset")
	equal(t, "within a gap", p.code(resetRun("o-1", 0, uint64(ranges[0].To)+1)), "invalid")
	p.must(resetRun("o-1", 0, 1))
	fourth := p.run("o-1").Number
	equal(t, "history of the fourth", p.history("o-1", fourth), "started reset")
	p.mustStep("o-1", completeRecord("4"))
	equal(t, "not the last", p.code(resetRun("o-1", third, 1)), "check_failed")
	p.must(resetRun("o-1", fourth, 1))
	equal(t, "history of the fifth", p.history("o-1", 0), "started reset")
	p.reopen()
	*now += int64(time.Hour)
	p.ring()
	equal(t, "at its timeout", p.run("o-1").Status, workflows.TimedOut)

	// Retention goes on at what is needed: the beginning of the first, by all of them.
	for _, number := range []uint64{second, first, fourth, third} {
		p.must(deleteRun("o-1", number))
		p.check1(t)
	}
	equal(t, "what is left", p.history("o-1", 0), "started reset timed_out")
}

func TestDelete(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	var numbers []uint64
	for range 3 {
		numbers = append(numbers, p.begin(&edriv1.StartRun{Id: "o-1", Type: "order", Attributes: `{"customer":"desk 1"}`}))
		equal(t, "while it runs", p.code(deleteRun("o-1", 0)), "check_failed")
		p.must(updateRun("o-1", "u", "add", ""))
		p.must(terminateRun("o-1", ""))
	}
	equal(t, "another's", p.code(deleteRun("o-2", numbers[0])), "not_found")
	p.must(deleteRun("o-1", numbers[1]))
	p.must(deleteRun("o-1", 0))
	equal(t, "the last that is left", p.run("o-1").Number, numbers[0])
	p.check1(t)
	// What the id has had still counts.
	equal(t, "never again", p.code(startRunOp(&edriv1.StartRun{Id: "o-1", Type: "order", Reuse: edriv1.StartRun_NEVER})), "exists")
	p.must(deleteRun("o-1", 0))
	equal(t, "rows", p.rows(), "")
	equal(t, "of what is not", p.code(deleteRun("o-1", 0)), "not_found")
}

func TestRetentionByCount(t *testing.T) {
	t.Parallel()
	p, now := setup(t)
	p.must(defineOp(&edriv1.DefineWorkflow{Name: "few", Version: 1, RetentionCount: 3}))
	p.begin(&edriv1.StartRun{Id: "long", Type: "few"})
	for i := range 6 {
		*now++
		id := fmt.Sprint("o-", i)
		p.begin(&edriv1.StartRun{Id: id, Type: "few"})
		p.mustStep(id, completeRecord("1"))
		p.check1(t)
	}
	equal(t, "rows", p.rows(), "b1 i4 o3 r4 t3 x8 y1 z3")
	// What began first did not end first.
	*now++
	p.mustStep("long", completeRecord("1"))
	for id, want := range map[string]string{"o-3": "not_found", "o-4": "run_ended", "o-5": "run_ended", "long": "run_ended"} {
		equal(t, id, p.code(signalRun(id, "s", "")), want)
	}
	// A lower limit takes hold with the next ends; of other types nothing ends.
	p.begin(&edriv1.StartRun{Id: "other", Type: "order"})
	p.must(terminateRun("other", ""))
	p.must(defineOp(&edriv1.DefineWorkflow{Name: "few", Version: 1, RetentionCount: 1}))
	*now++
	p.begin(&edriv1.StartRun{Id: "last", Type: "few"})
	p.must(terminateRun("last", ""))
	equal(t, "rows at last", p.rows(), "i2 o2 r2 t2 x4 y2 z2")
}

func TestRetentionByAge(t *testing.T) {
	t.Parallel()
	p, now := setup(t)
	p.must(defineOp(&edriv1.DefineWorkflow{Name: "short", Version: 1, RetentionAge: int64(time.Minute)}))
	p.begin(&edriv1.StartRun{Id: "s", Type: "short"})
	p.mustStep("s", continueRecord(&edriv1.StartRun{}))
	*now += int64(time.Second)
	p.mustStep("s", completeRecord("1"))
	p.begin(&edriv1.StartRun{Id: "o", Type: "order"})
	p.must(terminateRun("o", ""))
	*now += int64(time.Minute) - int64(time.Second)
	p.ring()
	equal(t, "runs", p.count(kindRun), 2)
	*now += int64(time.Second) - 1
	p.ring()
	equal(t, "runs just before", p.count(kindRun), 2)
	*now++
	p.ring()
	equal(t, "runs of the other type", p.count(kindRun), 1)
	*now += int64(defaultRetention)
	p.ring()
	equal(t, "rows", p.rows(), "")
}

// A repeat of an advance is known, whatever came between, and also when it ended the run.
func TestAdvanceThatIsRepeated(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	number := p.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
	end := advanceRunOp(&edriv1.AdvanceRun{Id: "o-1", Number: number, Advance: 1, Nonce: 7, Records: []*edriv1.RunRecord{completeRecord("1")}})
	first := p.must(end).GetRunAdvanced()
	p.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
	if again := p.must(end).GetRunAdvanced(); again.String() != first.String() || !again.Over {
		t.Errorf("again: %v, want %v", again, first)
	}
	end.GetAdvanceRun().Nonce++
	equal(t, "another", p.code(end), "run_ended")
	for _, advance := range []uint64{2, 3} {
		op := advanceRunOp(&edriv1.AdvanceRun{Id: "o-1", Advance: advance, Nonce: 1})
		equal(t, "out of turn", p.code(op), "revision_conflict")
	}
	equal(t, "stream", p.do(advanceRunOp(&edriv1.AdvanceRun{Id: "o-1", Advance: 2})).GetError().GetStream(), "run/o-1")
}

// What a run takes along leaves room for an input of 956 KiB, whatever it is.
func TestRunContinuesWithAllThatItMayTakeAlong(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	text := func(n int) string { return `"` + strings.Repeat("x", n-2) + `"` }
	typ, id := strings.Repeat(`"`, 79), strings.Repeat(`"`, 200)
	names := make([]*edriv1.WorkflowAttribute, maxAttributes)
	given := jsonwrite.Object{}
	for i := range names {
		names[i] = &edriv1.WorkflowAttribute{Name: fmt.Sprintf("%s%02d", strings.Repeat("n", 62), i)}
		given.JSON(names[i].Name, []byte(event.AppendQuoted(nil, strings.Repeat("\x01", event.MaxNameBytes))))
	}
	p.must(defineOp(&edriv1.DefineWorkflow{Name: typ, Version: 1, Attributes: names}))
	p.begin(&edriv1.StartRun{Id: "parent", Type: "order"})
	p.mustStep("parent", childRecord(1, &edriv1.StartRun{
		Id: id, Type: typ, Memo: text(maxMemo), Attributes: string(given.Done()), Input: text(maxPayload - maxMemo - maxAttributeBytes), Correlation: strings.Repeat(`"`, 255),
	}, 0))
	number := p.run(id).Number
	for range 2 {
		p.mustStep(id, continueRecord(&edriv1.StartRun{Input: text(maxPayload - maxMemo - maxAttributeBytes)}, &edriv1.RunSignal{Name: "s", Input: text(1000)}))
		equal(t, "the signal that there is no room for", strings.HasPrefix(p.inbox(id), `1 signal.received`), true)
		p.mustStep(id, entryRecord(1))
	}
	equal(t, "attributes", string(p.detailsOf(p.run(id).Number).Attributes), string(p.detailsOf(number).Attributes))
	equal(t, "memo", string(p.detailsOf(p.run(id).Number).Memo), text(maxMemo))

	advance := func(r *edriv1.RunRecord) *edriv1.Op {
		return advanceRunOp(&edriv1.AdvanceRun{Id: "o", Advance: 1, Records: []*edriv1.RunRecord{r}})
	}
	above := `{"customer":"x"` + strings.Repeat(" ", maxAttributeBytes) + "}"
	for what, start := range map[string]*edriv1.StartRun{
		"memo": {Id: "o", Type: "order", Memo: text(maxMemo + 1)}, "attributes": {Id: "o", Type: "order", Attributes: above},
	} {
		for _, op := range []*edriv1.Op{startRunOp(start), advance(childRecord(1, start, 0)), advance(continueRecord(start))} {
			equal(t, what+" above", p.refused(op), event.CodeTooLarge)
		}
	}
	equal(t, "attributes above", p.refused(advance(attributesRecord(above))), event.CodeTooLarge)
}

// A run of before may have a memo without a limit. It is not stuck where it continues.
func TestRunWithTooLargeAMemoCanContinue(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	text := func(n int) string { return `"` + strings.Repeat("x", n-2) + `"` }
	number := p.enter(startRunOp(&edriv1.StartRun{Id: "o-1", Type: "order", Memo: text(500_000), Attributes: `{"total":1}`})).Results[0].GetRunStarted().GetNumber()
	refused := p.step("o-1", continueRecord(&edriv1.StartRun{Input: text(600_000)})).GetError()
	equal(t, "code", refused.GetCode(), "too_large")
	equal(t, "size", refused.GetSize(), 1_100_011)
	equal(t, "message", refused.GetMessage(), fmt.Sprintf("input to continue run o-1/%d with, memo and attributes that go along, in bytes: 1100011 is more than %d", number, maxPayload))
	equal(t, "nothing was done", p.run("o-1").Advance, 0)
	p.mustStep("o-1", continueRecord(&edriv1.StartRun{Input: text(500_000)}))
	equal(t, "memo", len(p.detailsOf(p.run("o-1").Number).Memo), 500_000)
	p.mustStep("o-1", continueRecord(&edriv1.StartRun{Input: text(900_000), Memo: `"less"`}))
	p.must(terminateRun("o-1", ""))
}

// By the stream of its error a worker tells the refusal of an advance from that of effects.
func TestRefusedAdvanceNamesItsHistory(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	p.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
	advance := func(n uint64, r *edriv1.RunRecord) *edriv1.Op {
		return advanceRunOp(&edriv1.AdvanceRun{Id: "o-1", Advance: n, Nonce: 1, Records: []*edriv1.RunRecord{r}})
	}
	effect := appendEvent("s", cloudEvent("1", "done", "", ""))
	for what, op := range map[string]*edriv1.Op{
		"another advance": advance(2, completeRecord("1")), "an entry that is not": advance(1, entryRecord(1)), "attributes": advance(1, attributesRecord(`{"color":1}`)),
	} {
		r := p.do(op, effect)
		equal(t, what, r.GetError().GetViolations()[0].GetError().GetStream(), "run/o-1")
	}
	_, _, err := p.check(advance(1, continueRecord(&edriv1.StartRun{Memo: `"` + strings.Repeat("x", maxMemo) + `"`})), effect)
	var refused *event.Error
	if !errors.As(err, &refused) || len(refused.Violations) != 1 || refused.Violations[0].Err.Stream != "run/o-1" {
		t.Errorf("where it enters: %+v", refused)
	}
	expected := appendEvent("s", cloudEvent("2", "done", "", ""))
	expected.GetAppend().Expected = &edriv1.Append_Revision{Revision: 7}
	r := p.do(advance(1, completeRecord("1")), expected)
	equal(t, "effects", r.GetError().GetViolations()[0].GetError().GetStream(), "s")
}
