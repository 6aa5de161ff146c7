package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
)

// office is a plant whose leader's loop makes its steps when a test says so.
type office struct {
	*plant
	d   *dispatcher
	now *int64
}

func setupOffice(t *testing.T) *office {
	t.Helper()
	p, now := setup(t)
	o := &office{plant: p, now: now}
	o.elect()
	return o
}

// elect makes a new leader, in the place of the one before.
func (o *office) elect() {
	o.Helper()
	if o.d != nil {
		o.engine.leading.Store(nil)
		o.d.close()
	}
	o.d = o.engine.lead(o.plant)
	if err := o.d.load(); err != nil {
		o.Fatalf("load: %v", err)
	}
	o.settle()
}

// settle lets the loop do all that there is to do.
func (o *office) settle() {
	o.Helper()
	for range 100 {
		notes := o.d.inbox.Take()
		busy, err := o.d.step(notes)
		if err != nil {
			o.Fatalf("step: %v", err)
		}
		if !busy && len(notes) == 0 {
			return
		}
	}
	o.Fatalf("the loop has always something to do")
}

func (o *office) pass(d time.Duration) {
	o.Helper()
	*o.now += int64(d)
	o.settle()
}

// join makes a worker of "order" one of the leader's.
func (o *office) join(name string, credits int, held ...workflows.Held) *Session {
	o.Helper()
	s, err := o.engine.Join(workflows.Worker{
		Name: name, Workflows: []workflows.Workflow{{Type: "order", Version: 1}}, Credits: credits, Held: held,
	})
	if err != nil {
		o.Fatalf("join: %v", err)
	}
	o.settle()
	return s
}

// told renders what a worker is told since it was looked at last.
func (o *office) told(s *Session) string {
	o.Helper()
	o.settle()
	messages, err := s.Take(nil)
	var parts []string
	entries := func(list []workflows.Entry) string {
		var kinds []string
		for _, e := range list {
			kinds = append(kinds, fmt.Sprintf("%d:%s", e.Number, e.Kind))
		}
		return "[" + strings.Join(kinds, " ") + "]"
	}
	for _, m := range messages {
		switch {
		case m.Assign != nil:
			parts = append(parts, fmt.Sprintf("assign %s@%d %s+%d", m.Assign.Run.ID, m.Assign.Run.Advance, entries(m.Assign.Entries), len(m.Assign.Events)))
		case m.Entries != nil:
			parts = append(parts, fmt.Sprintf("entries of %d %s", m.Entries.Number, entries(m.Entries.Entries)))
		case m.Drain != nil:
			parts = append(parts, fmt.Sprintf("drain %d", m.Drain.Number))
		case m.Revoke != nil:
			parts = append(parts, fmt.Sprintf("revoke %d", m.Revoke.Number))
		case m.Query != nil:
			parts = append(parts, fmt.Sprintf("query %d of %s", m.Query.ID, m.Query.Run.ID))
		case m.Advanced != nil:
			parts = append(parts, fmt.Sprintf("advanced %d", m.Advanced.Advance))
		}
	}
	if err != nil {
		parts = append(parts, "end "+string(event.CodeOf(err)))
	}
	return strings.Join(parts, ", ")
}

// work commits an advance that leaves the run busy or at rest.
func (o *office) work(id string, busy bool, records ...*edriv1.RunRecord) {
	o.Helper()
	r := o.run(id)
	o.must(advanceRunOp(&edriv1.AdvanceRun{Id: id, Number: r.Number, Advance: r.Advance + 1, Nonce: r.Advance + 1, Busy: busy, Records: records}))
}

func TestRunsAreGivenOutInTurn(t *testing.T) {
	t.Parallel()
	o := setupOffice(t)
	a, b := o.join("a", 2), o.join("b", 2)
	for i := range 4 {
		o.begin(&edriv1.StartRun{Id: fmt.Sprint("o-", i), Type: "order"})
		o.settle()
	}
	equal(t, "a", o.told(a), "assign o-0@0 []+1, assign o-2@0 []+1")
	equal(t, "b", o.told(b), "assign o-1@0 []+1, assign o-3@0 []+1")
	// Without credits there is nothing more, and with some there is.
	o.begin(&edriv1.StartRun{Id: "o-4", Type: "order"})
	equal(t, "without credits", o.told(a)+o.told(b), "")
	a.Release(o.run("o-0").Number) // gives none
	equal(t, "after a release", o.told(a)+o.told(b), "")
	b.Heard(1)
	equal(t, "b with one credit", o.told(b), "assign o-4@0 []+1")
	a.Heard(1)
	equal(t, "a with one credit", o.told(a), "assign o-0@0 []+1")
	equal(t, "holder", o.engine.Holder(o.run("o-4").Number), "b")
}

