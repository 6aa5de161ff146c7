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

// resetTo does what a node does for a reset.
func (p *plant) resetTo(m *edriv1.ResetRun) *edriv1.CommitResult {
	p.Helper()
	if !m.DropSignals {
		v := p.core.View()
		info, err := ResetInfoOf(v, m.Id, m.Number, event.Revision(m.Revision), false)
		v.Close()
		if err != nil {
			p.Fatalf("reset info: %v", err)
		}
		m.Number, m.Through = info.Number, uint64(info.Through)
		for _, s := range info.Signals {
			m.Signals = append(m.Signals, &edriv1.RunSignal{Name: s.Name, Input: string(s.Input)})
		}
	}
	return p.do(resetRunOp(m))
}

func resetRunOp(m *edriv1.ResetRun) *edriv1.Op {
	return &edriv1.Op{Op: &edriv1.Op_ResetRun{ResetRun: m}}
}

func signalRunOp(id, name, input string) *edriv1.Op {
	return &edriv1.Op{Op: &edriv1.Op_SignalRun{SignalRun: &edriv1.SignalRun{Id: id, Signal: &edriv1.RunSignal{Name: name, Input: input}}}}
}

// signalledPlant has a run with signals before and after revision 4, the last of which it
// has not consumed, and a timer.
func signalledPlant(t *testing.T) (*plant, *int64, uint64) {
	t.Helper()
	now := new(int64)
	p := newPlant(t, now)
	p.define("order", 1)
	number := p.begin(&edriv1.StartRun{Id: "o-1", Type: "order", Attributes: `{"total":3}`, Memo: `{"m":1}`})
	p.must(signalRunOp("o-1", "first", "1"))
	p.mustStep("o-1", entryRecord(1), ownRecord(workflows.KindStepCompleted, `{"seq":1,"name":"a","attempt":1}`), timerRecord(2, time.Hour)) // 2 to 4
	p.must(signalRunOp("o-1", "second", ""))
	p.must(&edriv1.Op{Op: &edriv1.Op_UpdateRun{UpdateRun: &edriv1.UpdateRun{Id: "o-1", UpdateId: "u", Name: "add"}}})
	p.mustStep("o-1", entryRecord(2), ownRecord(workflows.KindStepCompleted, `{"seq":3,"name":"b","attempt":1}`)) // 5, 6
	p.must(signalRunOp("o-1", "third", `{"a":1}`))
	return p, now, number
}

func TestResetTakesTheBeginningAndSignalsAgain(t *testing.T) {
	t.Parallel()
	p, _, number := signalledPlant(t)
	r := p.resetTo(&edriv1.ResetRun{Id: "o-1", Revision: 4, Reason: "again"})
	if r.Error != nil {
		t.Fatal(r.Error)
	}
	next := r.Results[0].GetRunStarted().GetNumber()
	equal(t, "history", p.history("o-1", next), "started signal.received step.completed timer.set reset")
	equal(t, "inbox", p.inbox("o-1"), `1 signal.received {"name":"second"} | 2 signal.received {"name":"third","input":{"a":1}}`)
	run := p.run("o-1")
	equal(t, "run", fmt.Sprint(run.Number, run.Status, run.Busy, run.Events, run.First, run.Advance, run.Entry, run.Open), fmt.Sprint(next, workflows.Running, true, 5, number, 0, 0, 0))
	d := p.detailsOf(next)
	equal(t, "details", fmt.Sprintf("%s %s %d", d.Memo, d.Attributes, len(d.Open)), `{"m":1} {"total":3} 0`)
	old := p.runOf("o-1", number)
	equal(t, "the run before", fmt.Sprint(old.Status, old.Next), fmt.Sprint(workflows.Terminated, next))
	equal(t, "its history", p.history("o-1", number), "started signal.received step.completed timer.set signal.received step.completed terminated unhandled unhandled")
	events := p.events("run/o-1")
	for _, e := range events {
		if e.Type == workflows.HistoryPrefix+workflows.KindReset {
			equal(t, "reset", string(e.Data), fmt.Sprintf(`{"from":"%d","revision":4,"reason":"again"}`, number))
		}
	}
	// It goes on, and can be reset itself, over the parts of its history.
	p.mustStep("o-1", entryRecord(1), entryRecord(2), ownRecord(workflows.KindStepCompleted, `{"seq":3,"name":"b","attempt":1}`))
	r = p.resetTo(&edriv1.ResetRun{Id: "o-1", Revision: uint64(p.run("o-1").History[1].To) - 1})
	if r.Error != nil {
		t.Fatal(r.Error)
	}
	equal(t, "history of the third", p.history("o-1", 0), "started signal.received step.completed timer.set reset signal.received signal.received reset")
	equal(t, "inbox of the third", p.inbox("o-1"), "")
	equal(t, "list", fmt.Sprint(firstOf(p.listAll(t, `total = 3 and status = "running"`, 10, 100))), fmt.Sprint([]uint64{p.run("o-1").Number}))
}

