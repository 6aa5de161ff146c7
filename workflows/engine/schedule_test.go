package engine

import (
	"testing"
	"time"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
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

// A chain is one run, also when runs that it has gone through are forgotten.
func TestScheduledRunReachesAChainWithGaps(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		count  uint64 // of ended runs that are kept
		forget []int  // of the chain, where 0 is the first
		reset  bool   // instead of the last continuation
		old    bool   // the chain was begun when it had no row of its own
	}{
		"no gap":             {},
		"no gap, old":        {old: true},
		"first":              {forget: []int{0}},
		"middle":             {forget: []int{1}},
		"all before":         {forget: []int{0, 1}},
		"by count":           {count: 1},
		"middle, reset":      {forget: []int{1}, reset: true},
		"all before, reset":  {forget: []int{0, 1}, reset: true},
		"by count and reset": {count: 1, reset: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var now int64
			p := newPlant(t, &now)
			p.must(defineOp(&edriv1.DefineWorkflow{Name: "report", Version: 1, RetentionCount: c.count}))
			trigger := p.scheduled(edriv1.ScheduleSpec_CANCEL_OTHER, &edriv1.StartRun{Type: "report"})
			id := "nightly/" + trigger().Id
			chain := []uint64{p.run(id).Number}
			for range 2 {
				now++
				if c.reset && len(chain) == 2 {
					p.must(resetRun(id, 0, uint64(p.run(id).History[0].From)))
				} else {
					p.mustStep(id, continueRecord(&edriv1.StartRun{}))
				}
				chain = append(chain, p.run(id).Number)
			}
			for _, i := range c.forget {
				p.must(deleteRun(id, chain[i]))
			}
			if c.old {
				p.erase(numberKey(kindChain, chain[0]))
			} else {
				p.check1(t)
			}
			now++
			trigger()
			equal(t, "inbox of the last", p.inbox(id), `1 cancel.requested {"reason":"another run of the schedule takes its place"}`)
			p.mustStep(id, entryRecord(1), completeRecord("1"))
			if !c.old {
				p.check1(t)
			}
		})
	}
}

// eraser is a machine whose operation deletes a row of the machine of workflows.
type eraser struct{}

func (eraser) Name() string               { return "eraser" }
func (eraser) Ops() (first, last uint32)  { return 90, 90 }
func (eraser) Check(uint32, []byte) error { return nil }
func (eraser) Apply(tx *consensus.Tx, _ uint32, key []byte) ([]byte, error) {
	tx.In(machineName).Delete(key)
	return nil, nil
}

// erase deletes a row, as if it had never been written.
func (p *plant) erase(key []byte) {
	p.Helper()
	mux, err := p.cfg.Machines.With(eraser{})
	if err != nil {
		p.Fatalf("mux: %v", err)
	}
	p.cfg.Machines = mux
	p.reopen()
	p.raw(internal(90, key))
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