func TestWorkersGetWhatTheyKnow(t *testing.T) {
	t.Parallel()
	o := setupOffice(t)
	o.define("order", 2)
	a := o.join("a", 9)
	o.begin(&edriv1.StartRun{Id: "new", Type: "order"})
	o.begin(&edriv1.StartRun{Id: "old", Type: "order", Version: 1, Delay: int64(time.Second)})
	equal(t, "before its begin", o.told(a), "")
	*o.now += int64(time.Second)
	o.ring()
	equal(t, "at its begin", o.told(a), "assign old@0 []+1")
	if _, err := o.engine.Join(workflows.Worker{Name: "b"}); event.CodeOf(err) != event.CodeInvalid {
		t.Errorf("a worker that knows nothing: %v", err)
	}
}

// A run stays with its worker while it rests, and what comes goes there.
func TestEntriesGoToTheWorkerThatHasTheRun(t *testing.T) {
	t.Parallel()
	o := setupOffice(t)
	a, b := o.join("a", 1), o.join("b", 9)
	number := o.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
	o.must(signalRun("o-1", "s", ""))
	equal(t, "given", o.told(a), "assign o-1@0 [1:signal.received]+1")
	o.work("o-1", false, entryRecord(1))
	equal(t, "at rest", o.told(a), "")
	o.must(signalRun("o-1", "s", ""))
	o.must(signalRun("o-1", "s", ""))
	equal(t, "entries", o.told(a), fmt.Sprintf("entries of %d [2:signal.received 3:signal.received]", number))
	o.must(signalRun("o-1", "s", ""))
	equal(t, "one more", o.told(a), fmt.Sprintf("entries of %d [4:signal.received]", number))
	// What it gives back another gets, with all that was not consumed.
	o.work("o-1", false, entryRecord(2))
	a.Release(number)
	equal(t, "to another", o.told(b), "assign o-1@2 [3:signal.received 4:signal.received]+0")
	o.work("o-1", false, entryRecord(3), entryRecord(4))
	b.Release(number) // before the loop has seen that it rests
	equal(t, "at rest, without a worker", o.told(a)+o.told(b), "")
	equal(t, "tasks", len(o.d.tasks), 0)
	o.must(signalRun("o-1", "s", ""))
	equal(t, "when something comes", o.told(b), "assign o-1@3 [5:signal.received]+0")
}

func TestEndOfARunReachesItsWorker(t *testing.T) {
	t.Parallel()
	o := setupOffice(t)
	a := o.join("a", 9)
	number := o.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
	o.told(a)
	o.must(terminateRun("o-1", ""))
	equal(t, "terminated", o.told(a), fmt.Sprint("revoke ", number))
	a.Release(number)
	o.begin(&edriv1.StartRun{Id: "o-2", Type: "order"})
	o.told(a)
	o.work("o-2", false, completeRecord("1"))
	equal(t, "its own end", o.told(a), "")
	// It ends, and is forgotten, before the loop looks.
	o.begin(&edriv1.StartRun{Id: "o-3", Type: "order"})
	if _, err := o.d.step(o.d.inbox.Take()); err != nil {
		t.Fatal(err)
	}
	o.must(terminateRun("o-3", ""))
	o.must(deleteRun("o-3", 0))
	o.told(a)
	equal(t, "tasks", len(o.d.tasks), 0)
	equal(t, "held", len(a.held), 0)
}

// A run that is forgotten when a view of it is wanted is none of the loop's errors.
func TestRunIsForgottenBeforeItIsGivenOut(t *testing.T) {
	t.Parallel()
	o := setupOffice(t)
	a := o.join("a", 9)
	o.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
	started := o.d.inbox.Take()
	o.must(terminateRun("o-1", ""))
	o.must(deleteRun("o-1", 0))
	if _, err := o.d.step(started); err != nil {
		t.Fatal(err)
	}
	equal(t, "told", o.told(a), "")
	equal(t, "tasks", len(o.d.tasks), 0)
}