func firstOf(numbers []uint64, _ int) []uint64 { return numbers }

func TestResetOfAnEndedRunTakesWhatWasUnhandled(t *testing.T) {
	t.Parallel()
	p, _, number := signalledPlant(t)
	end := completeRecord("1")
	end.GetEnd().Insist = true
	p.mustStep("o-1", end)
	r := p.resetTo(&edriv1.ResetRun{Id: "o-1", Number: number, Revision: 1})
	if r.Error != nil {
		t.Fatal(r.Error)
	}
	equal(t, "history", p.history("o-1", 0), "started reset")
	equal(t, "inbox", p.inbox("o-1"), `1 signal.received {"name":"first","input":1} | 2 signal.received {"name":"second"} | 3 signal.received {"name":"third","input":{"a":1}}`)
	equal(t, "status of the run before", p.runOf("o-1", number).Status, workflows.Completed)
}

func TestResetCanDropSignals(t *testing.T) {
	t.Parallel()
	p, _, _ := signalledPlant(t)
	if r := p.resetTo(&edriv1.ResetRun{Id: "o-1", Revision: 3, DropSignals: true}); r.Error != nil {
		t.Fatal(r.Error)
	}
	equal(t, "history", p.history("o-1", 0), "started signal.received step.completed reset")
	equal(t, "inbox", p.inbox("o-1"), "")
}

func TestResetIsRefused(t *testing.T) {
	t.Parallel()
	p, _, number := signalledPlant(t)
	for name, m := range map[string]*edriv1.ResetRun{
		"no revision":     {Id: "o-1", DropSignals: true},
		"nothing counted": {Id: "o-1", Revision: 4},
		"drop and more":   {Id: "o-1", Revision: 4, DropSignals: true, Signals: []*edriv1.RunSignal{{Name: "a"}}},
	} {
		if _, _, err := p.check(resetRunOp(m)); event.CodeOf(err) != event.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	equal(t, "beyond", p.code(resetRunOp(&edriv1.ResetRun{Id: "o-1", Revision: 9, DropSignals: true})), "invalid")
	equal(t, "no run", p.code(resetRunOp(&edriv1.ResetRun{Id: "o-2", Revision: 1, DropSignals: true})), "not_found")
	// The run goes on after its signals were collected: one may be missing.
	stale := &edriv1.ResetRun{Id: "o-1", Number: number, Revision: 4, Through: uint64(p.run("o-1").History[0].To)}
	p.mustStep("o-1", entryRecord(3))
	equal(t, "stale", p.code(resetRunOp(stale)), "revision_conflict")
	equal(t, "status", p.run("o-1").Status, workflows.Running)
	// What has come and was not consumed is there to be taken.
	stale.Through = uint64(p.run("o-1").History[0].To)
	p.must(signalRunOp("o-1", "late", ""))
	p.must(resetRunOp(stale))
	equal(t, "inbox", p.inbox("o-1"), `1 signal.received {"name":"third","input":{"a":1}} | 2 signal.received {"name":"late"}`)
	equal(t, "of one before", p.resetTo(&edriv1.ResetRun{Id: "o-1", Number: number, Revision: 4}).GetError().GetCode(), "check_failed")
}

// However much the run has not consumed goes along, from its own rows.
func TestResetTakesMuchThatWasNotConsumed(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	p.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
	const signals, size = maxMail + 500, 2000
	carry := &edriv1.AdvanceRun{Id: "o-1"}
	for range 500 {
		carry.Carry = append(carry.Carry, &edriv1.RunSignal{Name: "s", Input: jsonText(size)})
	}
	for carry.CarryFrom < signals {
		carry.Advance, carry.Nonce = carry.Advance+1, carry.Nonce+1
		p.must(advanceRunOp(carry))
		carry.CarryFrom += 500
	}
	p.mustStep("o-1", carriedRecord(signals))
	for range maxMail {
		p.must(signalRun("o-1", "s", jsonText(size)))
	}
	if r := p.resetTo(&edriv1.ResetRun{Id: "o-1", Revision: uint64(p.run("o-1").History[0].To)}); r.Error != nil {
		t.Fatal(r.Error)
	}
	equal(t, "unread", p.run("o-1").Unread, uint64(signals+maxMail))
	p.must(signalRun("o-1", "s", "")) // there is room for more
	p.must(terminateRun("o-1", ""))
}

// What was taken is in the commit of the reset, which says where that is too much.
func TestResetWithTooManySignals(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		signals, size int
		want          string
	}{
		"few":      {3, maxPayload, ""},
		"in bytes": {5, maxPayload, "signals of run o-1/1 after revision 1 in bytes: "},
		"many":     {maxUnreceived, 1, ""},
		"too many": {maxUnreceived + 1, 1, "number of signals of run o-1/1 after revision 1: 10001 is more than 10000"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, _ := setup(t)
			p.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
			input := "1"
			if test.size > 1 {
				input = jsonText(test.size)
			}
			for n := 0; n < test.signals; {
				var records []*edriv1.RunRecord
				for range min(500, test.signals-n) {
					n++
					p.must(signalRun("o-1", "s", input))
					records = append(records, entryRecord(uint64(n)))
				}
				p.mustStep("o-1", records...)
			}
			v := p.core.View()
			_, err := ResetInfoOf(v, "o-1", 0, 1, false)
			v.Close()
			if (test.want == "") != (err == nil) || err != nil && (event.CodeOf(err) != event.CodeTooLarge || !strings.Contains(err.Error(), test.want)) {
				t.Fatalf("got %v, want %q", err, test.want)
			}
			if err != nil {
				p.must(resetRunOp(&edriv1.ResetRun{Id: "o-1", Revision: 1, DropSignals: true}))
				equal(t, "inbox", p.inbox("o-1"), "")
				return
			}
			if r := p.resetTo(&edriv1.ResetRun{Id: "o-1", Revision: 1}); r.Error != nil {
				t.Fatal(r.Error)
			}
			equal(t, "unread", p.run("o-1").Unread, uint64(test.signals))
		})
	}
}

