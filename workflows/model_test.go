package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/workflows"
	"github.com/edri-io/edri/workflows/workflowstest"
)

// node is a workflow as a tree, which one workflow function interprets: what it does must
// not depend on where workers are lost.
type node struct {
	Op   string
	ID   int
	Kids []node `json:",omitempty"`
	// Fails is how many attempts of a step fail, -1: it fails for good. Undo: it has a
	// compensation. Takes is how long a step runs in all its attempts, or a sleep lasts.
	Fails int           `json:",omitempty"`
	Undo  bool          `json:",omitempty"`
	Takes time.Duration `json:",omitempty"`
	// OnClose is what a child is closed by.
	OnClose workflows.ClosePolicy `json:",omitempty"`
}

const (
	opStep   = "step"
	opSleep  = "sleep"
	opSignal = "signal"
	opSeq    = "seq"
	opPar    = "par"
	opAny    = "any" // the first of two timers, and what is left is canceled
	opChild  = "child"
)

// progress is what an attempt of a step says of it, for the next to go on with.
type progress struct {
	ID   int
	Done time.Duration
}

var modelStep = workflows.NewStep("step", func(ctx context.Context, n node) (string, error) {
	at, ok := workflows.HeartbeatDetails[progress](ctx)
	if ok && (at.ID != n.ID || at.Done <= 0 || at.Done > n.Takes) {
		return "", workflows.Final(fmt.Errorf("step %d of %v was told of %+v", n.ID, n.Takes, at))
	}
	for at.ID = n.ID; at.Done < n.Takes; {
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(time.Second):
		}
		at.Done += time.Second
		if err := workflows.Heartbeat(ctx, at); err != nil {
			return "", err
		}
	}
	workflows.Effects(ctx).Emit("ledger", "done", fmt.Sprint("do ", n.ID))
	switch {
	case n.Fails < 0:
		return "", workflows.Final(fmt.Errorf("step: %w", &outOfStock{fmt.Sprint(n.ID)}))
	case workflows.Attempt(ctx) <= n.Fails:
		return "", errors.New("once more")
	}
	return fmt.Sprint(n.ID), nil
}, workflows.StepOptions{Retry: workflows.Retry{Initial: time.Second}})

var undoStep = workflows.NewStep("undo", func(ctx context.Context, n node) (string, error) {
	workflows.Effects(ctx).Emit("ledger", "undone", fmt.Sprint("undo ", n.ID))
	return "", nil
})

var modelFlow = workflows.Define("model", 1, func(ctx workflows.Context, n node) (string, error) {
	return interpret(ctx, n)
})

// interpret does what a tree says. Its result names the steps in the order of the tree.
func interpret(ctx workflows.Context, n node) (string, error) {
	switch n.Op {
	case opStep:
		got, err := modelStep.Do(ctx, n)
		if err == nil && n.Undo {
			workflows.Compensate(ctx, func(ctx workflows.Context) error {
				_, err := undoStep.Do(ctx, n)
				return err
			})
		}
		return got, err
	case opSleep:
		return "z", workflows.Sleep(ctx, n.Takes)
	case opSignal:
		return workflows.Signals[string](ctx, fmt.Sprint("s", n.ID)).Receive(ctx)
	case opSeq:
		var all []string
		for _, kid := range n.Kids {
			got, err := interpret(ctx, kid)
			if err != nil {
				return "", err
			}
			all = append(all, got)
		}
		return "(" + strings.Join(all, " ") + ")", nil
	case opPar:
		return interpretAll(ctx, n)
	case opAny:
		scope, cancel := workflows.WithCancel(ctx)
		defer cancel()
		i, err := workflows.First(ctx, workflows.After(scope, n.Takes+time.Minute), workflows.After(scope, n.Takes))
		return fmt.Sprint("any", i), err
	case opChild:
		child := workflows.StartChildNamed[string](ctx, "model", n.Kids[0], workflows.ChildOptions{ID: fmt.Sprint("child", n.ID), OnClose: n.OnClose})
		return child.Get(ctx)
	}
	panic("no such op: " + n.Op)
}

func interpretAll(ctx workflows.Context, n node) (string, error) {
	var futures []*workflows.Future[string]
	var all []workflows.Awaitable
	for _, kid := range n.Kids {
		f := workflows.Go(ctx, func(ctx workflows.Context) (string, error) { return interpret(ctx, kid) })
		futures, all = append(futures, f), append(all, f)
	}
	// Those that were canceled too, so that what they did is undone.
	if err := workflows.All(workflows.WithoutCancel(ctx), all...); err != nil {
		return "", err
	}
	var got []string
	for _, f := range futures {
		s, err := f.Get(ctx)
		if err != nil {
			return "", err
		}
		got = append(got, s)
	}
	return "[" + strings.Join(got, " ") + "]", nil
}

// direct is what interpret is to do: its result, and the effects of it.
type direct struct {
	effects []string
	undo    [][]int // of each run, those that are under way last
}