// A worker may give a run back that rests before the loop is told so.
func TestRunThatRestsIsNotGivenOut(t *testing.T) {
	t.Parallel()
	o := setupOffice(t)
	a := o.join("a", 9)
	number := o.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
	o.told(a)
	o.work("o-1", false)
	rests := o.d.inbox.Take()
	a.Release(number)
	for _, notes := range [][]any{nil, rests} {
		if _, err := o.d.step(notes); err != nil {
			t.Fatal(err)
		}
	}
	equal(t, "told", o.told(a), "")
	equal(t, "tasks", len(o.d.tasks), 0)
	o.must(signalRun("o-1", "s", ""))
	equal(t, "when something comes", o.told(a), "assign o-1@1 [1:signal.received]+1")
}

func TestPauseDrainsAndResumeGivesOut(t *testing.T) {
	t.Parallel()
	o := setupOffice(t)
	a := o.join("a", 9)
	number := o.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
	o.told(a)
	o.must(pauseRun("o-1", true, ""))
	o.must(signalRun("o-1", "s", ""))
	equal(t, "paused", o.told(a), fmt.Sprint("drain ", number))
	o.work("o-1", true, ownRecord(workflows.KindStepCompleted, "1"))
	a.Release(number)
	equal(t, "given back", o.told(a), "")
	o.must(pauseRun("o-1", false, ""))
	equal(t, "resumed", o.told(a), "assign o-1@1 [1:signal.received]+0")
	// Resumed before it was given back.
	o.must(pauseRun("o-1", true, ""))
	o.must(signalRun("o-1", "s", ""))
	o.settle()
	o.must(pauseRun("o-1", false, ""))
	equal(t, "paused and resumed", o.told(a), fmt.Sprintf("drain %d, entries of %d [2:signal.received]", number, number))
	a.Release(number)
	equal(t, "given back and out", o.told(a), "assign o-1@1 [1:signal.received 2:signal.received]+0")
	// Of a new leader too a paused run is nobody's.
	o.must(pauseRun("o-1", true, ""))
	o.elect()
	b := o.join("b", 9, workflows.Held{Number: number, Advance: 1})
	o.pass(time.Minute / 10)
	equal(t, "held while it is paused", o.told(b), fmt.Sprint("revoke ", number))
}

// What workers still have of a leader before they keep, if nobody has gone on with it.
func TestLeaderAdoptsWhatWorkersHold(t *testing.T) {
	t.Parallel()
	o := setupOffice(t)
	var held []workflows.Held
	for i := range 6 {
		id := fmt.Sprint("o-", i)
		number := o.begin(&edriv1.StartRun{Id: id, Type: "order"})
		for range 3 {
			o.work(id, true, ownRecord(workflows.KindStepCompleted, "1"))
		}
		held = append(held, workflows.Held{Number: number, Advance: 3})
	}
	held[1].Advance = 2 // its last advance was committed, which it does not know
	held[2].Advance = 1
	held[3].Advance = 4
	o.must(terminateRun("o-4", ""))
	o.must(signalRun("o-0", "s", ""))
	o.elect()
	a := o.join("a", 9, append(held[:5], workflows.Held{Number: 99})...)
	equal(t, "told", o.told(a), fmt.Sprintf("revoke %d, revoke %d, revoke %d, revoke 99, entries of %d [1:signal.received]",
		held[2].Number, held[3].Number, held[4].Number, held[0].Number))
	b := o.join("b", 9, workflows.Held{Number: held[0].Number, Advance: 3})
	equal(t, "another that has it", o.told(b), fmt.Sprint("revoke ", held[0].Number))
	// The others are lost when they had their time, once, and given out then.
	o.pass(adoptionTime - 1)
	equal(t, "before", o.told(a)+o.told(b), "")
	o.pass(tick)
	equal(t, "after", o.told(b)+", "+o.told(a), "assign o-3@3 [1:worker.lost]+0, assign o-2@3 [1:worker.lost]+0, assign o-5@3 [1:worker.lost]+0")
	o.pass(adoptionTime + tick)
	for i, want := range []string{"1 signal.received {\"name\":\"s\"}", "", "1 worker.lost {}", "1 worker.lost {}", "", "1 worker.lost {}"} {
		equal(t, fmt.Sprint("inbox of o-", i), o.inbox(fmt.Sprint("o-", i)), want)
	}
}

