package engine

import (
	"testing"
	"time"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

func TestRunOfThreeStepsTakesFourCommits(t *testing.T) {
	t.Parallel()
	var now int64
	p := newPlant(t, &now)
	p.define("order", 1)
	number := p.begin(&edriv1.StartRun{Id: "o-1", Type: "order", Input: `{"item":"lamp"}`})
	p.mustStep("o-1", ownRecord(workflows.KindStepCompleted, `{"seq":1}`))
	p.mustStep("o-1", ownRecord(workflows.KindStepCompleted, `{"seq":2}`))
	p.mustStep("o-1", ownRecord(workflows.KindStepCompleted, `{"seq":3}`), completeRecord(`"done"`))
	r := p.run("o-1")
	equal(t, "status", r.Status, workflows.Completed)
	equal(t, "history", p.history("o-1", number), "started step.completed step.completed step.completed completed")
	equal(t, "result", string(p.detailsOf(number).Result), `"done"`)
	equal(t, "rows", p.rows(), "i1 o1 r1 t1 x2 y1 z1")

	events := p.events("run/o-1")
	equal(t, "type", events[0].Type, "edri.workflow.started")
	equal(t, "source", events[0].Source, "/edri/workflows/order")
	equal(t, "subject", events[0].Subject, "o-1")
	correlation := events[1].Extensions[event.AttrCorrelation].String()
	equal(t, "correlation", correlation, "o-1")

	// At the end of its retention nothing of it is left but its history.
	now += int64(8 * 24 * time.Hour)
	p.ring()
	equal(t, "rows after retention", p.rows(), "")
}

func TestOnlyACompetingAdvanceFailsOne(t *testing.T) {
	t.Parallel()
	var now int64
	p := newPlant(t, &now)
	p.define("order", 1)
	number := p.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
	mine := advanceRunOp(&edriv1.AdvanceRun{Id: "o-1", Number: number, Advance: 1, Nonce: 1, Busy: true,
		Records: []*edriv1.RunRecord{ownRecord(workflows.KindStepCompleted, `{"seq":1}`)}})
	// What comes meanwhile does not fail it.
	p.must(&edriv1.Op{Op: &edriv1.Op_SignalRun{SignalRun: &edriv1.SignalRun{Id: "o-1", Signal: &edriv1.RunSignal{Name: "paid"}}}})
	p.must(&edriv1.Op{Op: &edriv1.Op_CancelRun{CancelRun: &edriv1.CancelRun{Id: "o-1"}}})
	p.must(mine)
	// Its repeat is a success that does nothing more, another's is refused.
	p.must(mine)
	equal(t, "history", p.history("o-1", 0), "started step.completed")
	theirs := advanceRunOp(&edriv1.AdvanceRun{Id: "o-1", Number: number, Advance: 1, Nonce: 2,
		Records: []*edriv1.RunRecord{ownRecord(workflows.KindStepCompleted, `{"seq":1}`)}})
	equal(t, "the other's code", p.code(theirs), "revision_conflict")
	equal(t, "inbox", p.inbox("o-1"), `1 signal.received {"name":"paid"} | 2 cancel.requested {}`)
	p.reopen()
	equal(t, "inbox of the reopened", p.inbox("o-1"), `1 signal.received {"name":"paid"} | 2 cancel.requested {}`)
}

func TestEndWithUnreadEntriesIsRefusedUntilItInsists(t *testing.T) {
	t.Parallel()
	var now int64
	p := newPlant(t, &now)
	p.define("order", 1)
	p.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
	p.must(&edriv1.Op{Op: &edriv1.Op_SignalRun{SignalRun: &edriv1.SignalRun{Id: "o-1", Signal: &edriv1.RunSignal{Name: "paid", Input: "1"}}}})
	p.must(&edriv1.Op{Op: &edriv1.Op_UpdateRun{UpdateRun: &edriv1.UpdateRun{Id: "o-1", UpdateId: "u", Name: "add", Input: "2"}}})
	equal(t, "code", p.step("o-1", completeRecord("1")).GetError().GetCode(), "check_failed")
	end := completeRecord("1")
	end.GetEnd().Insist = true
	number := p.run("o-1").Number
	p.mustStep("o-1", entryRecord(1), end)
	equal(t, "history", p.history("o-1", number), "started signal.received completed unhandled")
	_, failed, err := p.engine.AwaitUpdate(t.Context(), p, number, "u")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "update", string(failed), `{"type":"edri.unhandled","message":"the run ended before it had an answer"}`)
	equal(t, "signal to an ended run", p.code(&edriv1.Op{Op: &edriv1.Op_SignalRun{SignalRun: &edriv1.SignalRun{Id: "o-1", Signal: &edriv1.RunSignal{Name: "paid"}}}}), "run_ended")
}

func TestTimersReachTheInboxWhenTheyAreDue(t *testing.T) {
	t.Parallel()
	var now int64
	p := newPlant(t, &now)
	p.define("order", 1)
	p.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
	p.mustStep("o-1", timerRecord(1, time.Minute), timerRecord(2, time.Hour))
	now += int64(time.Minute) - 1
	p.ring()
	equal(t, "inbox before", p.inbox("o-1"), "")
	now++
	p.ring()
	equal(t, "inbox", p.inbox("o-1"), `1 timer.fired {"seq":1}`)
	cancel := ownRecord(workflows.KindTimerCanceled, `{"seq":2}`)
	cancel.Do = &edriv1.RunRecord_CancelTimer{CancelTimer: 2}
	p.mustStep("o-1", entryRecord(1), cancel)
	now += int64(2 * time.Hour)
	p.ring()
	equal(t, "inbox at last", p.inbox("o-1"), "")
	equal(t, "open", p.run("o-1").Open, 0)
}
