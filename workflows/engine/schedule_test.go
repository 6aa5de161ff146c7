package engine

import (
	"testing"
	"time"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/workflows"
)

// scheduled makes a schedule that starts runs of a workflow, and what triggers it.
func (p *plant) scheduled(overlap edriv1.ScheduleSpec_Overlap, start *edriv1.StartRun) (trigger func() *edriv1.ScheduleFired) {
	p.Helper()
	p.must(&edriv1.Op{Op: &edriv1.Op_CreateSchedule{CreateSchedule: &edriv1.CreateSchedule{Name: "nightly", Spec: &edriv1.ScheduleSpec{
		Every: int64(time.Hour), Overlap: overlap,
		Action: &edriv1.ScheduleAction{Action: &edriv1.ScheduleAction_Start{Start: start}},
	}}}})
	return func() *edriv1.ScheduleFired {
		p.Helper()
		return p.must(&edriv1.Op{Op: &edriv1.Op_TriggerSchedule{TriggerSchedule: &edriv1.TriggerSchedule{Name: "nightly"}}}).GetScheduleFired()
	}
}

func TestScheduleStartsRunsOneAfterTheOther(t *testing.T) {
	t.Parallel()
	var now int64
	p := newPlant(t, &now)
	p.define("report", 1)
	trigger := p.scheduled(edriv1.ScheduleSpec_SKIP, &edriv1.StartRun{Type: "report", Input: `{"of":"orders"}`})
	first := trigger()
	id := "nightly/" + first.Id
	equal(t, "status", p.run(id).Status, workflows.Running)
	equal(t, "position", first.Position, uint64(p.events("run/" + id)[0].Position))
	equal(t, "reason while it runs", trigger().Reason, "overlap")

	// A chain that continues as new is one run.
	next := ownRecord(workflows.KindContinued, `{}`)
	next.Do = &edriv1.RunRecord_End{End: &edriv1.EndRun{Status: edriv1.RunStatus_CONTINUED, Next: &edriv1.StartRun{Input: "1"}}}
	p.mustStep(id, next)
	equal(t, "reason while the next of its chain runs", trigger().Reason, "overlap")
	p.mustStep(id, completeRecord("1"))
	equal(t, "reason after its end", trigger().Reason, "")
}

func TestScheduledRunWaitsForTheOneBefore(t *testing.T) {
	t.Parallel()
	var now int64
	p := newPlant(t, &now)
	p.define("report", 1)
	trigger := p.scheduled(edriv1.ScheduleSpec_BUFFER_ONE, &edriv1.StartRun{Type: "report", Id: "report"})
	trigger()
	one := p.run("report").Number
	equal(t, "the second", trigger().Reason, "buffered")
	p.must(&edriv1.Op{Op: &edriv1.Op_TerminateRun{TerminateRun: &edriv1.TerminateRun{Id: "report"}}})
	two := p.run("report")
	if two.Number == one || two.Status != workflows.Running {
		t.Errorf("after the end of run %d there is %+v", one, two)
	}
	// A reset is not the end.
	equal(t, "the third", trigger().Reason, "buffered")
	end := uint64(two.History[0].To)
	p.must(&edriv1.Op{Op: &edriv1.Op_ResetRun{ResetRun: &edriv1.ResetRun{Id: "report", Revision: end, DropSignals: true}}})
	three := p.run("report")
	equal(t, "status after the reset", three.Status, workflows.Running)
	equal(t, "the fourth", trigger().Reason, "buffer is full")
	p.must(&edriv1.Op{Op: &edriv1.Op_TerminateRun{TerminateRun: &edriv1.TerminateRun{Id: "report"}}})
	if four := p.run("report"); four.Number == three.Number || four.Status != workflows.Running {
		t.Errorf("after the end of run %d there is %+v", three.Number, four)
	}
}

func TestScheduledRunCancelsTheOneBefore(t *testing.T) {
	t.Parallel()
	var now int64
	p := newPlant(t, &now)
	p.define("report", 1)
	trigger := p.scheduled(edriv1.ScheduleSpec_CANCEL_OTHER, &edriv1.StartRun{Type: "report"})
	first := "nightly/" + trigger().Id
	trigger()
	equal(t, "inbox of the first", p.inbox(first), `1 cancel.requested {"reason":"another run of the schedule takes its place"}`)
	p.mustStep(first, entryRecord(1), completeRecord("1"))
}

func TestScheduleTellsOfRunsThatCannotBeStarted(t *testing.T) {
	t.Parallel()
	var now int64
	p := newPlant(t, &now)
	trigger := p.scheduled(edriv1.ScheduleSpec_SKIP, &edriv1.StartRun{Type: "report"})
	equal(t, "reason", trigger().Reason, "not_found: there is no workflow report: no worker has ever defined it")
	equal(t, "told", p.events("schedule/nightly")[0].Type, "edri.schedule.failed")

	_, _, err := p.check(&edriv1.Op{Op: &edriv1.Op_CreateSchedule{CreateSchedule: &edriv1.CreateSchedule{Name: "bad", Spec: &edriv1.ScheduleSpec{
		Every: int64(time.Hour), Action: &edriv1.ScheduleAction{Action: &edriv1.ScheduleAction_Start{Start: &edriv1.StartRun{Type: "report", Input: "{"}}},
	}}}})
	if err == nil || err.Error() != "invalid: action: start: input: is no JSON" {
		t.Errorf("a start whose input is no JSON: %v", err)
	}
}