// A run that waits for a worker, and one that came meanwhile, are lost by nobody.
func TestRunsAtRestAreNotLost(t *testing.T) {
	t.Parallel()
	o := setupOffice(t)
	o.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
	o.work("o-1", false)
	o.must(signalRun("o-1", "s", ""))
	o.elect()
	o.begin(&edriv1.StartRun{Id: "o-2", Type: "order"})
	a := o.join("a", 9)
	equal(t, "at once", o.told(a), "assign o-2@0 []+1")
	o.pass(adoptionTime)
	equal(t, "after the time", o.told(a), "assign o-1@1 [1:signal.received]+1")
}

func TestWorkerThatLeaves(t *testing.T) {
	t.Parallel()
	for _, graceful := range []bool{true, false} {
		t.Run(fmt.Sprint("graceful=", graceful), func(t *testing.T) {
			t.Parallel()
			o := setupOffice(t)
			a := o.join("a", 9)
			number := o.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
			rests := o.begin(&edriv1.StartRun{Id: "rests", Type: "order"})
			o.told(a)
			o.work("o-1", true, ownRecord(workflows.KindStepCompleted, "1"))
			o.work("rests", false)
			o.settle()
			b := o.join("b", 9)
			a.Leave(graceful)
			a.Leave(graceful) // again
			if graceful {
				equal(t, "at once", o.told(b), "assign o-1@1 []+0")
				equal(t, "inbox", o.inbox("o-1"), "")
				return
			}
			equal(t, "for the time being", o.told(b), "")
			o.must(signalRun("rests", "s", ""))
			equal(t, "what rested is nobody's", o.told(b), "assign rests@1 [1:signal.received]+1")
			o.must(signalRun("o-1", "s", ""))
			back := o.join("a", 9, workflows.Held{Number: number, Advance: 1}, workflows.Held{Number: rests, Advance: 1})
			equal(t, "back in time", o.told(back), fmt.Sprintf("revoke %d, entries of %d [1:signal.received]", rests, number))
			back.Leave(false)
			o.pass(adoptionTime)
			equal(t, "not back", o.told(b), "assign o-1@1 [1:signal.received 2:worker.lost]+0")
			o.pass(adoptionTime)
			equal(t, "lost once", o.inbox("o-1"), `1 signal.received {"name":"s"} | 2 worker.lost {}`)
		})
	}
}

func TestWorkerThatIsSilentIsLost(t *testing.T) {
	t.Parallel()
	o := setupOffice(t)
	a, b := o.join("a", 9), o.join("b", 0)
	o.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
	o.told(a)
	o.pass(silence)
	b.Heard(1)
	o.pass(1 + tick)
	equal(t, "a", o.told(a), "end unavailable")
	equal(t, "b", o.told(b), "")
	a.Heard(9) // too late
	o.pass(adoptionTime)
	equal(t, "b when a is lost", o.told(b), "assign o-1@0 [1:worker.lost]+1")
}

func TestLostRunsAreNotedAgainWhereThatFailed(t *testing.T) {
	t.Parallel()
	o := setupOffice(t)
	o.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
	o.elect()
	o.d.node = refusing{o.plant}
	a := o.join("a", 9)
	o.pass(adoptionTime)
	o.pass(tick)
	equal(t, "while it is refused", o.told(a), "")
	o.d.node = o.plant
	o.pass(tick)
	equal(t, "then", o.told(a), "assign o-1@0 [1:worker.lost]+1")
}

type refusing struct{ *plant }

func (refusing) Enqueue(_ uint32, _ []byte, done func(*event.Error)) {
	done(event.Errorf(event.CodeUnavailable, "not now"))
}

