package engine

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

func rejectRecord(entry uint64, failure string) *edriv1.RunRecord {
	return &edriv1.RunRecord{Entry: entry, Reject: failure}
}

// answerOf is the answer to an update; "open" if there is none.
func (p *plant) answerOf(number uint64, id string) string {
	p.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	result, failed, err := p.engine.AwaitUpdate(ctx, p, number, id)
	switch {
	case err == context.Canceled:
		return "open"
	case err != nil:
		return string(event.CodeOf(err))
	case len(failed) > 0:
		return "failed " + string(failed)
	}
	return string(result)
}

func TestUpdates(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	number := p.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
	for range 2 { // the second is the first again, whatever else it says
		p.must(updateRun("o-1", "u-1", "add", "1"))
	}
	p.must(updateRun("o-1", "u-2", "add", "2"))
	p.must(updateRun("o-1", "u-3", "add", "3"))
	equal(t, "inbox", p.inbox("o-1"), `1 update.accepted {"id":"u-1","name":"add","input":1} | 2 update.accepted {"id":"u-2","name":"add","input":2} | 3 update.accepted {"id":"u-3","name":"add","input":3}`)
	equal(t, "no such update", p.answerOf(number, "u-4"), "not_found")
	p.mustStep("o-1", entryRecord(1), rejectRecord(2, `{"message":"no"}`))
	equal(t, "u-1", p.answerOf(number, "u-1"), "open")
	equal(t, "u-2", p.answerOf(number, "u-2"), `failed {"message":"no"}`)
	p.mustStep("o-1", finishRecord("u-1", "11"))
	equal(t, "u-1 with its answer", p.answerOf(number, "u-1"), "11")
	p.mustStep("o-1", finishRecord("u-1", "12"), finishRecord("never", "1"))
	equal(t, "u-1 answered again", p.answerOf(number, "u-1"), "11")
	equal(t, "history", p.history("o-1", number), "started update.accepted update.completed update.completed update.completed")
	p.must(updateRun("o-1", "u-1", "add", "1"))
	end := completeRecord("1")
	end.GetEnd().Insist = true
	p.mustStep("o-1", end)
	equal(t, "u-3", p.answerOf(number, "u-3"), `failed {"type":"edri.unhandled","message":"the run ended before it had an answer"}`)
	// The same again is known after the end, another is refused.
	p.must(updateRun("o-1", "u-1", "add", "1"))
	equal(t, "another", p.code(updateRun("o-1", "u-5", "add", "1")), "run_ended")
	p.must(deleteRun("o-1", 0))
	equal(t, "when it is forgotten", p.answerOf(number, "u-1"), "not_found")
}

func TestEntriesAreConsumedInOrder(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	p.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
	p.must(signalRun("o-1", "a", ""))
	p.must(signalRun("o-1", "b", ""))
	for what, records := range map[string][]*edriv1.RunRecord{
		"the second first": {entryRecord(2)}, "the first twice": {entryRecord(1), entryRecord(1)},
		"one that has not come": {entryRecord(1), entryRecord(2), entryRecord(3)}, "a signal rejected": {rejectRecord(1, "{}")},
		"one after the end": {entryRecord(1), entryRecord(2), completeRecord("1"), ownRecord(workflows.KindStepCompleted, "1")},
	} {
		equal(t, what, p.step("o-1", records...).GetError().GetCode(), "invalid")
	}
	equal(t, "history", p.history("o-1", 0), "started")
	p.mustStep("o-1", entryRecord(1))
	equal(t, "inbox", p.inbox("o-1"), `2 signal.received {"name":"b"}`)
	equal(t, "without any work", p.rows(), "b1 e1 i1 r1 x2")
	p.mustStep("o-1", entryRecord(2))
	equal(t, "at rest", p.rows(), "i1 r1 x2")
}

func TestCancelIsAskedOnce(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	p.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
	p.must(cancelRunOp("o-1", "first"))
	p.must(cancelRunOp("o-1", "second"))
	equal(t, "inbox", p.inbox("o-1"), `1 cancel.requested {"reason":"first"}`)
	// Not consumed, it goes on to the next run, which is not asked again either.
	p.mustStep("o-1", continueRecord(&edriv1.StartRun{}))
	p.must(cancelRunOp("o-1", "third"))
	equal(t, "inbox of the next", p.inbox("o-1"), `1 cancel.requested {"reason":"first"}`)
	p.mustStep("o-1", entryRecord(1))
	p.mustStep("o-1", failRecord(`{"message":"canceled"}`))
	equal(t, "of an ended run", p.code(cancelRunOp("o-1", "")), "run_ended")
}