func TestARunIsNotResetToItsEnd(t *testing.T) {
	t.Parallel()
	for _, drop := range []bool{false, true} {
		p, _, _ := signalledPlant(t)
		if r := p.resetTo(&edriv1.ResetRun{Id: "o-1", Revision: 6, DropSignals: drop}); r.Error != nil {
			t.Fatalf("before the end: %v", r.Error)
		}
		records := []*edriv1.RunRecord{completeRecord("1")}
		if !drop {
			records = append([]*edriv1.RunRecord{entryRecord(1)}, records...)
		}
		p.mustStep("o-1", records...)
		end := p.run("o-1").History
		v := p.core.View()
		_, err := ResetInfoOf(v, "o-1", 0, event.Revision(end[len(end)-1].To), drop)
		v.Close()
		if event.CodeOf(err) != event.CodeInvalid || !strings.Contains(fmt.Sprint(err), "had ended by then") {
			t.Errorf("drop %v: %v", drop, err)
		}
		if r := p.resetTo(&edriv1.ResetRun{Id: "o-1", Revision: 1, DropSignals: drop}); r.Error != nil {
			t.Errorf("the beginning of a run that has ended: %v", r.Error)
		}
	}
}

// What a run does again after a reset, it does in the place of the children from before,
// whether they are under way or not, and whatever their policies say; those of others stay.
func TestARunThatWasResetStartsItsChildrenAgain(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	p.begin(&edriv1.StartRun{Id: "p", Type: "order"})
	p.begin(&edriv1.StartRun{Id: "others", Type: "order"})
	child := func(seq uint64, id string) *edriv1.RunRecord {
		return childRecord(seq, &edriv1.StartRun{Id: id, Type: "order", Reuse: edriv1.StartRun_NEVER}, closeAbandoned)
	}
	p.mustStep("p", child(1, "running"), child(2, "ended"))
	p.mustStep("ended", completeRecord("1"))
	before := p.run("running").Number
	for range 2 {
		p.must(resetRunOp(&edriv1.ResetRun{Id: "p", Revision: 1, DropSignals: true}))
		p.mustStep("p", child(1, "running"), child(2, "ended"), child(3, "others"))
		equal(t, "inbox", p.inbox("p"), `1 child.failed {"seq":3,"status":"failed","error":{"type":"edri.exists","message":"run others/`+
			fmt.Sprint(p.run("others").Number)+` is under way"}}`)
		equal(t, "started again", p.run("running").Status, workflows.Running)
		equal(t, "started again", p.run("ended").Status, workflows.Running)
		v := p.core.View()
		was, err := findRun(v, target{[]byte("running"), before})
		v.Close()
		if err != nil || was.status != statusTerminated {
			t.Fatalf("the child from before is %v, %v", was, err)
		}
		before = p.run("running").Number
		p.check1(t)
	}
	p.mustStep("running", completeRecord("2"))
	equal(t, "inbox", strings.Contains(p.inbox("p"), `child.completed {"seq":1`), true)
}