func TestQueries(t *testing.T) {
	t.Parallel()
	o := setupOffice(t)
	number := o.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
	type result struct {
		text   string
		failed *workflows.Error
		err    error
	}
	ask := func(id string) chan result {
		c := make(chan result, 1)
		before := o.d.asked
		go func() {
			b, failed, err := o.engine.Query(t.Context(), id, 0, "q", nil)
			c <- result{string(b), failed, err}
		}()
		for range 10_000 { // until it is asked or answered
			o.d.mu.Lock()
			asked := o.d.asked > before
			o.d.mu.Unlock()
			if asked || len(c) > 0 {
				break
			}
			time.Sleep(time.Millisecond)
		}
		return c
	}
	for input, code := range map[string]event.Code{"{": event.CodeInvalid, `"` + strings.Repeat("x", maxPayload-1) + `"`: event.CodeTooLarge} {
		_, _, err := o.engine.Query(t.Context(), "o-1", 0, "q", []byte(input))
		equal(t, "input", event.CodeOf(err), code)
	}
	_, _, err := o.engine.Query(t.Context(), "o-1", 0, "", nil)
	equal(t, "name", event.CodeOf(err), event.CodeInvalid)
	equal(t, "without a worker", event.CodeOf((<-ask("o-1")).err), event.CodeUnavailable)
	equal(t, "of no run", event.CodeOf((<-ask("o-2")).err), event.CodeNotFound)
	a, b := o.join("a", 1), o.join("b", 1)
	o.told(a)
	c := ask("o-1")
	equal(t, "the holder", o.told(a), "query 1 of o-1")
	b.Answer(workflows.Answer{ID: 1, Result: []byte("not b's")})
	a.Answer(workflows.Answer{ID: 1, Result: []byte("7")})
	a.Answer(workflows.Answer{ID: 1, Result: []byte("8")})
	equal(t, "answer", (<-c).text, "7")
	o.work("o-1", false, completeRecord("1"))
	o.settle()
	first, second := ask("o-1"), ask("o-1")
	equal(t, "any, in turn", o.told(a)+", "+o.told(b), "query 2 of o-1, query 3 of o-1")
	a.Answer(workflows.Answer{ID: 2, Err: &workflows.Error{Message: "no such query"}})
	equal(t, "failure", (<-first).failed.Message, "no such query")
	b.Leave(true)
	equal(t, "of one that is gone", event.CodeOf((<-second).err), event.CodeUnavailable)
	last := ask("o-1")
	o.elect()
	equal(t, "of a leader that is gone", event.CodeOf((<-last).err), event.CodeUnavailable)
	o.engine.leading.Store(nil)
	if _, _, err := o.engine.Query(t.Context(), "o-1", number, "q", nil); event.CodeOf(err) != event.CodeNotLeader {
		t.Errorf("where none leads: %v", err)
	}
	if _, err := o.engine.Join(workflows.Worker{}); event.CodeOf(err) != event.CodeNotLeader {
		t.Errorf("join where none leads: %v", err)
	}
	equal(t, "holder where none leads", o.engine.Holder(number), "")
}

// A leader ends what those before it had, and takes what its view did not show.
func TestOneLeaderAfterAnother(t *testing.T) {
	t.Parallel()
	o := setupOffice(t)
	a := o.join("a", 9)
	o.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
	o.told(a)
	o.elect()
	equal(t, "the session of before", o.told(a), "end not_leader")
	a.Heard(1)
	a.Release(1)
	a.Leave(true)

	o.d.close()
	d := o.engine.lead(o.plant)
	o.d = d
	if _, err := o.engine.Join(workflows.Worker{Workflows: []workflows.Workflow{{Type: "order", Version: 1}}}); event.CodeOf(err) != event.CodeUnavailable {
		t.Errorf("join before it has loaded: %v", err)
	}
	o.begin(&edriv1.StartRun{Id: "early", Type: "order"}) // in its view
	notes := []any{noteRun{number: o.run("o-1").Number, typ: "order", version: 1, ready: true, last: 7}}
	d.inbox.Put(o.index-1, notes) // of before its view, and told late
	if err := d.load(); err != nil {
		t.Fatal(err)
	}
	d.inbox.Put(o.index, notes)
	o.begin(&edriv1.StartRun{Id: "late", Type: "order"})
	o.settle()
	equal(t, "entries of o-1", d.tasks[o.run("o-1").Number].last, 0)
	equal(t, "tasks", len(d.tasks), 3)
}

// A worker may know of a run what the loop was not told yet.
func TestLateWorkerDoesNotBringAnEndedRunBack(t *testing.T) {
	t.Parallel()
	o := setupOffice(t)
	number := o.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
	o.must(terminateRun("o-1", ""))
	a := o.join("a", 9, workflows.Held{Number: number})
	equal(t, "told", o.told(a), fmt.Sprint("revoke ", number))
	equal(t, "tasks", len(o.d.tasks), 0)
}

// A purge that was admitted by an older node is the worker's to find out.
func TestRunWhoseHistoryWasPurgedIsGivenOut(t *testing.T) {
	t.Parallel()
	o := setupOffice(t)
	o.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
	o.raw(consensus.PurgeCommit("run/o-1", 2, 1, 0))
	a := o.join("a", 9)
	equal(t, "told", o.told(a), "assign o-1@0 []+0")
}