func TestPauseResumeAndRetry(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	number := p.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
	equal(t, "retry of one that is not paused", p.code(retryRun("o-1")), "check_failed")
	p.must(pauseRun("o-1", false, ""))
	p.must(pauseRun("o-1", true, "look"))
	p.must(pauseRun("o-1", true, "again"))
	equal(t, "note", p.detailsOf(number).Note, "look")
	equal(t, "retry of one that was paused by request", p.code(retryRun("o-1")), "check_failed")
	equal(t, "paused after that", p.run("o-1").Paused, true)
	p.must(signalRun("o-1", "s", ""))
	// A worker that has the run commits what it has done.
	over := p.step("o-1", ownRecord(workflows.KindStepCompleted, "1"))
	equal(t, "over", over.Results[0].GetRunAdvanced().GetOver(), true)
	p.must(pauseRun("o-1", false, ""))
	equal(t, "note when it is resumed", p.detailsOf(number).Note, "")
	p.must(advanceRunOp(&edriv1.AdvanceRun{Id: "o-1", Advance: p.run("o-1").Advance + 1, Nonce: 9, Block: &edriv1.RunBlock{Reason: "divergence", Details: `{"at":3}`}}))
	equal(t, "paused", p.run("o-1").Paused, true)
	equal(t, "note of the block", p.detailsOf(number).Note, "divergence")
	p.must(pauseRun("o-1", true, "look"))
	equal(t, "note of the block when it is paused", p.detailsOf(number).Note, "divergence")
	p.must(retryRun("o-1"))
	equal(t, "inbox", p.inbox("o-1"), `1 signal.received {"name":"s"} | 2 retry.requested {}`)
	equal(t, "history", p.history("o-1", number), "started paused step.completed resumed paused resumed")
	p.must(terminateRun("o-1", ""))
	equal(t, "pause of an ended run", p.code(pauseRun("o-1", true, "")), "run_ended")
	equal(t, "retry of an ended run", p.code(retryRun("o-1")), "run_ended")
}

func TestLostWorkersAreNotedOfBusyRunsAlone(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	number := p.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
	lose := func(advance uint64) {
		p.raw(internal(opLose, encodeLose([]lost{{number, advance}, {99, 1}})))
	}
	lose(1)
	equal(t, "another advance", p.inbox("o-1"), "")
	lose(0)
	equal(t, "inbox", p.inbox("o-1"), "1 worker.lost {}")
	p.mustStep("o-1", entryRecord(1))
	lose(1)
	equal(t, "at rest", p.inbox("o-1"), "")
	p.must(terminateRun("o-1", ""))
	lose(1)
	equal(t, "clients lose none", event.CodeOf(p.engine.Check(opLose, nil)), event.CodeInvalid)
}

func TestAwaitReturnsTheEndOfTheChain(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	first := p.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
	type result struct {
		Outcome
		err error
	}
	ended := make(chan result)
	for _, number := range []uint64{0, first} {
		go func() {
			o, err := p.engine.Await(t.Context(), p, "o-1", number)
			ended <- result{o, err}
		}()
	}
	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if o, err := p.engine.Await(short, p, "o-1", 0); err != nil || o.Status != workflows.Running {
		t.Errorf("while it runs: %v, %v", o, err)
	}
	p.mustStep("o-1", continueRecord(&edriv1.StartRun{}))
	p.mustStep("o-1", completeRecord("7"))
	last := p.run("o-1").Number
	for range 2 {
		got := <-ended
		if got.err != nil || got.Status != workflows.Completed || string(got.Result) != "7" || got.Number != last {
			t.Errorf("got %+v, %v", got.Outcome, got.err)
		}
	}
	if _, err := p.engine.Await(t.Context(), p, "o-2", 0); event.CodeOf(err) != event.CodeNotFound {
		t.Errorf("no such run: %v", err)
	}
	if _, err := p.engine.Await(t.Context(), p, "o-2", first); event.CodeOf(err) != event.CodeNotFound {
		t.Errorf("another's number: %v", err)
	}
	if len(p.engine.waiting.ends) != 0 {
		t.Errorf("waits are left: %v", p.engine.waiting.ends)
	}
}

// A node that is behind hears of a run by its own apply.
func TestAwaitStartHearsOfARun(t *testing.T) {
	t.Parallel()
	p, _ := setup(t)
	number := p.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
	next := number + 1 // incarnations are given in turn
	if !p.engine.AwaitStart(t.Context(), p, number) {
		t.Error("it does not know a run that is there")
	}
	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if p.engine.AwaitStart(short, p, next) {
		t.Error("it knows a run that is not there")
	}
	heard := make(chan bool)
	go func() { heard <- p.engine.AwaitStart(t.Context(), p, next) }()
	for waits := 0; waits == 0; {
		p.engine.waiting.mu.Lock()
		waits = len(p.engine.waiting.starts)
		p.engine.waiting.mu.Unlock()
		runtime.Gosched()
	}
	if got := p.begin(&edriv1.StartRun{Id: "o-2", Type: "order"}); got != next {
		t.Fatalf("run %d, want %d", got, next)
	}
	if !<-heard {
		t.Error("it did not hear of the run")
	}
	if len(p.engine.waiting.starts) != 0 {
		t.Errorf("waits are left: %v", p.engine.waiting.starts)
	}
}