func (d *direct) run(n node) (result string, ok bool) {
	d.undo = append(d.undo, nil)
	result, ok = d.interpret(n)
	last := len(d.undo) - 1
	if !ok {
		for _, id := range d.undo[last] {
			d.effects = append(d.effects, fmt.Sprint("undo ", id))
		}
	}
	d.undo = d.undo[:last]
	return result, ok
}

func (d *direct) interpret(n node) (string, bool) {
	switch n.Op {
	case opStep:
		if n.Fails < 0 {
			return "", false
		}
		d.effects = append(d.effects, fmt.Sprint("do ", n.ID))
		if n.Undo {
			d.undo[len(d.undo)-1] = append(d.undo[len(d.undo)-1], n.ID)
		}
		return fmt.Sprint(n.ID), true
	case opSleep:
		return "z", true
	case opSignal:
		return fmt.Sprint("sig", n.ID), true
	case opAny:
		return "any1", true
	case opChild:
		return d.run(n.Kids[0])
	}
	var all []string
	good := true
	for _, kid := range n.Kids {
		got, ok := d.interpret(kid)
		good = good && ok
		if !ok && n.Op == opSeq {
			return "", false
		}
		all = append(all, got)
	}
	if n.Op == opPar {
		return "[" + strings.Join(all, " ") + "]", good
	}
	return "(" + strings.Join(all, " ") + ")", good
}

// drawNode draws a tree; ids count its nodes.
func drawNode(t *rapid.T, depth int, ids *int) node {
	*ids++
	n := node{ID: *ids}
	ops := []string{opStep, opStep, opStep, opSleep, opSignal, opAny}
	if depth > 0 {
		ops = append(ops, opSeq, opSeq, opPar, opPar, opChild)
	}
	n.Op = rapid.SampledFrom(ops).Draw(t, "op")
	kids := 0
	switch n.Op {
	case opStep:
		n.Fails = rapid.SampledFrom([]int{0, 0, 0, 0, 1, 2, -1}).Draw(t, "fails")
		n.Undo = rapid.Bool().Draw(t, "undo")
		n.Takes = time.Duration(rapid.SampledFrom([]int{0, 1, 2, 3, 40}).Draw(t, "takes")) * time.Second
	case opSleep, opAny:
		n.Takes = time.Duration(rapid.IntRange(1, 5).Draw(t, "takes")) * time.Second
	case opSeq, opPar:
		kids = rapid.IntRange(1, 4).Draw(t, "kids")
	case opChild:
		kids = 1
		n.OnClose = rapid.SampledFrom([]workflows.ClosePolicy{workflows.CloseTerminate, workflows.CloseCancel, workflows.CloseAbandon}).Draw(t, "on close")
	}
	for range kids {
		n.Kids = append(n.Kids, drawNode(t, depth-1, ids))
	}
	return n
}

// closeNested has the children of children be terminated with them. Else one of a child that
// a reset starts again may be under way, and its id is not free: see docs/workflows.md.
func (n *node) closeNested(within bool) {
	if within {
		n.OnClose = ""
	}
	for i := range n.Kids {
		n.Kids[i].closeNested(within || n.Op == opChild)
	}
}

// signals calls f with the id of each signal of a tree and the run that it is for.
func (n *node) signals(run string, f func(run string, id int)) {
	if n.Op == opSignal {
		f(run, n.ID)
	}
	if n.Op == opChild {
		run = fmt.Sprint("child", n.ID)
	}
	for i := range n.Kids {
		n.Kids[i].signals(run, f)
	}
}

// plan is what goes wrong, advance by advance.
type plan struct {
	fates  []int
	cancel time.Duration // 0: never
	resets []reset
}

// reset is of the run that has all others as its children.
type reset struct {
	after int // so many more advances, or at its end
	to    int // which event of its history, counted around
}

const (
	fine = iota
	loseBefore
	loseAfter
	loseAnswer
	cutSession
	refuse
	fates
)

func TestCrashesDoNotChangeWhatWorkflowsDo(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		ids := 0
		tree := drawNode(rt, 3, &ids)
		tree.closeNested(false)
		p := plan{fates: rapid.SliceOfN(rapid.IntRange(-fates, fates-1), 0, 12).Draw(rt, "fates")}
		if rapid.IntRange(0, 4).Draw(rt, "canceled") == 0 {
			p.cancel = time.Duration(rapid.IntRange(1, 15_000).Draw(rt, "cancel after")) * time.Millisecond
		}
		for range rapid.SampledFrom([]int{0, 0, 1, 2}).Draw(rt, "resets") {
			p.resets = append(p.resets, reset{rapid.IntRange(0, 30).Draw(rt, "after"), rapid.IntRange(0, 100).Draw(rt, "to")})
		}
		synctest.Test(t, func(t *testing.T) {
			w := &world{T: t, Cluster: workflowstest.NewCluster(), flows: []workflows.Defined{modelFlow}}
			if problem := playModel(w, tree, p); problem != "" {
				rt.Fatalf("%s", problem)
			}
		})
	})
}