// What the code starts again is in the child's place, also when nobody knows any more the
// run that had started it.
func TestResetStartsChildrenOfForgottenRunsAgain(t *testing.T) {
	t.Parallel()
	for what, leave := range map[string]func(p *plant){
		"under way": func(*plant) {},
		"continued": func(p *plant) { p.mustStep("c", continueRecord(&edriv1.StartRun{})) },
		"reset":     func(p *plant) { p.must(resetRun("c", 0, uint64(p.run("c").History[0].From))) },
		"ended":     func(p *plant) { p.mustStep("c", completeRecord("1")) },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			p, _ := setup(t)
			child := &edriv1.StartRun{Id: "c", Type: "order", Reuse: edriv1.StartRun_NEVER}
			first := p.begin(&edriv1.StartRun{Id: "p", Type: "order"})
			p.mustStep("p", childRecord(1, child, closeAbandoned))
			leave(p)
			p.must(resetRun("p", 0, uint64(p.run("p").History[0].From)))
			p.must(deleteRun("p", first))
			before := p.run("c").Number
			p.mustStep("p", childRecord(1, child, closeAbandoned))
			equal(t, "inbox", p.inbox("p"), "")
			if now := p.run("c").Number; now == before {
				t.Errorf("child %d is still the one from before", now)
			}
			p.mustStep("c", completeRecord("2"))
			equal(t, "inbox at the child's end", p.inbox("p"), `1 child.completed {"seq":1,"status":"completed","result":2}`)
			// Of another run of the parent's id it is not in the place.
			p.must(terminateRun("p", ""))
			p.begin(&edriv1.StartRun{Id: "p", Type: "order"})
			p.mustStep("p", childRecord(1, child, closeAbandoned))
			if got := p.inbox("p"); !strings.Contains(got, "edri.exists") {
				t.Errorf("inbox of another run: %s", got)
			}
			p.check1(t)
		})
	}
}

// A child that ended after its parent, and is reset before the parent's children are closed,
// is nobody's: closing them is no answer to someone who wants it to run again.
func TestResetChildOfAnEndedParentIsNotClosed(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	p.begin(&edriv1.StartRun{Id: "p", Type: "order"})
	p.mustStep("p", childRecord(1, &edriv1.StartRun{Id: "ended", Type: "order"}, closeTerminated),
		childRecord(2, &edriv1.StartRun{Id: "running", Type: "order"}, closeTerminated))
	p.must(terminateRun("p", ""))
	p.must(terminateRun("ended", ""))
	for _, id := range []string{"ended", "running"} {
		p.must(resetRun(id, 0, uint64(p.run(id).History[0].From)))
	}
	p.check1(t)
	p.ring()
	p.check1(t)
	equal(t, "the one that had ended", p.run("ended").Status, workflows.Running)
	equal(t, "the one that had not", p.run("running").Status, workflows.Terminated)
}

// Only the children of the run that is reset are started again in their places: those of
// theirs are closed as they say, and what is abandoned keeps its id.
func TestResetLeavesChildrenOfChildrenToTheirClosePolicy(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	p.begin(&edriv1.StartRun{Id: "p", Type: "order"})
	family := func() {
		p.mustStep("p", childRecord(1, &edriv1.StartRun{Id: "c", Type: "order"}, closeTerminated))
		p.ring()
		p.mustStep("c", childRecord(1, &edriv1.StartRun{Id: "closed", Type: "order"}, closeTerminated),
			childRecord(2, &edriv1.StartRun{Id: "left", Type: "order"}, closeAbandoned))
		p.check1(t)
	}
	family()
	closed, left := p.run("closed").Number, p.run("left").Number
	p.must(resetRun("p", 0, uint64(p.run("p").History[0].From)))
	family()
	if p.run("closed").Number == closed {
		t.Error("the one that is closed was not started again")
	}
	equal(t, "the one that is abandoned", p.run("left").Number, left)
	equal(t, "inbox of the child", strings.Contains(p.inbox("c"), `"edri.exists"`), true)
}