// Workers come and go at random while runs are started and worked on, and all of them end.
func TestWorkersComeAndGo(t *testing.T) {
	t.Parallel()
	p := openPlant(t, t.TempDir(), func() int64 { return time.Now().UnixNano() })
	t.Cleanup(func() { _ = p.core.Close() })
	p.define("order", 1)
	ctx, stop := context.WithCancel(t.Context())
	led := make(chan error, 1)
	lead := func(ctx context.Context) { led <- p.engine.Lead(ctx, p) }
	term, depose := context.WithCancel(ctx)
	go lead(term)
	var workers sync.WaitGroup
	for w := range 4 {
		workers.Go(func() { p.hand(ctx, w) })
	}
	const runs = 60
	for i := range runs {
		p.begin(&edriv1.StartRun{Id: fmt.Sprint("o-", i), Type: "order"})
		if i == runs/2 { // another leader
			depose()
			if err := <-led; err != nil {
				t.Fatal(err)
			}
			go lead(ctx)
		}
	}
	for i := range runs {
		within, cancel := context.WithTimeout(ctx, time.Minute)
		if o, err := p.engine.Await(within, p, fmt.Sprint("o-", i), 0); err != nil || o.Status != workflows.Completed {
			t.Errorf("run %d: %v, %v", i, o, err)
		}
		cancel()
	}
	stop()
	depose()
	workers.Wait()
	if err := <-led; err != nil {
		t.Error(err)
	}
	p.check1(t)
}

// hand is a worker that leaves, now and then with what it holds, and comes back.
func (p *plant) hand(ctx context.Context, name int) {
	for n := name; ctx.Err() == nil; n++ {
		s, err := p.engine.Join(workflows.Worker{Name: fmt.Sprint(name), Workflows: []workflows.Workflow{{Type: "order", Version: 1}}, Credits: 2})
		if err != nil {
			time.Sleep(time.Millisecond)
			continue
		}
		for range 5 + n%7 {
			select {
			case <-s.Ready():
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
			messages, err := s.Take(nil)
			for _, m := range messages {
				if m.Assign != nil && n%3 > 0 { // else it keeps it to itself
					p.finish(m.Assign)
					s.Release(m.Assign.Run.Number)
					s.Heard(1)
				}
			}
			if err != nil {
				break
			}
		}
		s.Leave(n%2 == 0)
	}
}

// finish advances a run to its end, as far as no other has.
func (p *plant) finish(a *workflows.Assign) {
	for advance := a.Run.Advance + 1; advance <= 3; advance++ {
		records := []*edriv1.RunRecord{ownRecord(workflows.KindStepCompleted, "1")}
		if advance == 3 {
			end := completeRecord("1")
			end.GetEnd().Insist = true
			records = append(records, end)
		}
		b, info, err := p.check(advanceRunOp(&edriv1.AdvanceRun{
			Id: a.Run.ID, Number: a.Run.Number, Advance: advance, Nonce: uint64(time.Now().UnixNano()), Busy: true, Records: records,
		}))
		if err != nil {
			p.Errorf("check: %v", err)
			return
		}
		if r := p.raw(consensus.SealCommit(nil, b, info, 0)); r.Error != nil {
			if code := r.Error.Code; code != "revision_conflict" && code != "run_ended" {
				p.Errorf("advance: %v", errors.New(r.Error.Message))
			}
			return
		}
	}
}

// slow is a node whose commits take until a test says so.
type slow struct {
	*plant
	pending []func()
}

func (s *slow) Enqueue(op uint32, body []byte, done func(*event.Error)) {
	s.pending = append(s.pending, func() { s.plant.Enqueue(op, body, done) })
}

// Each worker that had a run is lost for itself, also where one comes back and goes again
// while it is noted that it is lost.
func TestWorkerLeavesAgainWhileItsLossIsNoted(t *testing.T) {
	t.Parallel()
	o := setupOffice(t)
	number := o.begin(&edriv1.StartRun{Id: "o-1", Type: "order"})
	o.elect()
	node := &slow{plant: o.plant}
	o.d.node = node
	b := o.join("b", 9)
	o.pass(adoptionTime)
	a := o.join("a", 0, workflows.Held{Number: number})
	equal(t, "adopted", o.told(a), "")
	a.Leave(false)
	node.pending[0]()
	equal(t, "when the first loss is noted", o.told(b), "")
	o.pass(adoptionTime)
	node.pending[1]()
	equal(t, "when the second is", o.told(b), "assign o-1@0 [1:worker.lost 2:worker.lost]+1")
	equal(t, "losses", len(node.pending), 2)
}