// playModel runs a tree while what is planned goes wrong, and says what differs.
func playModel(w *world, tree node, p plan) string {
	crashed := make(chan int, 100)
	advanced := make(chan struct{}, 10_000)
	w.OnAdvance(func(*workflows.Advance) (f workflowstest.Fate) {
		select {
		case advanced <- struct{}{}:
		default:
		}
		if len(p.fates) == 0 {
			return f
		}
		fate := p.fates[0]
		p.fates = p.fates[1:]
		switch fate {
		case loseBefore:
			f.LoseBefore = true
		case loseAfter:
			f.LoseAfter = true
		case loseAnswer:
			f.LoseAnswer = true
		case refuse:
			f.Refuse = event.Errorf(event.CodeOverloaded, "not now")
		}
		if fate == loseBefore || fate == loseAfter || fate == cutSession {
			crashed <- fate
		}
		return f
	})
	w.work()
	w.start("model", "r", tree)
	stop := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case fate := <-crashed:
				if fate == cutSession {
					w.CutSessions() // and what is in memory stays
					continue
				}
				w.stop()
				w.work()
			}
		}
	}()
	sendSignals(w, &tree, stop)
	if p.cancel > 0 {
		go func() {
			time.Sleep(p.cancel)
			_ = w.Cancel("r", "by the plan") // or it has ended
		}()
	}
	for _, x := range p.resets {
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_, _ = w.Wait(w.Context(), "r")
		}()
		for range x.after {
			select {
			case <-advanced:
			case <-ended:
			}
		}
		resetToEvent(w, x.to)
	}
	r := w.wait("r")
	time.Sleep(10 * time.Minute) // children that were abandoned wait for signals too
	close(stop)
	<-stopped
	time.Sleep(time.Hour) // for children that are canceled
	w.stop()
	return judge(w, tree, p, r)
}

// resetToEvent resets the run to one of the events of its history that it can be reset to;
// to the others it cannot.
func resetToEvent(w *world, to int) {
	r, err := w.Look("r")
	if err != nil {
		w.Fatal(err)
	}
	history := w.Recorded(r.Number)
	end := slices.IndexFunc(history, func(e event.Recorded) bool {
		kind := strings.TrimPrefix(e.Type, workflows.HistoryPrefix)
		return kind == workflows.KindCompleted || kind == workflows.KindFailed || kind == workflows.KindCanceled
	})
	if end < 0 {
		end = len(history)
	}
	for _, e := range history[end:] {
		if _, err := w.Reset("r", e.Revision); event.CodeOf(err) != event.CodeInvalid {
			w.Errorf("reset to %s: %v", e.Type, err)
		}
	}
	if _, err := w.Reset("r", history[to%end].Revision); err != nil {
		w.Errorf("reset: %v", err)
	}
}

// sendSignals sends each signal once its run is there, if it ever is, and once more to a
// child that is started again. Those of the run itself go along with a reset.
func sendSignals(w *world, tree *node, stop <-chan struct{}) {
	tree.signals("r", func(run string, id int) {
		go func() {
			for sent := uint64(0); run != "r" || sent == 0; {
				r, _ := w.Look(run)
				if r.Number != sent && w.Signal(run, fmt.Sprint("s", id), fmt.Sprint("sig", id)) == nil {
					sent = r.Number
				}
				select {
				case <-stop:
					return
				case <-time.After(time.Second):
				}
			}
		}()
	})
}

// judge compares what became of a tree with what it is to do.
func judge(w *world, tree node, p plan, r workflowstest.Result) string {
	var effects []string
	for _, e := range w.Stream("ledger") {
		effects = append(effects, strings.Trim(string(e.Data), `"`))
	}
	slices.Sort(effects)
	once := slices.Compact(slices.Clone(effects))
	if len(p.resets) == 0 && len(once) != len(effects) {
		return fmt.Sprintf("effects are doubled: %q", effects)
	}
	numbers, ended := w.Runs()
	if ended != len(numbers) {
		return fmt.Sprintf("%d of %d runs ended", ended, len(numbers))
	}
	for _, n := range numbers {
		if err := workflows.Check(modelFlow, w.Recorded(n)); err != nil {
			return fmt.Sprintf("history of run %d: %v", n, err)
		}
	}
	if p.cancel > 0 {
		if len(p.resets) == 0 && r.Status == workflows.Completed && slices.ContainsFunc(effects, func(s string) bool { return s[0] == 'u' }) {
			return fmt.Sprintf("completed, and undone: %q", effects)
		}
		return ""
	}
	var d direct
	want, ok := d.run(tree)
	slices.Sort(d.effects)
	if len(p.resets) > 0 {
		// What was done is done again, and what was canceled on the way is undone.
		effects = slices.DeleteFunc(once, func(s string) bool { return !slices.Contains(d.effects, s) })
	}
	switch {
	case !slices.Equal(effects, d.effects):
		return fmt.Sprintf("effects %q, want %q", effects, d.effects)
	case ok && (r.Status != workflows.Completed || string(r.Result) != `"`+want+`"`):
		return fmt.Sprintf("%s with %s (%v), want %s", r.Status, r.Result, r.Err, want)
	case !ok && (r.Status != workflows.Failed || r.Err.Type != "workflows_test.outOfStock"):
		return fmt.Sprintf("%s: %v, want a failure", r.Status, r.Err)
	}
	return ""
}
